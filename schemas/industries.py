"""SNI 2025: which industry codes exist, what they are called, and which lie under which.

Levels: section (letter), division (2 digits), group (3), class (4), detailed group (5). Source: SCB's structure of SNI
2025 (CC0), in `data/sni-2025.json`. Codes are kept as bare digits: `56.110` is `56110`.
"""

import re
from functools import cache
from importlib.resources import files

from pydantic import BaseModel


class UnknownCode(ValueError):
    """A code that SNI 2025 does not have; the message names the nearest that exists, and never quotes the input."""


class _Entry(BaseModel):
    code: str
    name: str
    section: str = ""
    division: str = ""


class _Structure(BaseModel):
    sections: list[_Entry]
    divisions: list[_Entry]
    leaves: list[_Entry]


@cache
def _structure() -> _Structure:
    return _Structure.model_validate_json(files("schemas").joinpath("data/sni-2025.json").read_bytes())


@cache
def _sections() -> dict[str, str]:
    return {division.code: division.section for division in _structure().divisions}


@cache
def leaves() -> frozenset[str]:
    """The 835 detailed groups, five digits each."""
    return frozenset(leaf.code for leaf in _structure().leaves)


@cache
def names() -> dict[str, str]:
    """The Swedish name of each section, division and detailed group."""
    s = _structure()
    return {entry.code: entry.name for entry in (*s.sections, *s.divisions, *s.leaves)}


@cache
def _headings() -> frozenset[str]:
    return frozenset(
        {*(entry.code for entry in _structure().sections), *(leaf[:n] for leaf in leaves() for n in (2, 3, 4, 5))}
    )


def parse(text: str) -> str:
    """A code of any level in its one bare form. `56.110`, `56 110` and `56110` are one code.

    Raises `UnknownCode` for what SNI 2025 does not have, and for `6.1`, which could be 06.1 or 61.
    """
    stripped = text.strip().upper()
    bare = re.sub(r"[.\s]", "", stripped)
    if re.match(r"^\d[.\s]", stripped) or (bare.isdigit() and len(bare) == 4 and "." not in stripped):
        raise UnknownCode("may have lost a leading zero: write the code with its point, as in 01.110")
    if bare not in _headings():
        raise UnknownCode(f"not a code of SNI 2025; nearest: {_nearest(bare)}")
    return bare


def ancestors(code: str) -> tuple[str, ...]:
    """The code itself and every heading above it, from the section down: `56110` gives I, 56, 561, 5611, 56110."""
    if code.isalpha():
        return (code,)
    return (_sections()[code[:2]], *(code[:n] for n in range(2, len(code) + 1)))


def leaves_under(code: str) -> frozenset[str]:
    """The detailed groups under a heading of any level."""
    if code.isalpha():
        return frozenset(leaf for leaf in leaves() if _sections()[leaf[:2]] == code)
    return frozenset(leaf for leaf in leaves() if leaf.startswith(code))


def name(code: str) -> str:
    """What a code is called in Swedish; for a group or class, the name of its division."""
    return names().get(code) or names().get(code[:2], "")


def written(code: str) -> str:
    """The code as people write it: `56110` is `56.110`."""
    return f"{code[:2]}.{code[2:]}" if len(code) > 2 else code


def _nearest(bare: str) -> str:
    for length in range(len(bare) - 1, 1, -1):
        near = sorted(code for code in leaves() if code.startswith(bare[:length]))
        if near:
            return ", ".join(f"{written(code)} {names()[code]}" for code in near[:3])
    return "none; see SCB's list of SNI 2025"
