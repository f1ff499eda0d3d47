"""Whom a case's rings reach, as rows of the register: enough to count them, and nothing made for each.

The rings and the index are those of `audience`, which says the reasons besides; a test holds the two equal. Whom only
a ring of the digest reaches is not counted: no message goes out for it. A reason
for each of a hundred thousand costs seconds, their number costs milliseconds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from schemas.case import Case
from schemas.model import DialogueModel
from services.matcher import geometry
from services.matcher.audience import ROLES, Reach, reaches
from services.matcher.geometry import Indices, Part
from services.matcher.grid import Booleans
from services.matcher.workplaces import STATUSES, Snapshot

DIRECT: Final = "direct"
"""The ring of those next to the case: they stand outside the budget (dialogue rule 6)."""


@dataclass(frozen=True)
class Rows:
    """The rows that are reached and that no rule leaves out, in order."""

    rows: Indices
    direct: Booleans
    """Which of them the direct ring reaches."""
    by_distance: int
    """How many of them the rings with a distance reach."""
    parts: tuple[Part, ...] = ()
    """The case's geometries in the grid."""

    @classmethod
    def none(cls) -> "Rows":
        """Nobody."""
        return cls(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.bool_), 0)


def reached(case: Case, register: Snapshot, model: DialogueModel, applicant: str | None = None) -> Rows:
    """The rows that `audience` would invite where nobody subscribes and no official added or removed somebody."""
    parts = geometry.parts_of(case.geometries)
    found = [(ring, _in(ring, case, register, parts)) for ring in reaches(case, model)]
    named = [row for name in dict.fromkeys(case.named) if (row := register.row(name)) is not None]
    every = np.unique(np.concatenate([np.array(named, dtype=np.int64), *(rows for _, rows in found)]))
    kept = every[register.status[every] == STATUSES.index("active")]
    if applicant is not None:
        kept = kept[[register.recipient_id(row) != applicant for row in kept.tolist()]]
    measured = [rows for ring, rows in found if ring.geometry in ROLES]
    direct = [rows for ring, rows in found if ring.id == DIRECT]
    return Rows(kept, _among(kept, direct), int(_among(kept, measured).sum()), parts)


def _in(ring: Reach, case: Case, register: Snapshot, parts: Sequence[Part]) -> Indices:
    if ring.geometry == "municipality":
        return register.in_municipality(case.municipality, ring.codes)
    if ring.geometry == "any":
        return register.everywhere(ring.codes)
    asked = [part for part in parts if part.role in ROLES[ring.geometry]]
    near = [register.near(part, ring.buffer_m or 0, ring.codes)[0] for part in asked]
    return np.concatenate([np.empty(0, dtype=np.int64), *near])


def _among(kept: Indices, found: Sequence[Indices]) -> Booleans:
    return np.isin(kept, np.concatenate([np.empty(0, dtype=np.int64), *found]))
