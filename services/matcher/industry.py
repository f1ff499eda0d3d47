"""Whether a workplace's own codes lie under what a ring or case asks for, and by which heading.

A model's ring names groups or SNI 2025 codes of any level. Each group has its own exceptions, and they hold inside the
group only: mail-order trade is outside `kundnara` and inside `leveransberoende`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from schemas import industries
from schemas.case import Case
from schemas.model import DialogueModel, Ring
from schemas.types import IndustryCode


@dataclass(frozen=True)
class Match:
    """A workplace's own code and the heading that it lies under."""

    code: str
    heading: str


@dataclass(frozen=True)
class CodeSet:
    """Headings that are meant, less those that are not."""

    codes: frozenset[str]
    exclude: frozenset[str] = frozenset()

    def heading(self, code: str) -> str | None:
        """The nearest heading of this set above a code, or None."""
        above = industries.ancestors(code)
        if self.exclude.intersection(above):
            return None
        return next((heading for heading in reversed(above) if heading in self.codes), None)


def of_ring(ring: Ring, case: Case, model: DialogueModel) -> tuple[CodeSet, ...] | None:
    """The code sets of a ring of the model; None where every industry is meant."""
    if ring.industries == "all":
        return None
    if ring.industries == "from_case":
        return of_codes(case.industries)
    groups = [model.industry_groups[name] for name in ring.industries if name in model.industry_groups]
    codes = frozenset(name for name in ring.industries if name not in model.industry_groups)
    sets = [CodeSet(_bare(group.codes), _bare(group.exclude)) for group in groups]
    return (*sets, CodeSet(_bare(codes))) if codes else tuple(sets)


def of_codes(codes: Iterable[IndustryCode]) -> tuple[CodeSet, ...]:
    """The code set of a case's own list."""
    return (CodeSet(_bare(item.code for item in codes)),)


def matches(own: Sequence[str], sets: Iterable[CodeSet]) -> tuple[Match, ...]:
    """Every own code that is meant, each once with its nearest heading, in the workplace's order."""
    wanted = tuple(sets)
    found = []
    for code in dict.fromkeys(own):
        headings = [heading for one in wanted if (heading := one.heading(code)) is not None]
        if headings:
            found.append(Match(code, max(headings, key=lambda heading: (not heading.isalpha(), len(heading)))))
    return tuple(found)


def _bare(codes: Iterable[str]) -> frozenset[str]:
    return frozenset(industries.parse(code) for code in codes)
