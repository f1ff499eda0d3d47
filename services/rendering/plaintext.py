"""Plain text in narrow columns, for readers of mail as text."""

import re
from functools import lru_cache
from typing import Final

COLUMNS: Final = 72
_UNEVEN: Final = re.compile(r"^ | $|  |[\t\r\n\v\f\x1c-\x1f\x85\u2028\u2029]")
"""Blanks that wrapping takes away."""
_LINK: Final = re.compile(r"https?://\S")


def wrap(text: str, first: str = "", rest: str | None = None) -> str:
    """The text in lines of at most 72 columns, `first` before the first line and `rest` before the others.

    A link is never broken, however long: a broken link cannot be clicked (FC-044). Any other long word is.
    """
    if text and len(first) + len(text) <= COLUMNS and not _UNEVEN.search(text):
        return first + text
    return _wrapped(text, first, first if rest is None else rest)


@lru_cache(1024)
def _wrapped(text: str, first: str, rest: str) -> str:
    """Readers of one round are told much the same."""
    lines = [first]
    for word in _words(text, COLUMNS - max(len(first), len(rest))):
        begun = lines[-1] in (first, rest)
        longer = lines[-1] + ("" if begun else " ") + word
        if begun or len(longer) <= COLUMNS:
            lines[-1] = longer
        else:
            lines.append(rest + word)
    return "\n".join(line.rstrip(" ") for line in lines)


def _words(text: str, width: int) -> list[str]:
    """Words no longer than the width, links whole. A no-break space does not part words."""
    words = [word for word in re.split(r"[ \t\r\n\v\f\x1c-\x1f\x85\u2028\u2029]+", text) if word]
    parted: list[str] = []
    for word in words:
        step = len(word) if _LINK.match(word) else width
        parted += [word[at : at + step] for at in range(0, len(word), step)]
    return parted
