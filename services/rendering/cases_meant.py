"""Which case an answer may mean, in words for those who answer for it: what a digest told of is several."""

from collections.abc import Sequence
from typing import TypeAlias

Cases: TypeAlias = Sequence[tuple[str, str]]
"""Title and diary number of each case that the answered message told of."""


def for_subject(cases: Cases) -> str:
    """In a few words."""
    return _one_of([title for title, _ in cases], "okänt ärende", "{} ärenden")


def in_swedish(cases: Cases) -> str:
    """With their diary numbers; several stand each on a line of its own."""
    named = _named(cases)
    several = "".join(f"\n - {case}" for case in named) if len(named) > 1 else ""
    return _one_of(named, "framgår inte", "ett av dessa {}:") + several


def in_english(cases: Cases) -> str:
    """Below the Swedish, which lists them."""
    return _one_of(_named(cases), "not known", "one of the {} above")


def _named(cases: Cases) -> list[str]:
    return [" ".join(part for part in case if part) for case in cases]


def _one_of(names: Sequence[str], none: str, several: str) -> str:
    return names[0] if len(names) == 1 else several.format(len(names)) if names else none
