"""Whether a workplace's own codes lie under what a ring or case asks for, and by which heading.

A model's ring names groups or codes of any level, in the model's version of SNI; a case names codes of either version.
Each group has its own exceptions, and they hold inside the group only: mail-order trade is outside `kundnara` and
inside `leveransberoende`.

A code of the other version is translated: every detailed group that it may be is asked, and one that fits is enough. An
exception takes away the possible groups under it, so a workplace is left out only where every possible group is an
exception or is not meant. `full` says that all possible groups fit under the heading, `part` that only some do.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from schemas import industries
from schemas.case import Case
from schemas.model import DialogueModel, Ring
from schemas.types import IndustryCode


@dataclass(frozen=True)
class Match:
    """A workplace's own code and the heading that it lies under: of the other version, where it was translated."""

    code: str
    version: str
    heading: str
    translated: Literal["full", "part"] | None = None


@dataclass(frozen=True)
class CodeSet:
    """Headings of one version that are meant, less those that are not."""

    codes: frozenset[str]
    exclude: frozenset[str] = frozenset()
    version: str = "2025"

    def heading(self, code: str) -> str | None:
        """The nearest heading of this set above a code of its version, or None."""
        return next(reversed(self.headings(code)), None)

    def headings(self, code: str) -> tuple[str, ...]:
        """All headings of this set above a code of its version, from the section down."""
        above = industries.ancestors(code, self.version)
        if not self.exclude.isdisjoint(above):
            return ()
        return tuple(heading for heading in above if heading in self.codes)

    @property
    def leaves(self) -> frozenset[str]:
        """The detailed groups that are meant."""
        return _meant(self.codes, self.exclude, self.version)


def of_ring(ring: Ring, case: Case, model: DialogueModel) -> tuple[CodeSet, ...] | None:
    """The code sets of a ring of the model; None where every industry is meant."""
    if ring.industries == "all":
        return None
    if ring.industries == "from_case":
        return of_codes(case.industries)
    version = model.sni
    groups = [model.industry_groups[name] for name in ring.industries if name in model.industry_groups]
    codes = [name for name in ring.industries if name not in model.industry_groups]
    sets = [CodeSet(_bare(group.codes, version), _bare(group.exclude, version), version) for group in groups]
    return (*sets, CodeSet(_bare(codes, version), version=version)) if codes else tuple(sets)


def of_codes(codes: Iterable[IndustryCode]) -> tuple[CodeSet, ...]:
    """The code sets of a case's own list, one for each version in it."""
    wanted: dict[str, list[str]] = {}
    for item in codes:
        wanted.setdefault(item.version, []).append(item.code)
    return tuple(CodeSet(_bare(found, version), version=version) for version, found in sorted(wanted.items()))


def matches(own: Iterable[IndustryCode], sets: tuple[CodeSet, ...]) -> tuple[Match, ...]:
    """Every own code that is meant, each once with its nearest heading, in the workplace's order."""
    return tuple(found for code in dict.fromkeys(own) if (found := match(code, sets)) is not None)


@lru_cache(1 << 16)
def match(own: IndustryCode, sets: tuple[CodeSet, ...]) -> Match | None:
    """One own code and its nearest heading, or None. Compared as it stands where it can be, else translated."""
    is_leaf = own.code in industries.leaves(own.version)
    native = [
        heading
        for one in sets
        if one.version == own.version and not (is_leaf and own.code not in one.leaves)
        if (heading := one.heading(own.code)) is not None
    ]
    if native:
        return Match(own.code, own.version, max(native, key=_depth))
    foreign = [one for one in sets if one.version != own.version]
    return _translated(own, foreign) if foreign else None


def overlap(code: IndustryCode, sets: Iterable[CodeSet]) -> bool:
    """Whether a heading and what is meant have anything in common: one lies under the other, wholly or in part."""
    return any(not one.leaves.isdisjoint(_leaves(code, one.version)) for one in sets)


def _translated(own: IndustryCode, foreign: Iterable[CodeSet]) -> Match | None:
    possible = industries.possible(own.code, own.version)
    covered: dict[str, set[str]] = {}
    for one in foreign:
        for leaf in one.leaves.intersection(possible):
            for heading in one.headings(leaf):
                covered.setdefault(heading, set()).add(leaf)
    if not covered:
        return None
    heading = max(covered, key=lambda code: (len(covered[code]), *_depth(code)))
    return Match(own.code, own.version, heading, "full" if len(covered[heading]) == len(possible) else "part")


def _leaves(code: IndustryCode, version: str) -> Iterable[str]:
    if code.version == version:
        return industries.leaves_under(code.code, version)
    return industries.possible(code.code, code.version)


def _depth(heading: str) -> tuple[bool, int, str]:
    return not heading.isalpha(), len(heading), heading


@lru_cache(1 << 10)
def _meant(codes: frozenset[str], exclude: frozenset[str], version: str) -> frozenset[str]:
    def under(headings: frozenset[str]) -> frozenset[str]:
        return frozenset[str]().union(*(industries.leaves_under(heading, version) for heading in headings))

    return under(codes) - under(exclude)


def _bare(codes: Iterable[str], version: str) -> frozenset[str]:
    return _parsed(tuple(codes), version)


@lru_cache(1 << 10)
def _parsed(codes: tuple[str, ...], version: str) -> frozenset[str]:
    """A model's groups are asked for with every case: they are read once."""
    return frozenset(industries.parse(code, version) for code in codes)
