"""The field cases of places, through the doors that a person uses: `case validate` and `match` answer the same."""

import json
from pathlib import Path
from typing import Any

import pytest
from pyproj import Geod, Transformer

from services import cli
from services.matcher.commands import match
from tests.field_places import BAD_PLACES
from tests.matcher_cases import content

HEADER = "workplace_id,organisation,name,lon,lat,sni,sni_version,municipality\n"


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def case(*places: Any, reach: float = 100, **changes: Any) -> dict[str, Any]:
    geometries = [place if place and "role" in place else {"role": "site", "geometry": place} for place in places]
    return content(geometries=geometries, reach=[{"buffer_m": reach, "why": "prov"}], **changes)


def validated(capsys: pytest.CaptureFixture[str], given: dict[str, Any]) -> str:
    Path("case.json").write_text(json.dumps(given))
    with pytest.raises(SystemExit):
        cli.main(["case", "validate", "case.json"])
    return capsys.readouterr().out


def matched(
    capsys: pytest.CaptureFixture[str], places: dict[str, tuple[float, float]], *cases: dict[str, Any]
) -> tuple[int, dict[str, list[tuple[Any, Any]]], str]:
    """The exit code, per workplace the role and metres of each reason of distance, and what was said."""
    rows = [f"{name},{name},{name},{lon},{lat},56.110,2025,0162" for name, (lon, lat) in places.items()]
    Path("register.csv").write_text(HEADER + "\n".join(rows) + "\n")
    Path("cases.jsonl").write_text("\n".join(json.dumps(given) for given in cases))
    code = match(register=Path("register.csv"), cases=Path("cases.jsonl"), no_holds=True)
    out, err = capsys.readouterr()
    found: dict[str, list[tuple[Any, Any]]] = {}
    for workplace in (workplace for line in out.splitlines() for workplace in json.loads(line)["workplaces"]):
        reasons = [reason for reason in workplace["reasons"] if reason["kind"] == "distance"]
        found.setdefault(workplace["workplace_id"], []).extend((r["role"], r["distance_m"]) for r in reasons)
    return code, found, err


def point(lon: float, lat: float) -> dict[str, Any]:
    return {"type": "Point", "coordinates": [lon, lat]}


def box(west: float, south: float, east: float, north: float) -> list[list[list[float]]]:
    return [[[west, south], [east, south], [east, north], [west, north], [west, south]]]


@pytest.mark.parametrize("name", BAD_PLACES)
def test_what_cannot_be_meant_is_refused_the_same_by_validate_and_match(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """FC-001, FC-002, FC-003, FC-005, FC-008."""
    geometry, code, pointer, words = BAD_PLACES[name]
    given = case(geometry)
    first = validated(capsys, given).splitlines()[0]
    exit_code, found, said = matched(capsys, {"W": (18.03, 59.4)}, given)
    assert first.startswith(f"case.json:1: {pointer}: {code}: ")
    assert f"cases.jsonl: line 1: {pointer}: {code}: " in said
    assert words in first
    assert words in said
    assert (exit_code, found) == (6, {})


def test_a_fee_without_a_place_is_taken_only_where_it_says_that_it_concerns_everybody(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """FC-008."""
    fee = content(case_type="taxa", stage="utredning", geometries=[])
    assert "says nowhere" in validated(capsys, fee)
    assert validated(capsys, fee | {"area": "municipality"}) == ""


def test_a_geometry_of_three_hundred_thousand_vertices_is_refused_and_the_next_case_is_taken(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """FC-015."""
    wide = {"type": "LineString", "coordinates": [[18.0 + i / 1e7, 59.4] for i in range(300_000)]}
    huge, many = case(wide), case({**wide, "coordinates": wide["coordinates"][:20_001]})
    assert "the limit is 900000" in validated(capsys, huge)
    assert "20000" in validated(capsys, many)
    code, found, said = matched(capsys, {"W": (18.03, 59.4)}, huge, many, case(point(18.03, 59.4), case_id="B"))
    assert (code, list(found)) == (6, ["W"])
    assert "line 1: /: too_large: " in said
    assert "line 2: " in said


def test_two_sites_that_touch_at_a_corner_and_forty_small_holes_are_used_as_they_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """FC-006."""
    holes = [box(18.1 + i * 0.001, 59.401, 18.1004 + i * 0.001, 59.4014)[0][::-1] for i in range(40)]
    sites = {"type": "MultiPolygon", "coordinates": [box(18.0, 59.4, 18.01, 59.41), box(18.01, 59.41, 18.02, 59.42)]}
    plan = {"type": "Polygon", "coordinates": [*box(18.099, 59.4, 18.145, 59.402), *holes]}
    places = {"first": (18.005, 59.405), "second": (18.015, 59.415), "corner": (18.01, 59.41)}
    places |= {"plan": (18.0995, 59.4012), "in a hole": (18.1202, 59.4012)}
    given = case(sites, {"role": "zone", "geometry": plan}, reach=0)
    _, found, _ = matched(capsys, places, given)
    assert set(found) == {"first", "second", "corner", "plan"}


def test_one_case_with_two_areas_that_share_an_edge_is_one_invitation_that_tells_both(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """FC-011: by a ring for each role."""
    west, east = (
        {"role": role, "geometry": {"type": "Polygon", "coordinates": box(*at)}}
        for role, at in (("site", (18.0, 59.4, 18.03, 59.41)), ("zone", (18.03, 59.4, 18.06, 59.41)))
    )
    reach = [{"buffer_m": 0, "role": role, "why": role} for role in ("site", "zone")]
    given = content(geometries=[west, east], reach=reach)
    _, found, _ = matched(capsys, {"on the edge": (18.03, 59.4037)}, given)
    assert found == {"on the edge": [("site", 0.0), ("zone", 0.0)]}


def test_each_role_is_measured_by_its_own_ring(capsys: pytest.CaptureFixture[str]) -> None:
    places = {"at the road": (18.032, 59.4), "at the detour": (18.062, 59.4), "at the site": (18.092, 59.4)}
    sources = [("road", 18.03), ("detour", 18.06), ("site", 18.09)]
    geometries = [{"role": role, "geometry": point(lon, 59.4)} for role, lon in sources]
    reach = [{"buffer_m": 200, "role": "detour", "why": ""}, {"buffer_m": 50, "role": "road", "why": ""}]
    _, found, _ = matched(capsys, places, content(geometries=geometries, reach=reach))
    assert {name: [role for role, _ in reasons] for name, reasons in found.items()} == {"at the detour": ["detour"]}
    every = [{"buffer_m": 200, "why": ""}]
    _, found, _ = matched(capsys, places, content(geometries=geometries, reach=every))
    assert set(found) == {"at the road", "at the site"}
    _, found, _ = matched(capsys, places, content(geometries=geometries[1:2], reach=every))
    assert set(found) == {"at the detour"}


def test_metres_are_those_of_the_grid_which_stretches_to_the_north_east(capsys: pytest.CaptureFixture[str]) -> None:
    """FC-013, FC-014: the oracle is EPSG:3006 itself, 500.65 m for 500 m on the ellipsoid at Kalix."""
    lon, lat, _ = Geod(ellps="GRS80").fwd(23.15, 65.85, 90, 500)
    grid = Transformer.from_crs("EPSG:4326", "EPSG:3006", always_xy=True)
    (x, y), (kalix_x, kalix_y) = grid.transform(lon, lat), grid.transform(23.15, 65.85)
    true = ((x - kalix_x) ** 2 + (y - kalix_y) ** 2) ** 0.5
    assert true == pytest.approx(500.65, abs=0.01)
    for reach, expected in ((500.6, {}), (500.7, {"W": [("site", pytest.approx(true, abs=0.006))]})):
        assert matched(capsys, {"W": (lon, lat)}, case(point(23.15, 65.85), reach=reach))[1] == expected


def test_elsewhere_in_the_world_is_measured_where_the_setting_allows_it_and_the_grid_can(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NARDIALOG_MATCHER__ALLOW_OUTSIDE_SWEDEN", "true")
    near, far = (2.35, 48.86), (-75.0, 0.0)
    code, found, said = matched(capsys, {"near": near, "far": far}, case(point(*near)), case(point(*far), case_id="F"))
    assert (code, found) == (6, {"near": [("site", 0.0)]})
    assert "line 2: /geometries/0/geometry/coordinates: unmeasurable: " in said
