"""SNI 2025 and SNI 2007: which industry codes exist, what lies under what, and what a code of one is in the other.

Levels: section (letter), division (2 digits), group (3), class (4), detailed group (5). Codes are kept as bare digits:
`56.110` is `56110`. A code means nothing without its version: section L is finance in one and real estate in the other.

SNI 2025 is SCB's structure (CC0, `data/sni-2025.json`). An SNI code is a class of NACE and a national digit, and what
became of each class is Eurostat's table between NACE Rev. 2 and Rev. 2.1 (`data/nace2-nace21.json`). Of SNI 2007 it
gives the 615 classes but not the detailed groups: any fifth digit under a class that exists is taken.
"""

import re
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files
from typing import Final

from pydantic import BaseModel

from schemas.types import plain_digits

VERSIONS: Final = ("2025", "2007")
LONGEST: Final = 5
"""Digits of a detailed group."""


class UnknownCode(ValueError):
    """A code that its version does not have; the message names the nearest that exist, and never quotes the input."""

    def __init__(self, detail: str, nearest: tuple[str, ...] = ()) -> None:
        super().__init__(detail)
        self.nearest = nearest


@dataclass(frozen=True)
class Translation:
    """The classes of the other version that a code may have become, in order: a class that was split has several."""

    codes: tuple[str, ...]
    version: str

    @property
    def whole(self) -> bool:
        """Whether the code became one class and nothing else."""
        return len(self.codes) == 1


class _Entry(BaseModel):
    code: str
    name: str
    section: str = ""


class _Structure(BaseModel):
    sections: list[_Entry]
    divisions: list[_Entry]
    leaves: list[_Entry]


class _Table(BaseModel):
    sections: dict[str, list[str]]
    classes: dict[str, list[str]]


@cache
def _structure() -> _Structure:
    return _Structure.model_validate_json(files("schemas").joinpath("data/sni-2025.json").read_bytes())


@cache
def _table() -> _Table:
    return _Table.model_validate_json(files("schemas").joinpath("data/nace2-nace21.json").read_bytes())


@cache
def _sections(version: str) -> Mapping[str, str]:
    """The section of each division."""
    if version == "2025":
        return {division.code: division.section for division in _structure().divisions}
    return {division: section for section, divisions in _table().sections.items() for division in divisions}


@cache
def leaves(version: str) -> frozenset[str]:
    """The detailed groups, five digits each: 835 in SNI 2025, and in SNI 2007 all that there could be."""
    if version == "2025":
        return frozenset(leaf.code for leaf in _structure().leaves)
    return frozenset(f"{one}{digit}" for one in _table().classes for digit in range(10))


@cache
def _headings(version: str) -> Mapping[str, frozenset[str]]:
    """Every code of every level with the detailed groups under it."""
    found: dict[str, set[str]] = {section: set() for section in _sections(version).values()}
    for leaf in leaves(version):
        for heading in (_sections(version)[leaf[:2]], *(leaf[:n] for n in (2, 3, 4, 5))):
            found.setdefault(heading, set()).add(leaf)
    return {heading: frozenset(under) for heading, under in found.items()}


@cache
def _classes_after() -> Mapping[str, Mapping[str, tuple[str, ...]]]:
    """Per version what each of its classes became, or came from, in the other."""
    later = {old: tuple(new) for old, new in _table().classes.items()}
    earlier: dict[str, list[str]] = {}
    for old, new in sorted(later.items()):
        for one in new:
            earlier.setdefault(one, []).append(old)
    return {"2007": later, "2025": {new: tuple(old) for new, old in earlier.items()}}


@cache
def names() -> Mapping[str, str]:
    """The Swedish name of each section, division and detailed group of SNI 2025."""
    s = _structure()
    return {entry.code: entry.name for entry in (*s.sections, *s.divisions, *s.leaves)}


def other(version: str) -> str:
    """The version that a code is translated to."""
    return "2007" if version == "2025" else "2025"


@lru_cache(1 << 14)  # a model's codes are asked for at every case
def parse(text: str, version: str) -> str:
    """A code of any level in its one bare form. `56.110`, `56 110`, `I 56.110` and `56110` are one code.

    Raises `UnknownCode` for what the version does not have, and for what could be two codes: `6.1` is 06.1 or 61, and
    `1110` is 11.10 or, where a leading zero was lost, 01.110.
    """
    _known(version)
    stripped = plain_digits(text).upper()
    lettered = re.fullmatch(r"([A-Z])[.\s]?(\d.*)", stripped)
    letter, digits = (lettered[1], lettered[2]) if lettered else ("", stripped)
    pointed = re.sub(r"^(\d\d),(?=\d{1,3}$)", r"\1.", digits)
    bare = re.sub(r"[.\s]", "", pointed)
    if re.match(r"\d[.\s]", pointed) or (re.fullmatch(r"\d|\d{4}", pointed) and _could_have_lost_a_zero(bare, version)):
        raise _ambiguous(bare, version)
    if bare not in _headings(version):
        raise _unknown(bare, version)
    if letter and letter != _sections(version)[bare[:2]]:
        raise UnknownCode(
            f"division {bare[:2]} lies in section {_sections(version)[bare[:2]]} of SNI {version}; "
            "leave the letter out, or correct the version"
        )
    return bare


def is_code(code: str, version: str) -> bool:
    """Whether a code in its bare form exists."""
    return version in VERSIONS and code in _headings(version)


@lru_cache(1 << 14)
def ancestors(code: str, version: str) -> tuple[str, ...]:
    """The code itself and every heading above it, from the section down: `56110` gives I, 56, 561, 5611, 56110. Of a
    code that does not exist, those above it that do.
    """
    above = (_sections(version).get(code[:2], code), *(code[:n] for n in range(2, len(code) + 1)))
    return tuple(dict.fromkeys(heading for heading in above if is_code(heading, version)))


def leaves_under(code: str, version: str) -> frozenset[str]:
    """The detailed groups under a heading of any level; none where there is no such heading."""
    return _headings(version).get(code, frozenset())


@lru_cache(1 << 12)
def translate(code: str, version: str) -> Translation:
    """What a code of one version may be in the other: the union over the classes that it is, or that lie under it."""
    _known(version)
    classes = {leaf[:4] for leaf in leaves_under(code, version)}
    after = _classes_after()[version]
    return Translation(tuple(sorted({new for one in classes for new in after.get(one, ())})), other(version))


@lru_cache(1 << 12)
def possible(code: str, version: str) -> tuple[str, ...]:
    """The detailed groups of the other version that a code may be."""
    found = translate(code, version)
    return tuple(sorted(leaf for one in found.codes for leaf in leaves_under(one, found.version)))


def name(code: str, version: str) -> str:
    """What a code is called in Swedish; for a group or class, the name of its division. Nothing for SNI 2007."""
    return (names().get(code) or names().get(code[:2], "")) if version == "2025" else ""


def written(code: str) -> str:
    """The code as people write it: `56110` is `56.110`."""
    return f"{code[:2]}.{code[2:]}" if len(code) > 2 else code


def label(code: str, version: str) -> str:
    """A code as people read it: with its name, or with its version where that is the old one."""
    return (
        f"{written(code)} {name(code, version)}".rstrip() if version == "2025" else f"{written(code)} (SNI {version})"
    )


def _known(version: str) -> None:
    if version not in VERSIONS:
        raise ValueError(f"no such version of SNI; known: {', '.join(VERSIONS)}")


def _could_have_lost_a_zero(bare: str, version: str) -> bool:
    return len(bare) == 1 or f"0{bare}" in leaves(version)


def _ambiguous(bare: str, version: str) -> UnknownCode:
    meant = tuple(code for code in (bare, f"0{bare}") if code in _headings(version))
    could = " or ".join(map(written, meant)) or "as in 01.110"
    return UnknownCode(f"may have lost a leading zero: write the code in full, with its point: {could}", meant)


def _unknown(bare: str, version: str) -> UnknownCode:
    near = _nearest(bare, version)
    said = "; ".join(f"{written(code)} {name(code, version)}".rstrip() for code in near)
    elsewhere = other(version)
    moved = bare in _headings(elsewhere) and bare[:4] not in _headings(version)
    hint = f"; SNI {elsewhere} has it: is the version right?" if moved else ""
    return UnknownCode(f"not a code of SNI {version}{hint}; nearest: {said}", near)


def _nearest(bare: str, version: str) -> tuple[str, ...]:
    """The first codes under the longest heading that fits; where none does, those beside it in the order of codes."""
    kept = _in_order(version)
    for length in range(min(len(bare) - 1, LONGEST - 1), 1, -1):
        start = bisect_left(kept, bare[:length])
        if near := [code for code in kept[start : start + 3] if code.startswith(bare[:length])]:
            return tuple(near)
    place = min(max(bisect_left(kept, bare), 1), len(kept) - 1)
    return kept[place - 1 : place + 1]


@cache
def _in_order(version: str) -> tuple[str, ...]:
    return tuple(sorted(leaves(version) if version == "2025" else _table().classes))
