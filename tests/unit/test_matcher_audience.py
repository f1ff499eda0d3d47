"""Who is affected: the audience against a naive oracle, and the field's hard places."""

import json
from typing import Any

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Transformer

from schemas import model as dialogue_model
from schemas.case import Case
from schemas.company import Company
from schemas.identity import DEMO_RECIPIENT_KEY, recipient_id
from schemas.model import DialogueModel
from services.matcher.audience import Audience, audience
from services.matcher.workplaces import content_hash, snapshot
from tests.matcher_cases import content

MODEL = dialogue_model.default()
TO_GRID = Transformer.from_crs("EPSG:4326", "EPSG:3006", always_xy=True)


def company(workplace_id: str, lon: float | None, lat: float | None, *codes: str, **changes: Any) -> Company:
    organisation = changes.pop("organisation", workplace_id)
    content: dict[str, Any] = {
        "municipality": "0162",
        "workplace_id": workplace_id,
        "recipient_id": recipient_id(organisation, DEMO_RECIPIENT_KEY),
        "organisation": organisation,
        "name": workplace_id,
        "lon": lon,
        "lat": lat,
        "sni": [{"code": code, "version": "2025"} for code in codes],
    }
    return Company.model_validate(content | changes)


def case(*geometries: dict[str, Any], **changes: Any) -> Case:
    places = [g if "role" in g else {"role": "site", "geometry": g} for g in geometries]
    return Case.model_validate(content(geometries=places) | changes)


def point(lon: float, lat: float) -> dict[str, Any]:
    return {"type": "Point", "coordinates": [lon, lat]}


def ring(buffer_m: float, *codes: str) -> dict[str, Any]:
    industries: Any = [{"code": code, "version": "2025"} for code in codes] if codes else "all"
    return {"buffer_m": buffer_m, "industries": industries, "why": "prov"}


def run(item: Case, *companies: Company, model: DialogueModel = MODEL, applicant: str | None = None) -> Audience:
    return audience(item, snapshot(companies), model, applicant)


def invited(found: Audience) -> dict[str, float | None]:
    return {w.workplace_id: w.distance_m for member in found.members for w in member.workplaces}


def test_a_radius_is_in_metres_of_the_national_grid_not_of_a_web_map() -> None:
    """FC-012, FC-013."""
    found = run(
        case(point(18.03, 59.40), reach=[ring(100)]),
        company("east 90 m", 18.031584, 59.40),
        company("north 110 m", 18.03, 59.400987),
    )
    assert invited(found) == {"east 90 m": pytest.approx(90, abs=1)}


def test_a_hole_is_outside_and_its_distance_is_to_the_inner_edge() -> None:
    """FC-007."""
    east, north = 672018.58, 6588510.07
    back = Transformer.from_crs("EPSG:3006", "EPSG:4326", always_xy=True)

    def square(half: float) -> list[list[float]]:
        corners = [(-1, -1), (1, -1), (1, 1), (-1, 1), (-1, -1)]
        return [list(back.transform(east + half * dx, north + half * dy)) for dx, dy in corners]

    plan = {"type": "Polygon", "coordinates": [square(300), square(100)[::-1]]}
    centre = company("centre", *back.transform(east, north))
    assert invited(run(case(plan, reach=[ring(0)]), centre)) == {}
    assert invited(run(case(plan, reach=[ring(150)]), centre)) == {"centre": pytest.approx(100, abs=0.1)}


def test_a_collection_is_the_union_of_its_parts_and_the_nearest_counts() -> None:
    """FC-009."""
    polygon = {"type": "Polygon", "coordinates": [[[18.05, 59.4], [18.052, 59.4], [18.052, 59.401], [18.05, 59.4]]]}
    collection = {"type": "GeometryCollection", "geometries": [point(18.03, 59.4), polygon]}
    found = run(case(collection, reach=[ring(100)]), company("P", 18.0301, 59.4), company("Q", 18.0515, 59.4005))
    assert invited(found) == {"P": pytest.approx(5.7, abs=0.2), "Q": 0.0}


def test_a_height_is_ignored() -> None:
    """FC-010."""
    found = run(case({"type": "Point", "coordinates": [18.03, 59.4, 12.5]}, reach=[ring(1)]), company("W", 18.03, 59.4))
    assert invited(found) == {"W": 0.0}


def test_the_border_counts_as_inside_of_both_areas_that_share_it() -> None:
    """FC-011."""
    west = {
        "type": "Polygon",
        "coordinates": [[[18.0, 59.4], [18.03, 59.4], [18.03, 59.41], [18.0, 59.41], [18.0, 59.4]]],
    }
    east = {
        "type": "Polygon",
        "coordinates": [[[18.03, 59.4], [18.06, 59.4], [18.06, 59.41], [18.03, 59.41], [18.03, 59.4]]],
    }
    on_both, on_south = company("B", 18.03, 59.405), company("S", 18.015, 59.4)
    assert invited(run(case(west, reach=[ring(0)]), on_both, on_south)) == {"B": 0.0, "S": 0.0}
    assert invited(run(case(east, reach=[ring(0)]), on_both, on_south)) == {"B": 0.0}
    both = run(case({"role": "site", "geometry": west}, {"role": "zone", "geometry": east}, reach=[ring(0)]), on_both)
    assert len(both.members) == 1


def test_a_workplace_with_three_codes_gets_one_invitation_with_three_reasons() -> None:
    """FC-019."""
    found = run(
        case(point(18.03, 59.4), reach=[ring(50, "56.110", "47.242", "10")]),
        company("W", 18.03, 59.4, "56110", "47242", "10710"),
    )
    (member,) = found.members
    codes = [(r.code, r.heading) for r in member.workplaces[0].reasons if r.kind == "industry"]
    assert codes == [("56110", "56110"), ("47242", "47242"), ("10710", "10")]


def test_a_heading_reaches_all_levels_below_it() -> None:
    wanted = [{"code": "47.1", "version": "2025"}, {"code": "G", "version": "2025"}]
    found = run(
        case(area="municipality", case_type="taxa", stage="utredning", industries=wanted),
        company("both", 18.03, 59.4, "47111"),
        company("section", 18.03, 59.4, "47712"),
        company("neither", 18.03, 59.4, "56110"),
    )
    headings = {
        w.workplace_id: [r.heading for r in w.reasons if r.kind == "industry"]
        for m in found.members
        for w in m.workplaces
    }
    assert headings == {"both": ["471"], "section": ["G"]}


def test_a_group_excludes_its_own_exceptions_only() -> None:
    found = run(
        case(point(18.03, 59.4), stage="pagar"),
        company("mail order", 18.0318, 59.4, "47712"),
        company("shop", 18.0318, 59.4, "47711"),
    )
    assert set(invited(found)) == {"mail order", "shop"}  # deliveries reach both
    model = MODEL.model_copy(
        update={"industry_groups": {**MODEL.industry_groups, "leveransberoende": MODEL.industry_groups["transport"]}}
    )
    only = run(
        case(point(18.03, 59.4), stage="pagar"),
        company("mail order", 18.0318, 59.4, "47712"),
        company("shop", 18.0318, 59.4, "47711"),
        model=model,
    )
    assert set(invited(only)) == {"shop"}


def test_a_workplace_without_a_place_is_found_by_municipality_and_codes_never_by_distance() -> None:
    """FC-084."""
    nowhere = company("W", None, None, "94110")
    assert invited(run(case(point(18.03, 59.4), reach=[ring(100_000)]), nowhere)) == {}
    assert invited(run(case(area="municipality", case_type="taxa", stage="utredning"), nowhere)) == {"W": None}


def test_the_applicant_and_closed_and_vacant_workplaces_are_left_out_and_counted() -> None:
    found = run(
        case(point(18.03, 59.4), named=["gone"]),
        company("A1", 18.03, 59.4, organisation="5599990008"),
        company("A2", 18.03, 59.4, organisation="5599990008"),
        company("C", 18.03, 59.4, status="closed"),
        company("V", 18.03, 59.4, status="vacant"),
        company("W", 18.03, 59.4),
        applicant=recipient_id("559999-0008", DEMO_RECIPIENT_KEY),
    )
    assert set(invited(found)) == {"W"}
    assert found.excluded == {"applicant": 2, "closed": 1, "vacant": 1, "unknown_workplace": 1}


def test_a_detour_is_measured_from_the_detour_only() -> None:
    site = {"role": "road", "geometry": point(18.03, 59.4)}
    detour = {"role": "detour", "geometry": point(18.06, 59.4)}
    found = run(case(site, detour), company("shop", 18.0602, 59.4, "56110"), company("office", 18.0602, 59.4, "69100"))
    assert [r.role for m in found.members for w in m.workplaces for r in w.reasons if r.kind == "distance"] == [
        "detour"
    ]


def test_the_innermost_ring_comes_first_and_all_reasons_are_kept() -> None:
    found = run(case(point(18.03, 59.4)), company("W", 18.0301, 59.4, "56110"))
    reasons = found.members[0].workplaces[0].reasons
    assert [(r.kind, r.ring) for r in reasons] == [("distance", "direct"), ("distance", "near"), ("industry", "near")]


def test_five_hundred_workplaces_are_named_and_the_rest_counted_none_lost() -> None:
    many = [company(f"W{i:04}", 18.03, 59.4, organisation="one") for i in range(620)]
    (member,) = run(case(point(18.03, 59.4)), *many).members
    assert (len(member.workplaces), member.more) == (500, 120)


def test_all_of_3400_workplaces_in_an_area_are_invited() -> None:
    """FC-025."""
    many = [company(f"W{i:04}", 18.03 + i * 1e-6, 59.4) for i in range(3400)]
    assert len(run(case(point(18.03, 59.4), reach=[ring(1000)]), *many).members) == 3400


def test_the_register_version_does_not_hang_on_order_or_import_number() -> None:
    a, b = company("A", 18.03, 59.4), company("B", 18.03, 59.4)
    assert content_hash([a, b]) == content_hash([b.model_copy(update={"import_number": 9}), a])
    assert content_hash([a]) == content_hash([a.model_copy(update={"synthetic": True})])
    assert content_hash([a]) != content_hash([a.model_copy(update={"name": "other"})])


LON, LAT = st.floats(18.00, 18.06), st.floats(59.38, 59.42)
CODES = st.lists(st.sampled_from(["56110", "47111", "69100", "49410", "10710"]), max_size=3, unique=True)
PLACES = st.lists(st.tuples(LON, LAT, CODES), max_size=25)


@st.composite
def shapes(draw: st.DrawFn) -> dict[str, Any]:
    kind = draw(st.sampled_from(["Point", "LineString", "Polygon"]))
    spots = draw(st.lists(st.tuples(LON, LAT), min_size=3, max_size=6, unique=True))
    if kind == "Point":
        return point(*spots[0])
    if kind == "LineString":
        return {"type": kind, "coordinates": [list(spot) for spot in spots]}
    hull = shapely.convex_hull(shapely.MultiPoint(spots))
    if hull.geom_type != "Polygon":
        return point(*spots[0])
    return {"type": kind, "coordinates": [[list(spot) for spot in hull.exterior.coords]]}


@settings(max_examples=150, deadline=None)
@given(places=PLACES, area=shapes(), buffer_m=st.floats(0, 2500), wanted=st.sampled_from([(), ("56",), ("G", "10")]))
def test_the_audience_is_what_a_naive_search_finds(
    places: list[tuple[float, float, list[str]]], area: dict[str, Any], buffer_m: float, wanted: tuple[str, ...]
) -> None:
    companies = [company(f"W{i:03}", lon, lat, *codes) for i, (lon, lat, codes) in enumerate(places)]
    found = invited(run(case(area, reach=[ring(buffer_m, *wanted)]), *companies))
    shape = shapely.from_geojson(json.dumps(area))
    grid = shapely.transform(shape, lambda xy: np.column_stack(TO_GRID.transform(xy[:, 0], xy[:, 1])))
    for item in companies:
        metres = grid.distance(shapely.Point(TO_GRID.transform(item.lon, item.lat)))
        fits = not wanted or any(
            code.startswith(head) or (head == "G" and code.startswith(("46", "47")))
            for code in (c.code for c in item.sni)
            for head in wanted
        )
        if abs(metres - buffer_m) < 1.0:  # a line straight in degrees is a little curved in the grid
            continue
        assert (item.workplace_id in found) == (fits and metres < buffer_m)
        if item.workplace_id in found:
            assert found[item.workplace_id] == pytest.approx(metres, abs=1.0)
