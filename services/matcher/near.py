"""Who was not invited to a round near its limit: what an official looks at to see whether the limit is well drawn.

Each ring that is measured is asked a little wider, by the same function that found those who are invited; whoever is
found and not invited is explained one by one. Nearest first, and never more than the limit says; the rest are counted.
The list is not kept: case, model and register make it anew, and the round carries the hashes of the last two.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import Final

from schemas.case import Case
from schemas.model import DialogueModel
from services.matcher import audience, geometry
from services.matcher.explain import Explanation
from services.matcher.workplaces import Snapshot

SHARE: Final = 0.25
LEAST_M: Final = 25.0
"""A ring is asked a quarter wider, and at least so many metres."""
MOST: Final = 100


@dataclass(frozen=True)
class Missed:
    """One workplace that was left out near the limit, with the rule that left it out."""

    workplace_id: str
    metres: float
    """To the nearest geometry of the case."""
    answer: str
    said: str


@dataclass(frozen=True)
class Near:
    """Those nearest, and how many more there are."""

    missed: tuple[Missed, ...]
    more: int = 0


def near(
    case: Case,
    register: Snapshot,
    model: DialogueModel,
    invited: Collection[str],
    explained: Callable[[str], Explanation],
    most: int = MOST,
) -> Near:
    """Those of the register within a margin of a ring's limit whom no invitation stands for and no ring reaches.
    `invited` are workplaces that need not be explained.
    """
    parts = geometry.parts_of(case.geometries)
    reached = audience.audience(case, register, model)
    known = {place.workplace_id for member in reached.members for place in member.workplaces} | set(invited)
    found: dict[int, float] = {}
    for ring in audience.reaches(case, model):
        if ring.buffer_m is None:
            continue
        wider = replace(ring, buffer_m=ring.buffer_m + max(LEAST_M, SHARE * ring.buffer_m), codes=None)
        for row, (metres, _) in audience.near(register, parts, wider).items():
            found[row] = min(metres, found.get(row, metres))
    beside = sorted(
        (metres, name) for row, metres in found.items() if (name := register.workplace_id(row)) not in known
    )
    answers = ((metres, explained(name)) for metres, name in beside[:most])
    missed = tuple(Missed(found.workplace_id, metres, found.answer, found.said) for metres, found in answers)
    return Near(missed, len(beside) - len(missed))
