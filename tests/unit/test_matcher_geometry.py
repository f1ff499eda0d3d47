"""Distances in the national grid: exact on long edges, on borders, and on every geometry that the doors take."""

import itertools
import json
import time
from typing import Any

import numpy as np
import pytest
import shapely
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError
from pyproj import Transformer

from schemas.case import RoledGeometry
from schemas.geojson import Geometry, check
from services.matcher import geometry
from services.matcher.geometry import MOST_POINTS, SLACK_M, STRAIGHT_DEGREES, Part, parts_of, project
from services.matcher.grid import Grid, build, near
from tests.everything import EVERYTHING

TO_GRID = Transformer.from_crs("EPSG:4326", "EPSG:3006", always_xy=True)
GEOMETRY: TypeAdapter[Geometry] = TypeAdapter(Geometry)
MANY = settings(max_examples=4000 if EVERYTHING else 60, deadline=None)
SPOT = st.tuples(st.floats(10.0, 25.0), st.floats(54.9, 69.5))
STEP = st.tuples(st.floats(-0.5, 0.5), st.floats(-0.5, 0.5))


def in_grid(at: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return np.column_stack(TO_GRID.transform(at[:, 0], at[:, 1]))


def along(start: tuple[float, float], end: tuple[float, float], count: int) -> np.ndarray[Any, Any]:
    return np.linspace(start, end, count)


@MANY
@given(SPOT, STEP)
def test_an_edge_of_any_length_lies_within_half_a_millimetre_of_what_it_is_in_degrees(
    start: tuple[float, float], step: tuple[float, float]
) -> None:
    end = (start[0] + step[0], start[1] + step[1])
    ours = project(shapely.LineString([start, end]))
    true = shapely.points(in_grid(along(start, end, 1009)))
    assert shapely.distance(ours, true).max() <= 0.0005


@MANY
@given(SPOT, st.floats(0, 2 * np.pi))
def test_an_edge_that_is_left_alone_lies_within_half_a_millimetre_of_its_chord(
    start: tuple[float, float], angle: float
) -> None:
    end = (start[0] + STRAIGHT_DEGREES * np.cos(angle), start[1] + STRAIGHT_DEGREES * np.sin(angle))
    chord = shapely.LineString(in_grid(np.array([start, end])))
    assert shapely.distance(chord, shapely.points(in_grid(along(start, end, 101)))).max() <= 0.0005


def test_an_edge_of_twenty_kilometres_is_not_thirteen_metres_off() -> None:
    ends = [(18.0, 59.4), (18.352, 59.4)]
    middle = shapely.Point(in_grid(np.array([[18.176, 59.4]]))[0])
    assert shapely.distance(shapely.LineString(in_grid(np.array(ends))), middle) > 13
    assert shapely.distance(project(shapely.LineString(ends)), middle) <= SLACK_M


def test_short_edges_are_left_as_they_are_and_long_ones_keep_their_ends() -> None:
    """FC-006: what needs no mending is used untouched."""
    hole = [(18.03, 59.4), (18.0301, 59.4), (18.0301, 59.4001), (18.03, 59.4)]
    plan = shapely.Polygon([(18.0299, 59.3999), (18.0303, 59.3999), (18.0303, 59.4004), (18.0299, 59.3999)], [hole])
    assert geometry.densified(plan, STRAIGHT_DEGREES).equals_exact(plan, 0)
    long = shapely.MultiLineString([[(18, 59), (18.1, 59.2)], [(18, 59), (18.0001, 59)]])
    cut = geometry.densified(long, STRAIGHT_DEGREES)
    assert {(18.0, 59.0), (18.1, 59.2), (18.0001, 59.0)} <= set(map(tuple, shapely.get_coordinates(cut).tolist()))
    together = geometry.densified(shapely.GeometryCollection([shapely.Point(18, 59), long]), STRAIGHT_DEGREES)
    for line in (cut.geoms[0], together.geoms[1].geoms[0]):
        assert np.hypot(*np.diff(shapely.get_coordinates(line), axis=0).T).max() <= STRAIGHT_DEGREES


def test_no_outline_becomes_more_points_than_a_limit() -> None:
    zigzag = shapely.LineString([(10 + 15 * (i % 2), 55 + i * 0.001) for i in range(10_000)])
    assert len(shapely.get_coordinates(project(zigzag))) <= MOST_POINTS + 10_000


@MANY
@given(SPOT, STEP, st.floats(0, 1))
def test_what_lies_on_a_common_edge_is_within_both_areas(
    start: tuple[float, float], step: tuple[float, float], share: float
) -> None:
    """FC-011: the border counts as inside, wherever on it and however it slants."""
    assume(np.hypot(*step) > 1e-4)
    end, across = (start[0] + step[0], start[1] + step[1]), (-step[1], step[0])
    on = (start[0] + share * step[0], start[1] + share * step[1])
    register = _register([on])
    for side in (1, -1):
        away = [(x + side * across[0], y + side * across[1]) for x, y in (end, start)]
        area = _parts({"type": "Polygon", "coordinates": [[start, end, *away, start]]})
        assert [len(_within(part, register, 0)[0]) for part in area] == [1]


# Hostile geometries: corners on a coarse lattice, so that they coincide, lie in line and touch.
CORNER = st.tuples(st.integers(0, 5), st.integers(0, 5)).map(lambda at: [18 + at[0] * 0.004, 59.4 + at[1] * 0.002])
CORNERS = st.lists(CORNER, min_size=2, max_size=7)
HOLE = st.tuples(CORNER, st.sampled_from([1e-9, 1e-6, 1e-4, 0.001])).map(
    lambda hole: [
        [hole[0][0] + hole[1] * dx, hole[0][1] + hole[1] * dy] for dx, dy in ((1, 1), (2, 1), (2, 2), (1, 2), (1, 1))
    ]
)
RING = CORNERS.filter(lambda ring: len(ring) > 2).map(lambda ring: [*ring, ring[0]])
BOX = st.tuples(CORNER, CORNER).map(
    lambda at: [at[0], [at[1][0], at[0][1]], at[1], [at[0][0], at[1][1]], at[0]],
)
AREA = st.tuples(RING | BOX, st.lists(HOLE, max_size=2)).map(lambda area: [area[0], *area[1]])
SIMPLE = st.one_of(
    st.fixed_dictionaries({"type": st.just("Point"), "coordinates": CORNER}),
    st.fixed_dictionaries({"type": st.just("MultiPoint"), "coordinates": CORNERS}),
    st.fixed_dictionaries({"type": st.just("LineString"), "coordinates": CORNERS}),
    st.fixed_dictionaries({"type": st.just("MultiLineString"), "coordinates": st.lists(CORNERS, min_size=1)}),
    st.fixed_dictionaries({"type": st.just("Polygon"), "coordinates": AREA}),
    st.fixed_dictionaries({"type": st.just("MultiPolygon"), "coordinates": st.lists(AREA, min_size=1, max_size=3)}),
)
HOSTILE = SIMPLE | st.fixed_dictionaries(
    {"type": st.just("GeometryCollection"), "geometries": st.lists(SIMPLE, min_size=1, max_size=3)}
)
NUDGE = st.sampled_from([0.0, 0.0, 1e-12, 1e-7, 1e-5, 0.0005, 0.002])
PLACES = st.lists(
    st.tuples(CORNER, NUDGE, NUDGE).map(lambda at: (at[0][0] + at[1], at[0][1] + at[2])), min_size=1, max_size=6
)


@MANY
@given(HOSTILE, PLACES, st.sampled_from([0.0, 0.01, 1.0, 111.4, 113.5, 227.0, 800.0]))
def test_within_is_what_a_naive_search_finds_whatever_geometry_the_doors_take(
    hostile: dict[str, Any], places: list[tuple[float, float]], buffer_m: float
) -> None:
    shape = GEOMETRY.validate_python(hostile)
    assume(check(shape) is None)
    register = _register(places)
    found: dict[int, float] = {}
    for part in _parts(hostile):
        for index, metres in zip(*_within(part, register, buffer_m), strict=True):
            found[index] = min(metres, found.get(index, np.inf))
    for index, place in enumerate(places):
        true = _naive(hostile, place)
        if index in found:
            assert true <= buffer_m + 2 * SLACK_M
            assert found[index] == pytest.approx(true, abs=SLACK_M)
        else:
            assert true > buffer_m


@MANY
@given(HOSTILE, PLACES)
def test_a_tree_of_the_edges_measures_what_the_geometry_measures(
    hostile: dict[str, Any], places: list[tuple[float, float]]
) -> None:
    assume(check(GEOMETRY.validate_python(hostile)) is None)
    points = shapely.points(in_grid(np.array(places)))
    for part in _parts(hostile):
        assert geometry.by_edges(part.metric, points) == pytest.approx(geometry.distances(part, points), abs=1e-9)


def test_many_edges_and_many_points_are_measured_in_a_second_not_in_a_minute() -> None:
    """FC-015: the largest geometry that is taken crosses a municipality twenty thousand times."""
    zigzag = {"type": "LineString", "coordinates": [[18 + 0.1 * (i % 2), 59.38 + i * 2e-6] for i in range(20_000)]}
    (part,) = _parts(zigzag)
    points = shapely.points(in_grid(np.random.default_rng(1).uniform((18, 59.38), (18.1, 59.42), (800, 2))))
    begun = time.process_time()
    metres = geometry.distances(part, points)
    assert time.process_time() - begun < 4
    assert metres[:5] == pytest.approx(shapely.distance(part.metric, points[:5]), abs=1e-9)


def _parts(content: dict[str, Any]) -> tuple[Part, ...]:
    return parts_of([RoledGeometry.model_validate_json(json.dumps({"role": "site", "geometry": content}))])


def _register(places: list[tuple[float, float]]) -> Grid:
    x, y = in_grid(np.array(places)).T
    return build(x, y, np.zeros((1, len(places)), dtype=np.uint16), np.arange(len(places), dtype=np.int32))


def _within(part: Part, register: Grid, buffer_m: float) -> tuple[list[int], list[float]]:
    rows, metres = near(register, part, buffer_m, None, None)
    return rows.tolist(), metres.tolist()


def _naive(content: dict[str, Any], place: tuple[float, float]) -> float:
    """Metres to the nearest of all simple shapes, each cut very finely and asked on its own."""
    kind, at = content["type"], content.get("coordinates", [])
    if kind == "GeometryCollection":
        return min(_naive(one, place) for one in content["geometries"])
    if kind.startswith("Multi"):
        return min(_naive({"type": kind.removeprefix("Multi"), "coordinates": one}, place) for one in at)
    shapes = {
        "Point": lambda: shapely.Point(in_grid(np.array([at]))[0]),
        "LineString": lambda: shapely.LineString(_finely(at)),
        "Polygon": lambda: shapely.Polygon(_finely(at[0]), [_finely(hole) for hole in at[1:]]),
    }
    return float(shapes[kind]().distance(shapely.Point(in_grid(np.array([place]))[0])))


def _finely(line: list[list[float]]) -> np.ndarray[Any, Any]:
    return in_grid(np.vstack([np.linspace(a, b, 60) for a, b in itertools.pairwise(line)]))


@pytest.mark.parametrize(
    ("content", "code", "said"),
    [
        ({"type": "MultiPoint", "coordinates": []}, "empty_geometry", "has no position"),
        ({"type": "Polygon", "coordinates": [[[18, 59], [18.1, 59], [18.2, 59], [18, 59]]]}, "invalid_polygon", "area"),
        ({"type": "Polygon", "coordinates": [[[18, 59], [18.1, 59.1], [18.1, 59], [18, 59.1], [18, 59]]]},
         "invalid_polygon", "the line crosses itself near 59.05000 N 18.05000 E"),
        ({"type": "Point", "coordinates": [378.03, 59.4]}, "not_degrees", "whole turns of 360°"),
        ({"type": "Point", "coordinates": [-341.97, 59.4]}, "not_degrees", "whole turns of 360°"),
        ({"type": "Point", "coordinates": [151704.22, 6587228.9]}, "not_degrees", "metres of a map's grid"),
        ({"type": "Polygon", "coordinates": [[[18, 59], [18, 59], [18, 59], [18, 59]]]}, "invalid_polygon", "no area"),
        (
            {"type": "Polygon", "coordinates": [[[18, 59], [18.1, 59], [18.1, 59.1], [18, 59]], [[19, 59], [19.1, 59],
             [19.1, 59.1], [19, 59]]]},
            "invalid_polygon",
            "a hole lies outside its ring near 59.00000 N 19.00000 E",
        ),
    ],
)  # fmt: skip
def test_what_is_no_place_is_refused_with_its_own_words(content: dict[str, Any], code: str, said: str) -> None:
    complaint = check(GEOMETRY.validate_python(content))
    assert complaint is not None
    assert complaint.code == code
    assert said in complaint.detail


def test_a_line_around_the_wrong_side_of_the_earth_is_refused_where_the_world_is_allowed() -> None:
    """RFC 7946 §3.1.9: what crosses the antimeridian is cut there."""
    across = GEOMETRY.validate_python({"type": "LineString", "coordinates": [[179, 60], [-179, 60]]})
    complaint = check(across, anywhere=True)
    assert complaint is not None
    assert (complaint.code, complaint.pointer) == ("antimeridian", "/coordinates")
    past_the_grid = GEOMETRY.validate_python({"type": "LineString", "coordinates": [[150, 18], [60, 0]]})
    assert (long := check(past_the_grid, anywhere=True)) is not None
    assert long.code == "long_edge"


def test_null_and_a_collection_of_nothing_are_no_geometry() -> None:
    """FC-008."""
    for content in (None, {"type": "GeometryCollection", "geometries": []}, {"type": "LineString", "coordinates": []}):
        with pytest.raises(ValidationError):
            GEOMETRY.validate_python(content)


def test_two_areas_that_share_an_edge_or_overlap_in_one_geometry_are_the_union() -> None:
    """FC-006."""
    west, east, over = (
        [[[x, 59.4], [x + 0.02, 59.4], [x + 0.02, 59.41], [x, 59.41], [x, 59.4]]] for x in (18.0, 18.02, 18.01)
    )
    for coordinates in ([west, east], [west, over], [west, west]):
        content = {"type": "MultiPolygon", "coordinates": coordinates}
        assert check(GEOMETRY.validate_python(content)) is None
        register = _register([(18.01, 59.405)])
        assert any(len(_within(part, register, 0)[0]) for part in _parts(content))


@pytest.mark.parametrize("height", [[12.5], [12.5, 3.0], [-1e9]])
def test_heights_are_read_past_in_every_position(height: list[float]) -> None:
    """FC-010."""
    ring = [[18, 59.4, *height], [18.01, 59.4], [18.01, 59.41, *height], [18, 59.4, *height]]
    content = {"type": "Polygon", "coordinates": [ring]}
    assert check(GEOMETRY.validate_python(content)) is None
    (part,) = _parts(content)
    assert not part.metric.has_z
