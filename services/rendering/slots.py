"""Places in a template that are filled later, line by line.

What is rendered with slots in it is the same for every reader of a round; `Blank` keeps it as bytes that are ready to
send, and encodes only the lines that hold a slot. A slot that stands for several lines repeats the line that it is in.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import Final, TypeAlias

from services.rendering import plaintext
from services.rendering.quoted import quoted

Filling: TypeAlias = Mapping[str, str | Sequence[str]]
"""What the slots stand for: a text, or one for each time that the line is repeated."""
MARKS: Final = re.compile("[\ue000-\ue003]")
"""Private-use signs that a slot is made of. A text with one of them is not used with slots."""
_LINE: Final = re.compile(r"[^\n]*\n|[^\n]+")
_SLOT: Final = re.compile("([\ue000\ue003])([a-z_]+)(?:\ue001([^\ue001\ue002]*)\ue001([^\ue001\ue002]*))?\ue002")


class Slot(str):
    """A place to be filled; one with `many` repeats its line. Wrapping it is left for when it is filled."""

    __slots__ = ()

    def __new__(cls, name: str, *, many: bool = False) -> "Slot":
        return super().__new__(cls, f"{_MANY if many else _ONE}{name}\ue002")

    def wrapped(self, first: str, rest: str) -> str:
        """The same, to be wrapped when it is filled."""
        return f"{self[:-1]}\ue001{first}\ue001{rest}\ue002"


_ONE: Final = "\ue000"
_MANY: Final = "\ue003"


def wrap(text: str, first: str = "", rest: str | None = None) -> str:
    """The templates' filter: text in narrow columns, or a slot that will be."""
    if isinstance(text, Slot):
        return text.wrapped(first, first if rest is None else rest)
    return plaintext.wrap(text, first, rest)


@dataclass(frozen=True, slots=True)
class _Hole:
    name: str
    first: str | None
    rest: str | None


class Blank:
    """A rendered text with slots, as it will be sent: in quoted-printable, ready where nothing is to be filled in.

    Its pieces have numbers, so that filling is picking: each slot's text is made once, however often it stands there.
    """

    def __init__(self, text: str, escape: Callable[[str], str] = str) -> None:
        self._escape = escape
        self._pieces: dict[str | _Hole, int] = {}
        self._parts: list[bytes | list[_Lines]] = []
        for holds, group in groupby(_LINE.findall(text), key=lambda line: _SLOT.search(line) is not None):
            lines = list(group)
            self._parts.append(self._with_holes(lines) if holds else quoted("".join(lines)))
        self._fixed = [piece if isinstance(piece, str) else "" for piece in self._pieces]
        self._holes = [(number, piece) for piece, number in self._pieces.items() if isinstance(piece, _Hole)]

    def filled(self, filling: Filling) -> bytes:
        """The lines with their slots filled."""
        table = self._fixed.copy()
        repeated: dict[str, list[tuple[int, _Hole]]] = {}
        for number, hole in self._holes:
            value = filling[hole.name]
            if isinstance(value, str):
                table[number] = self._text(hole, value)
            else:
                repeated.setdefault(hole.name, []).append((number, hole))
        return b"".join(
            [p if isinstance(p, bytes) else self._encoded(p, table, repeated, filling) for p in self._parts]
        )

    def _encoded(
        self,
        runs: Sequence["_Lines"],
        table: list[str],
        repeated: Mapping[str, Sequence[tuple[int, _Hole]]],
        filling: Filling,
    ) -> bytes:
        texts: list[str] = []
        for run in runs:
            if run.many is None:
                texts += run.pick(table)
                continue
            for value in filling[run.many]:
                for number, hole in repeated[run.many]:
                    table[number] = self._text(hole, value)
                texts += run.pick(table)
        return quoted("".join(texts))

    def _text(self, hole: _Hole, value: str) -> str:
        return self._escape(value if hole.first is None else plaintext.wrap(value, hole.first, hole.rest))

    def _with_holes(self, lines: Iterable[str]) -> list["_Lines"]:
        """Lines side by side that are filled once are one run; one that is repeated is its own."""
        runs: list[_Lines] = []
        for many, group in groupby(((_many(line), line) for line in lines), key=lambda pair: pair[0]):
            for text in ["".join(line for _, line in group)] if many is None else [line for _, line in group]:
                numbers = [self._pieces.setdefault(piece, len(self._pieces)) for piece in _pieces(text)]
                runs.append(_Lines(_picker(numbers), many))
        return runs


@dataclass(frozen=True, slots=True)
class _Lines:
    """Which pieces lines are made of; `many` names the slot that repeats them."""

    pick: Callable[[Sequence[str]], tuple[str, ...]]
    many: str | None


def _picker(numbers: Sequence[int]) -> Callable[[Sequence[str]], tuple[str, ...]]:
    if len(numbers) == 1:
        (only,) = numbers
        return lambda table: (table[only],)
    return itemgetter(*numbers)


def _many(line: str) -> str | None:
    return next((found[2] for found in _SLOT.finditer(line) if found[1] == _MANY), None)


def _pieces(text: str) -> Iterator[str | _Hole]:
    at = 0
    for found in _SLOT.finditer(text):
        if found.start() > at:
            yield text[at : found.start()]
        yield _Hole(found[2], found[3], found[4])
        at = found.end()
    if at < len(text):
        yield text[at:]
