"""When nobody is invited until a person has looked: a slip must not become a thousand letters.

Each hold has a stable code and says with its numbers what an official should check. A round that several guards hold
says all of them, because one release passes all. Nothing is cut down to fit: who is reached is counted in full.
Sources: the field cases of wrong places (FC-016), of dates that nobody means (FC-020) and of areas
that suddenly reach everybody (FC-024).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

import shapely

from schemas.case import Case
from services.matcher import municipalities
from services.matcher.dialogue.deviations import PROCEDURE
from services.matcher.dialogue.plan import StagePlan
from services.matcher.dialogue.working_days import local_day
from services.matcher.geometry import Part
from services.matcher.workplaces import STATUSES, Snapshot


@dataclass(frozen=True)
class Limits:
    """The guards' limits. With `outside` geometries may lie outside the municipality; `share` is of the active
    workplaces of the register, or of the municipality; `horizon_days` is how far ahead an answer, an event or a stage
    may lie.
    """

    outside: bool = False
    margin_m: float = 2000
    share: float = 0.8
    smallest_register: int = 50
    horizon_days: int = 400


@dataclass(frozen=True)
class Hold:
    """Why a round waits."""

    reason: str
    detail: str


NO_REGISTER: Final = Hold("no_register", "no complete register import yet; run `nardialog companies import`")
DECISION_HORIZON: Final = timedelta(days=3653)
"""Ten years: an adopted plan may be long in coming."""


def hold(
    case: Case,
    planned: StagePlan,
    parts: Sequence[Part],
    by_distance: int,
    register: Snapshot,
    limits: Limits,
    day: date,
) -> Hold | None:
    """Why to wait, or None: the first reason, and the names of the others in its detail. `parts` are the case's
    geometries in the grid, and `by_distance` is how many active workplaces they reach.
    """
    found = [
        *_outside(case, parts, limits),
        *_too_many(case, by_distance, register, limits),
        *_implausible(case, planned, limits, day),
        *_too_soon(case, planned),
        *_unexplained(planned),
    ]
    if not found:
        return None
    others = ", ".join(dict.fromkeys(item.reason for item in found[1:] if item.reason != found[0].reason))
    return Hold(found[0].reason, f"{found[0].detail} (also: {others})" if others else found[0].detail)


def _outside(case: Case, parts: Sequence[Part], limits: Limits) -> Iterator[Hold]:
    if limits.outside or not parts:
        return
    if (border := municipalities.grown(case.municipality, limits.margin_m)) is None:
        yield Hold(
            "outside_municipality",
            f"no municipality has the code {case.municipality}, so nobody can say whether the geometry lies in it; "
            "correct it, or release it if it is meant",
        )
        return
    for i, part in enumerate(parts):
        if not shapely.covers(border, part.metric):
            yield Hold(
                "outside_municipality",
                f"part {i + 1} of the geometry lies more than {limits.margin_m:.0f} m outside municipality "
                f"{case.municipality}; correct it, or release it if it is meant",
            )
            return


def _too_many(case: Case, by_distance: int, register: Snapshot, limits: Limits) -> Iterator[Hold]:
    """Of the whole register, or of the case's own municipality where the register has several."""
    if by_distance < limits.share * limits.smallest_register:
        return
    own = register.in_municipality(case.municipality, None)
    placed = int(((register.status[own] == STATUSES.index("active")) & (register.slot[own] >= 0)).sum())
    for active, where in ((register.active_placed, ""), (placed, f" in municipality {case.municipality}")):
        if active >= limits.smallest_register and by_distance >= limits.share * active:
            of = f"{by_distance} of {active}" if by_distance <= active else f"{by_distance}, more than the {active}"
            meant = "correct it, or release it if it is meant"
            yield Hold("too_many", f"the geometry reaches {of} workplaces{where}; {meant}")
            return


def _implausible(case: Case, planned: StagePlan, limits: Limits, day: date) -> Iterator[Hold]:
    """Dates that the calendar has and nobody means. What is past ends the round without a guard."""
    latest = day + timedelta(days=limits.horizon_days)
    meeting = local_day(case.meeting.start) if case.meeting else None
    ahead = {
        "respond_by": case.respond_by,
        "event_at": local_day(case.event_at) if case.event_at else None,
        "meeting/start": meeting,
        "stage_opened": case.stage_opened,
    }
    for name, given in ahead.items():
        if given is not None and given > latest:
            yield _slip(name, given, f"is more than {limits.horizon_days} days ahead")
    if case.decision_at is not None and case.decision_at > day + DECISION_HORIZON:
        yield _slip("decision_at", case.decision_at, "is more than ten years ahead")
    if planned.plan.asks and meeting is not None and meeting < day:
        yield _slip("meeting/start", meeting, f"was before {day}")
    if planned.respond_by is not None and case.decision_at is not None and case.decision_at < planned.respond_by:
        yield _slip("decision_at", case.decision_at, f"is before the last day to answer, {planned.respond_by}")


def _slip(name: str, given: date, what: str) -> Hold:
    return Hold("implausible_date", f"{name} {given} {what}; correct it, or release it if it is meant")


def _too_soon(case: Case, planned: StagePlan) -> Iterator[Hold]:
    earliest = planned.earliest_respond_by
    known = next((f" to one of {item.model}" for item in planned.deviations if item.kind == PROCEDURE), "")
    if earliest is not None and planned.respond_by is not None and planned.respond_by < earliest:
        yield Hold(
            "respond_by_under_floor",
            f"respond_by {planned.respond_by} is sooner than the law allows ({earliest}); "
            f"move it, or set procedure{known}",
        )


def _unexplained(planned: StagePlan) -> Iterator[Hold]:
    for item in planned.unexplained:
        yield Hold(
            "deviation_without_reason",
            f"{_DEVIATIONS[item.kind].format(case=item.case[:40], model=item.model[:60])}; "
            "say why in deviation_reason, or release it",
        )


_DEVIATIONS: Final = {
    "form": "the form {case} is not one of this stage's in the dialogue model ({model})",
    "reach": "reach ({case}) replaces the dialogue model's rings ({model})",
    "deadline": "respond_by {case} is sooner than the dialogue model proposes ({model})",
}
