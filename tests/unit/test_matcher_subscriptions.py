"""Subscribers: near by their own radius, concerned by their own industries, silent where the stage is silent."""

from collections.abc import MutableMapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from schemas import model as dialogue_model
from schemas.case import Case
from schemas.subscription import EXAMPLE, SUBSCRIPTION_CHANGED, Subscription
from services.matcher import geometry
from services.matcher.audience import audience
from services.matcher.subscriptions import columns, complaint
from services.matcher.tables.subscriptions import SubscriptionTable
from services.matcher.workplaces import snapshot
from services.runtime.clock import SystemClock
from services.runtime.parsing import outgoing
from services.runtime.records import Record
from tests.matcher_cases import content

MODEL = dialogue_model.default()
NOWHERE = snapshot([])
CENTRE = {"longitude": 18.03, "latitude": 59.4}
WIDE = {"geometries": [], "area": "municipality"}


def follows(radius: float = 800, number: int = 1, **changes: Any) -> Subscription:
    circle = {**CENTRE, "radius_m": radius, **changes.pop("at", {})}
    area = {"kind": "circle", "label": f"{radius:.0f} m", "circle": circle}
    identity = {"subscription_id": f"s{number}", "recipient_id": f"p{number}"}
    return Subscription.model_validate({**EXAMPLE, "industries": [], "area": area, **identity, **changes})


def everywhere(**changes: Any) -> Subscription:
    return follows(**{"area": {"kind": "municipality", "label": "hela kommunen"}, **changes})


def invited(*rows: Subscription, **changes: Any) -> list[str]:
    case = Case.model_validate(content(**changes))
    return [member.recipient_id for member in audience(case, NOWHERE, MODEL, subscribers=columns(rows)).members]


def test_a_case_within_the_radius_invites_the_subscriber_and_says_which_area() -> None:
    case = Case.model_validate(content())
    (member,) = audience(case, NOWHERE, MODEL, subscribers=columns([follows()])).members
    (place,) = member.workplaces
    (reason,) = place.reasons
    assert (reason.kind, reason.subscription_id, reason.area, reason.distance_m) == ("subscription", "s1", "800 m", 0.0)


def test_a_case_outside_the_radius_does_not() -> None:
    assert invited(follows(200, at={"latitude": 59.41})) == []


def test_an_industry_that_the_case_does_not_concern_does_not() -> None:
    food, forestry = [{"code": "56", "version": "2025"}], [{"code": "02", "version": "2025"}]
    reach = [{"buffer_m": 100, "industries": [{"code": "56110", "version": "2025"}], "why": "mat"}]
    assert invited(follows(industries=food), reach=reach) == ["p1"]
    assert invited(follows(industries=forestry), reach=reach) == []


def test_a_case_without_a_place_is_near_nobody() -> None:
    named = [{"code": "56110", "version": "2025"}]
    wide = {**WIDE, "case_type": "upphandling", "stage": "behov", "industries": named}
    assert invited(follows(), **wide) == []
    assert invited(follows(industries=[{"code": "56", "version": "2025"}]), **wide) == ["p1"]
    assert invited(everywhere(), **wide) == ["p1"]


def test_a_stage_that_asks_subscribers_asks_them_all() -> None:
    assert invited(follows(), **WIDE, case_type="oversiktsplan", stage="samrad") == ["p1"]


def test_another_municipality_is_not_followed() -> None:
    assert invited(follows(municipality="0180")) == []


def test_two_subscriptions_of_one_subscriber_are_one_invitation_with_both_reasons() -> None:
    case = Case.model_validate(content())
    rows = [follows(), follows(number=2, recipient_id="p1")]
    (member,) = audience(case, NOWHERE, MODEL, subscribers=columns(rows)).members
    assert [place.reasons[0].subscription_id for place in member.workplaces] == ["s1", "s2"]


def square(west: float, south: float, east: float, north: float) -> dict[str, Any]:
    corners = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    return {"type": "Polygon", "coordinates": [corners]}


def drawn(shape: dict[str, Any], *exclude: dict[str, Any], **changes: Any) -> Subscription:
    area = {"kind": "area", "label": "Mörby", "geometry": shape, "exclude": list(exclude)}
    return follows(**{"area": area, **changes})


HOME = square(18.02, 59.39, 18.03, 59.40)
"""The tests' case is a point at its north-eastern corner."""


def test_a_drawn_area_hears_of_what_touches_it_and_of_nothing_beside_it() -> None:
    assert invited(drawn(HOME)) == ["p1"]
    assert invited(drawn(square(18.02, 59.39, 18.0299, 59.40))) == []
    road = {"type": "LineString", "coordinates": [[18.0, 59.395], [18.1, 59.395]]}
    assert invited(drawn(HOME), geometries=[{"role": "road", "geometry": road}]) == ["p1"]


def test_an_excluded_area_is_not_heard_of_by_circle_drawn_area_or_whole_municipality() -> None:
    there, elsewhere = square(18.029, 59.399, 18.031, 59.401), square(18.0, 59.39, 18.01, 59.40)
    for row in (follows(), drawn(HOME), everywhere()):
        for exclude, heard in ((there, []), (elsewhere, ["p1"])):
            area = row.area.model_dump() | {"exclude": [exclude]}
            assert invited(follows(area=area)) == heard, (row.area.kind, exclude)


def test_of_a_case_that_lies_partly_in_an_excluded_area_only_the_rest_counts() -> None:
    road = {"type": "LineString", "coordinates": [[18.03, 59.4], [18.05, 59.4]]}
    places = [{"role": "road", "geometry": road}]
    near_end, all_of_it = square(18.02, 59.39, 18.04, 59.41), square(18.02, 59.39, 18.06, 59.41)
    area = follows(100).area.model_dump()
    assert invited(follows(100), geometries=places) == ["p1"]
    assert invited(follows(area=area | {"exclude": [near_end]}), geometries=places) == [], "the rest is 570 m away"
    assert invited(follows(area=follows(600).area.model_dump() | {"exclude": [near_end]}), geometries=places) == ["p1"]
    assert invited(everywhere(area={"kind": "municipality", "label": "x", "exclude": [near_end]}), geometries=places)
    assert not invited(
        everywhere(area={"kind": "municipality", "label": "x", "exclude": [all_of_it]}), geometries=places
    )


def test_a_subscriber_of_an_industry_hears_of_a_stage_that_asks_subscribers_and_organisations() -> None:
    food = [{"code": "56", "version": "2025"}]
    assert invited(everywhere(industries=food), **WIDE, case_type="budget", stage="forutsattningar") == ["p1"]


@pytest.mark.anyio
async def test_an_area_that_crosses_itself_is_skipped_and_said(logged: list[MutableMapping[str, Any]]) -> None:
    crossing = {
        "type": "Polygon",
        "coordinates": [[[18.0, 59.4], [18.1, 59.5], [18.1, 59.4], [18.0, 59.5], [18.0, 59.4]]],
    }
    table = SubscriptionTable()
    await table.apply([recorded(drawn(crossing))])
    assert table.snapshot().all == ()
    assert [line["reason"] for line in logged] == ["invalid_polygon"]


@settings(max_examples=60)
@given(
    st.lists(st.tuples(st.floats(17.98, 18.1), st.floats(59.38, 59.43), st.floats(50, 3000)), max_size=20),
    st.lists(st.tuples(st.floats(17.98, 18.1), st.floats(59.38, 59.43)), min_size=2, max_size=5, unique=True),
)
def test_the_columns_find_whom_one_by_one_finds(
    circles: list[tuple[float, float, float]], line: list[tuple[float, float]]
) -> None:
    rows = [
        follows(radius, number, at={"longitude": lon, "latitude": lat})
        for number, (lon, lat, radius) in enumerate(circles)
    ]
    road = [{"role": "road", "geometry": {"type": "LineString", "coordinates": [list(point) for point in line]}}]
    metric = shapely.LineString(
        np.column_stack(geometry.to_grid(*(np.array(axis) for axis in zip(*line, strict=True))))
    )
    near = set()
    for row, (lon, lat, radius) in zip(rows, circles, strict=True):
        point = shapely.Point(*(float(axis[0]) for axis in geometry.to_grid(np.array([lon]), np.array([lat]))))
        metres = metric.distance(point)
        if abs(metres - radius) < 15:
            return  # an edge of some kilometres is straight in degrees and bends in the grid
        near |= {row.recipient_id} if metres <= radius else set()
    assert set(invited(*rows, geometries=road)) == near


def recorded(row: Subscription) -> Record:
    sent = outgoing("subscriptions", "s1", row, type=SUBSCRIPTION_CHANGED, id="1", source="t", time=SystemClock().now())
    headers = tuple((name, value.encode()) for name, value in sent.headers.items())
    return Record("subscriptions", 0, 0, b"s1", sent.value, headers, 0)


@pytest.mark.anyio
async def test_a_tombstone_ends_a_subscription_and_the_position_only_grows() -> None:
    table = SubscriptionTable()
    sent = recorded(follows())
    await table.apply([sent])
    before = table.snapshot()
    await table.apply([Record("subscriptions", 0, 1, b"s1", None, (), 0)])
    after = table.snapshot()
    await table.apply([replace(sent, offset=2, key=b"another")])
    assert table.snapshot().all == (), "a fact under another's key would outlive its own tombstone"
    assert [item.subscription_id for item in before.all] == ["s1"]
    assert after.all == ()
    assert after.position > before.position


@pytest.mark.parametrize("code", ["56.110", "56 110", "I56.110"])
def test_a_subscriptions_code_is_one_however_it_is_spelled(code: str) -> None:
    """FC-085."""
    asked = [{"code": code, "version": "2025"}]
    case = {**WIDE, "case_type": "taxa", "stage": "utredning", "industries": [{"code": "56", "version": "2025"}]}
    assert invited(everywhere(industries=asked), **case) == ["p1"]
    assert invited(everywhere(industries=[{"code": "01.110", "version": "2025"}]), **case) == []


def test_a_subscription_that_nobody_could_hear_by_is_refused_with_what_to_do() -> None:
    swapped = complaint(follows(at={"longitude": 59.4, "latitude": 18.03}))
    assert swapped is not None
    assert (swapped.code, swapped.pointer) == ("axis_order", "/area/circle")
    unknown = complaint(follows(industries=[{"code": "99.999", "version": "2025"}]))
    assert unknown is not None
    assert (unknown.code, unknown.pointer) == ("unknown_code", "/industries/0/code")
    assert complaint(follows()) is None


def test_a_subscriptions_id_is_never_a_personal_number_because_it_stands_where_a_workplaces_id_does() -> None:
    with pytest.raises(ValidationError, match="personal number"):
        follows(subscription_id="640823-3234")
