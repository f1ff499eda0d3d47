"""Who asked to hear of a case: subscribers by their areas and industries, and who answered on it before.

A case is near a subscriber when its geometry comes within the subscriber's own radius, measured as the matcher
measures everything: metres in SWEREF 99 TM (EPSG:3006) on the exact geometry, the border counts as within. A drawn or a
named area hears of what touches it; its lines are straight in degrees as the case's are (RFC 7946 §3.1.1), so both are
compared there. What lies wholly within an excluded area is not heard of, and of the rest only what lies outside counts.
A case without a place is near nobody, so a circle hears of it only by an industry that it names, or where the dialogue
model's stage asks subscribers as such. A stage that must be silent is silent to subscribers too (dialogue rule 3).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

import numpy as np
import shapely

from schemas import geojson, industries
from schemas.case import Case
from schemas.complaints import Complaint
from schemas.invitation import InvitedWorkplace, Reason
from schemas.model import DialogueModel
from schemas.subscription import Following, Subscription
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
    radii: Floats = field(default_factory=lambda: np.empty(0))
    areas: tuple[int, ...] = ()
    """Which of `all` are drawn or named areas; the index below follows it."""
    surfaces: shapely.STRtree = field(default_factory=lambda: shapely.STRtree([]))
    excluded: Mapping[int, Shape] = field(default_factory=dict)
    """Row → what it does not want to hear of, in degrees."""
    followers: Mapping[str, tuple[Following, ...]] = field(default_factory=dict)
    """Case key → who answered on it before, in order of recipient."""


NOBODY: Final = Subscribers()


def complaint(subscription: Subscription) -> Complaint | None:
    """The first thing wrong with a subscription, or None: what crosses itself has no inside to hear of, and of a circle
    in the Arabian Sea or an industry that does not exist nobody would ever hear.
    """
    area = subscription.area
    for i, item in enumerate(subscription.industries):
        try:
            industries.parse(item.code, item.version)
        except industries.UnknownCode as error:
            return Complaint("unknown_code", str(error), f"/industries/{i}/code")
    if area.circle is not None:
        wrong = geojson.misplaced("/area/circle", area.circle.longitude, area.circle.latitude, anywhere=False)
        if wrong is not None and wrong.code == geojson.AXIS_ORDER:
            return wrong
    shapes = {"/area/geometry": area.geometry} if area.geometry else {}
    shapes |= {f"/area/exclude/{i}": shape for i, shape in enumerate(area.exclude)}
    for pointer, shape in shapes.items():
        if wrong := geojson.check(shape, anywhere=True):
            return wrong.under(pointer)
    return None


def columns(
    subscriptions: Iterable[Subscription], position: int = 0, followings: Iterable[Following] = ()
) -> Subscribers:
    """The columns of these subscriptions."""
    rows = tuple(sorted(map(_bare, subscriptions), key=lambda row: row.subscription_id))
    circles = [(i, row.area.circle) for i, row in enumerate(rows) if row.area.circle is not None]
    surfaces = [(i, row.area.geometry) for i, row in enumerate(rows) if row.area.geometry is not None]
    lon = np.array([circle.longitude for _, circle in circles], dtype=np.float64)
    lat = np.array([circle.latitude for _, circle in circles], dtype=np.float64)
    return Subscribers(
        rows,
        position,
        tuple(i for i, _ in circles),
        shapely.points(*geometry.to_grid(lon, lat)),
        np.array([circle.radius_m for _, circle in circles], dtype=np.float64),
        tuple(i for i, _ in surfaces),
        shapely.STRtree([_shape(surface) for _, surface in surfaces]),
        {
            i: shapely.union_all([_shape(one) for one in row.area.exclude])
            for i, row in enumerate(rows)
            if row.area.exclude
        },
        _by_case(followings),
    )


def _bare(row: Subscription) -> Subscription:
    """With its codes in their one form, as those that they are compared with are."""
    codes = [industries.parse(item.code, item.version) for item in row.industries]
    if all(item.code == code for item, code in zip(row.industries, codes, strict=True)):
        return row
    found = [item.model_copy(update={"code": code}) for item, code in zip(row.industries, codes, strict=True)]
    return row.model_copy(update={"industries": found})


def _shape(surface: geojson.Simple) -> Shape:
    shape = geojson.in_degrees(surface)
    return shape if shape.is_valid else shapely.union_all(shape.geoms)  # of parts that overlap each other


def _by_case(followings: Iterable[Following]) -> Mapping[str, tuple[Following, ...]]:
    cases: dict[str, list[Following]] = {}
    for following in followings:
        cases.setdefault(following.case_key, []).append(following)
    return {key: in_order(found) for key, found in cases.items()}


def in_order(followings: Iterable[Following]) -> tuple[Following, ...]:
    """Of one case, in order of recipient."""
    return tuple(sorted(followings, key=lambda item: item.recipient_id))


def asked(
    case: Case, model: DialogueModel, subscribers: Subscribers, codes: Codes, parts: Sequence[Part]
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
        whole = row.area.kind == "municipality"
        named = bool(row.industries) and codes is not None
        if i in near:
            found.append(Asked(row, near[i]))
        elif _is_excluded(parts, subscribers.excluded.get(i)):
            continue
        elif whole or (case.area == "municipality" and (everybody or named)):
            found.append(Asked(row, None))
    return tuple(found)


def invited(
    found: Sequence[Asked], also: Iterable[tuple[str, str, Reason]] = ()
) -> dict[str, tuple[InvitedWorkplace, ...]]:
    """Per subscriber what its invitation says. A subscription that is about no workplace stands under its own id.
    `also` are further reasons: recipient, place, reason.
    """
    members: dict[str, dict[str, list[Reason]]] = {}
    own = (
        (row.recipient_id, row.area.workplace_id or row.subscription_id, _reason(item))
        for item in found
        for row in [item.subscription]
    )
    for recipient, place, reason in (*own, *also):
        members.setdefault(recipient, {}).setdefault(place, []).append(reason)
    return {
        recipient: tuple(_invited(place, reasons) for place, reasons in sorted(places.items())[:MAX_WORKPLACES])
        for recipient, places in sorted(members.items())
    }


def _invited(place: str, reasons: Sequence[Reason]) -> InvitedWorkplace:
    metres = [reason.distance_m for reason in reasons if reason.distance_m is not None]
    return InvitedWorkplace(workplace_id=place, distance_m=min(metres, default=None), reasons=list(reasons[:50]))


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
    """Per row the distance to the nearest part of a case, where it is within the row's own area."""
    nearest: dict[int, float] = {}
    for part in parts:
        for row, metres in (*_in_circles(part, subscribers), *_in_areas(part, subscribers)):
            heard = _beside(part, subscribers, row) if row in subscribers.excluded else metres
            if heard is not None:
                nearest[row] = min(heard, nearest.get(row, np.inf))
    return nearest


def _in_circles(part: Part, subscribers: Subscribers) -> Iterator[tuple[int, float]]:
    if subscribers.circles:
        metres = geometry.distances(part, subscribers.points)
        for place in np.flatnonzero(metres <= subscribers.radii + geometry.SLACK_M).tolist():
            yield subscribers.circles[place], round(float(metres[place]), 2)


def _in_areas(part: Part, subscribers: Subscribers) -> Iterator[tuple[int, float]]:
    if subscribers.areas:
        for place in np.sort(subscribers.surfaces.query(part.degrees, predicate="intersects")).tolist():
            yield subscribers.areas[place], 0.0


def _beside(part: Part, subscribers: Subscribers, row: int) -> float | None:
    """The distance to what of a part lies outside the excluded areas, where that is still within the row's own area."""
    rest = shapely.difference(part.degrees, subscribers.excluded[row])
    if rest.is_empty:
        return None
    known = subscribers.all[row]
    bare = known.model_copy(update={"area": known.area.model_copy(update={"exclude": []})})
    return _near([Part(part.role, geometry.project(rest), rest)], columns([bare])).get(0)


def _is_excluded(parts: Sequence[Part], excluded: Shape | None) -> bool:
    """Whether a case that has a place lies wholly within what is not wanted."""
    return excluded is not None and bool(parts) and all(shapely.covers(excluded, part.degrees) for part in parts)


def _asks_subscribers(case: Case, model: DialogueModel) -> bool:
    stage = model.stage(case.case_type, case.stage)
    return any(ring.geometry == RING and ring.delivery == "direct" for ring in (stage.rings if stage else []))
