"""Cutting a title to a room, at a word."""

from collections.abc import Callable


def cut(text: str, room: int, mark: str, measure: Callable[[str], int] = len) -> str:
    """The text if it fits, else as many whole words as fit with the mark after them; empty if not even one does."""
    if measure(text) <= room:
        return text
    kept = ""
    for word in text.split(" "):
        longer = f"{kept} {word}" if kept else word
        if measure(longer.rstrip(_HANGING) + mark) > room:
            break
        kept = longer
    kept = kept.rstrip(_HANGING)
    return kept + mark if kept else ""


def chop(text: str, room: int, mark: str, measure: Callable[[str], int] = len) -> str:
    """As `cut`, but a first word that is too long is cut inside, so that something is left wherever anything fits."""
    words = cut(text, room, mark, measure)
    if words or not text:
        return words
    ending = mark if measure(mark) < room else ""
    kept = text
    while kept and measure(kept + ending) > room:
        kept = kept[:-1]
    return kept + ending if kept else ""


_HANGING = " ,.;:–-("
