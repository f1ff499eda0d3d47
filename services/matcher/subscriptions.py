"""Who asked to hear of a case: subscribers by their areas and industries.

A case is near a subscriber when its geometry comes within the subscriber's own radius, measured as the matcher
measures everything: metres in SWEREF 99 TM (EPSG:3006) on the exact geometry, the border counts as within. A case
without a place is near nobody, so a circle hears of it only by an industry that it names, or where the dialogue
model's stage asks subscribers as such. A stage that must be silent is silent to subscribers too (DIALOGUE §3.3 rule 3).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

import numpy as np
import shapely

from schemas.case import Case
from schemas.invitation import InvitedWorkplace, Reason
from schemas.model import DialogueModel
from schemas.subscription import Subscription
from schemas.types import MAX_WORKPLACES
from services.matcher import geometry, industry
from services.matcher.geometry import Floats, Part, Shape

RING: Final = "subscription"
Codes: TypeAlias = tuple[industry.CodeSet, ...] | None
"""The industries that a case concerns; None where some ring asks for all."""


@dataclass(frozen=True)
class Asked:
    """One subscription that meets a case, and the distance where one was measured."""

    subscription: Subscription
    distance_m: float | None


@dataclass(frozen=True)
class Subscribers:
    """All subscriptions as columns, in order of id. `position` grows with every change."""

    all: tuple[Subscription, ...] = ()
    position: int = 0
    circles: tuple[int, ...] = ()
    """Which of `all` are circles; the columns below follow it."""
    points: Shape = field(default_factory=lambda: shapely.points(np.empty((0, 2))))
    degrees: Shape = field(default_factory=lambda: shapely.points(np.empty((0, 2))))
    radii: Floats = field(default_factory=lambda: np.empty(0))


NOBODY: Final = Subscribers()


def columns(subscriptions: Iterable[Subscription], position: int = 0) -> Subscribers:
    """The columns of these subscriptions."""
    rows = tuple(sorted(subscriptions, key=lambda row: row.subscription_id))
    circles = [(i, row.area.circle) for i, row in enumerate(rows) if row.area.circle is not None]
    if not circles:
        return Subscribers(rows, position)
    lon = np.array([circle.longitude for _, circle in circles], dtype=np.float64)
    lat = np.array([circle.latitude for _, circle in circles], dtype=np.float64)
    return Subscribers(
        rows,
        position,
        tuple(i for i, _ in circles),
        shapely.points(*geometry.to_grid(lon, lat)),
        shapely.points(lon, lat),
        np.array([circle.radius_m for _, circle in circles], dtype=np.float64),
    )


def asked(
    case: Case, model: DialogueModel, subscribers: Subscribers, codes: Codes, parts: Iterable[Part]
) -> tuple[Asked, ...]:
    """The subscriptions that a case meets. `codes` are the industries that it concerns; None means all. `parts` are its
    geometries in the grid.
    """
    near = _near(parts, subscribers)
    everybody = _asks_subscribers(case, model)
    found = []
    for i, row in enumerate(subscribers.all):
        if row.municipality != case.municipality or not _concerns(row, codes):
            continue
        wide = case.area == "municipality" or row.area.kind == "municipality"
        named = bool(row.industries) and codes is not None
        if i in near:
            found.append(Asked(row, near[i]))
        elif wide and (row.area.kind == "municipality" or everybody or named):
            found.append(Asked(row, None))
    return tuple(found)


def invited(found: Sequence[Asked]) -> dict[str, tuple[InvitedWorkplace, ...]]:
    """Per subscriber what its invitation says. A subscription that is about no workplace stands under its own id."""
    members: dict[str, dict[str, list[Asked]]] = {}
    for item in found:
        row = item.subscription
        places = members.setdefault(row.recipient_id, {})
        places.setdefault(row.area.workplace_id or row.subscription_id, []).append(item)
    return {
        recipient: tuple(_invited(place, items) for place, items in sorted(places.items())[:MAX_WORKPLACES])
        for recipient, places in sorted(members.items())
    }


def _invited(place: str, items: Sequence[Asked]) -> InvitedWorkplace:
    metres = [item.distance_m for item in items if item.distance_m is not None]
    return InvitedWorkplace(
        workplace_id=place, distance_m=min(metres, default=None), reasons=[_reason(item) for item in items[:50]]
    )


def _reason(item: Asked) -> Reason:
    row = item.subscription
    return Reason(
        kind="subscription",
        ring=RING,
        distance_m=item.distance_m,
        buffer_m=row.area.circle.radius_m if row.area.circle else None,
        subscription_id=row.subscription_id,
        area=row.area.label,
    )


def concerned(code_sets: Iterable[Codes]) -> Codes:
    """The industries of all rings together."""
    found: list[industry.CodeSet] = []
    for sets in code_sets:
        if sets is None:
            return None
        found += sets
    return tuple(found) or None


def _concerns(row: Subscription, codes: Codes) -> bool:
    if codes is None or not row.industries:
        return True
    return any(industry.overlap(code, codes) for code in row.industries)


def _near(parts: Iterable[Part], subscribers: Subscribers) -> Mapping[int, float]:
    """Per row the distance to the nearest part of a case, where it is within the row's own radius."""
    nearest: dict[int, float] = {}
    if not subscribers.circles:
        return nearest
    for part in parts:
        metres = geometry.distances(part, subscribers.points, subscribers.degrees)
        for place in np.flatnonzero(metres <= subscribers.radii + geometry.SLACK_M).tolist():
            row = subscribers.circles[place]
            nearest[row] = min(round(float(metres[place]), 2), nearest.get(row, np.inf))
    return nearest


def _asks_subscribers(case: Case, model: DialogueModel) -> bool:
    stage = model.stage(case.case_type, case.stage)
    return any(ring.geometry == RING and ring.delivery == "direct" for ring in (stage.rings if stage else []))
