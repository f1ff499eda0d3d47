"""When nobody is invited until a person has looked: a slip must not become a thousand letters.

Each hold has a stable code and says with its numbers what an official should check. Sources: DESIGN §2 Release; the
field cases of wrong places (FC-016) and of areas that suddenly reach everybody (FC-024).
"""

from dataclasses import dataclass

import shapely

from schemas.case import Case
from services.matcher import geometry, municipalities
from services.matcher.audience import Audience
from services.matcher.dialogue.plan import StagePlan
from services.matcher.workplaces import Snapshot


@dataclass(frozen=True)
class Limits:
    """The guards' limits. With `outside` geometries may lie outside the municipality."""

    outside: bool = False
    margin_m: float = 2000
    share: float = 0.8
    smallest_register: int = 50


@dataclass(frozen=True)
class Hold:
    """Why a round waits."""

    reason: str
    detail: str


NO_REGISTER = Hold("no_register", "no complete register import yet; run `nardialog companies import`")


def hold(case: Case, planned: StagePlan, reached: Audience, register: Snapshot, limits: Limits) -> Hold | None:
    """The first reason to wait, or None."""
    return _outside(case, limits) or _too_many(reached, register, limits) or _too_soon(case, planned)


def _outside(case: Case, limits: Limits) -> Hold | None:
    if limits.outside or (border := municipalities.grown(case.municipality, limits.margin_m)) is None:
        return None
    for i, part in enumerate(geometry.parts_of(case.geometries)):
        if not shapely.covers(border, part.metric):
            return Hold(
                "outside_municipality",
                f"part {i + 1} of the geometry lies more than {limits.margin_m:.0f} m outside municipality "
                f"{case.municipality}; correct it, or release it if it is meant",
            )
    return None


def _too_many(reached: Audience, register: Snapshot, limits: Limits) -> Hold | None:
    active = register.active_placed
    if active < limits.smallest_register or reached.by_distance <= limits.share * active:
        return None
    return Hold(
        "too_many",
        f"the geometry reaches {reached.by_distance} of {active} workplaces; correct it, or release it if it is meant",
    )


def _too_soon(case: Case, planned: StagePlan) -> Hold | None:
    earliest = planned.earliest_respond_by
    if earliest is None or planned.respond_by is None or planned.respond_by >= earliest:
        return None
    return Hold(
        "respond_by_under_floor",
        f"respond_by {planned.respond_by} is sooner than the law allows ({earliest}); move it, or set procedure",
    )
