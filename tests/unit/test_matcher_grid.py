"""The index against asking everybody: hostile geometry, codes, upserts and erasures, for every implementation."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, cast

import numpy as np
import pytest
import shapely
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.case import RoledGeometry
from schemas.types import IndustryCode
from services.matcher import geometry, grid, grid_fast, industry, nearest
from services.matcher.geometry import Part
from services.matcher.workplaces import EMPTY, Snapshot, Workplace, changed
from tests.everything import EVERYTHING

IMPLEMENTATIONS = {"numpy": grid.near, "numba": grid_fast.near}
CODES = ("56110", "56120", "47110", "69201", "01110")
WANTED = (
    None,
    (industry.CodeSet(frozenset({"56"})),),
    (industry.CodeSet(frozenset({"I", "01"}), frozenset({"56120"})),),
    (industry.CodeSet(frozenset()),),
)
BUFFERS = (0.0, 0.4, 1.0, 49.999, 500.0, 5000.0, 100_000.0)
STEP = 0.004
"""Degrees between the places of the lattice: some hundred metres, so that edges cross cells and ends coincide."""

places = st.tuples(st.integers(-4, 4), st.integers(-4, 4)).map(lambda at: [18.0 + at[0] * STEP, 59.3 + at[1] * STEP])
rings = st.lists(places, min_size=3, max_size=8).map(lambda ring: [*ring, ring[0]])


def geojson(kind: str, coordinates: Any) -> dict[str, Any]:
    return {"type": kind, "coordinates": coordinates}


geometries = st.one_of(
    places.map(lambda at: geojson("Point", at)),
    st.lists(places, max_size=5).map(lambda at: geojson("MultiPoint", at)),
    st.lists(places, min_size=2, max_size=9).map(lambda at: geojson("LineString", at)),
    st.lists(st.lists(places, min_size=2, max_size=4), min_size=1, max_size=3).map(
        lambda at: geojson("MultiLineString", at)
    ),
    rings.map(lambda ring: geojson("Polygon", [ring])),
    st.lists(rings, min_size=2, max_size=3).map(lambda all_: geojson("Polygon", all_)),
    st.lists(rings.map(lambda ring: [ring]), min_size=1, max_size=3).map(lambda all_: geojson("MultiPolygon", all_)),
)


def parts_of(drawn: dict[str, Any]) -> tuple[Part, ...]:
    parts = geometry.parts_of([RoledGeometry.model_validate({"role": "site", "geometry": drawn})])
    return tuple(part for part in parts if shapely.is_valid(part.metric))


def hostile(chance: np.random.Generator, parts: tuple[Part, ...], count: int) -> Iterator[tuple[float, float]]:
    """Places on corners, on edges, a hair beside them, on the lattice and anywhere."""
    corners = np.vstack([np.array([[18.0, 59.3]]), *(shapely.get_coordinates(part.degrees) for part in parts)])
    for _ in range(count):
        corner, other = corners[chance.integers(len(corners), size=2)]
        lon, lat = corner + chance.choice([0, 0, 0.5, chance.random(), 40]) * (other - corner)
        hair = chance.choice([0, 0, 1e-12, 1e-8, 1e-5, STEP, 0.05])
        yield float(lon + chance.choice([-1, 1]) * hair), float(lat + chance.choice([-1, 0, 1]) * hair)


def workplaces(chance: np.random.Generator, parts: tuple[Part, ...], count: int) -> Iterator[Workplace]:
    for lon, lat in hostile(chance, parts, count):
        name, codes = f"W{chance.integers(2 * count)}", chance.choice(CODES, size=chance.integers(4), replace=False)
        placed, municipality = chance.random() < 0.95, chance.choice(["0162", "0180"])
        yield Workplace(
            name, f"r{len(name)}", None, municipality, "active", lon if placed else None, lat if placed else None,
            tuple(("2025", code) for code in codes.tolist()),
        )  # fmt: skip


def fits(row: Workplace, codes: tuple[industry.CodeSet, ...] | None) -> bool:
    return codes is None or bool(
        industry.matches([IndustryCode(code=code, version=version) for version, code in row.sni], codes)
    )


def asking_everybody(
    known: dict[str, Workplace], part: Part, buffer_m: float, codes: tuple[industry.CodeSet, ...] | None
) -> dict[str, float]:
    placed = {name: [row.lon, row.lat] for name, row in known.items() if row.lon is not None and fits(row, codes)}
    degrees = np.array(list(placed.values()), dtype=np.float64).reshape(-1, 2)
    points = shapely.points(np.column_stack(geometry.to_grid(*degrees.T)))
    metres = geometry.distances(part, points)
    return {name: round(m, 2) for name, m in zip(placed, metres.tolist(), strict=True) if m <= geometry.reach(buffer_m)}


def answered(
    register: Snapshot, part: Part, buffer_m: float, codes: tuple[industry.CodeSet, ...] | None
) -> dict[str, float]:
    rows, metres = register.near(part, buffer_m, codes)
    assert len(set(rows.tolist())) == len(rows)
    return {register.workplace_id(row): round(m, 2) for row, m in zip(rows.tolist(), metres.tolist(), strict=True)}


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@settings(
    max_examples=2000 if EVERYTHING else 40, deadline=None, suppress_health_check=[HealthCheck.too_slow], database=None
)
@given(geometries, st.integers(0, 2**32), st.sampled_from([0, 3, 30, 250]), st.sampled_from(BUFFERS))
def test_the_index_finds_whom_asking_everybody_finds_after_every_change(
    implementation: str, drawn: dict[str, Any], seed: int, count: int, buffer_m: float
) -> None:
    chance, parts = np.random.default_rng(seed), parts_of(drawn)
    known: dict[str, Workplace] = {}
    register = replace(EMPTY, index=IMPLEMENTATIONS[implementation])
    for _ in range(3):
        rows = {row.workplace_id: row for row in workplaces(chance, parts, count)}
        gone = set(chance.choice(sorted(known), size=len(known) // 5, replace=False)) if known else set()
        register = changed(register, rows.values(), gone, import_number=1, register_date=None, register_version="1")
        known = {name: row for name, row in known.items() if name not in gone} | rows
        erased = [name for name in known if chance.random() < 0.1]
        register = register.without(erased)
        known = {name: row for name, row in known.items() if name not in erased}
        codes = WANTED[chance.integers(len(WANTED))]
        assert register.count == len(known)
        assert register.active_placed == sum(row.lon is not None for row in known.values())
        for part in parts:
            assert answered(register, part, buffer_m, codes) == asking_everybody(known, part, buffer_m, codes)
        local = {register.workplace_id(row) for row in register.in_municipality("0180", codes).tolist()}
        assert local == {name for name, row in known.items() if row.municipality == "0180" and fits(row, codes)}
        assert len(register.everywhere(codes)) == sum(fits(row, codes) for row in known.values())


@settings(max_examples=300 if EVERYTHING else 15, deadline=None, database=None)
@given(st.integers(0, 2**32), st.integers(3, 700), st.sampled_from([0.0, 1.0, 700.0]))
def test_of_a_long_outline_the_kernel_says_what_numpy_says(seed: int, corners: int, buffer_m: float) -> None:
    """Many edges through every row of cells, with holes; people on corners, level with them, and on cells' lines."""
    chance = np.random.default_rng(seed)
    angles, middle = np.sort(chance.uniform(0, 2 * np.pi, corners)), np.array([500_000.0, 6_600_000.0])
    star = np.column_stack([np.cos(angles), np.sin(angles)]) * chance.uniform(2000, 5000, corners)[:, None]
    shape = (
        shapely.Polygon(middle + star, [middle + 0.2 * star])
        if chance.random() < 0.5
        else shapely.Polygon(middle + star)
    )
    if not shape.is_valid:
        return
    edge, aside = shapely.get_coordinates(shape)[:200], chance.integers(-3, 4) * grid.CELL_M
    at = np.concatenate(
        [[middle - 6500], middle + chance.uniform(-6000, 6000, (2000, 2)), edge, edge + np.array([aside, 0.0])]
    )
    at[:500:3] = np.round(at[:500:3] / grid.CELL_M) * grid.CELL_M
    codes = np.zeros((1, len(at)), dtype=np.uint16)
    cells = grid.build(at[:, 0].copy(), at[:, 1].copy(), codes, np.arange(len(at), dtype=np.int32))
    said = []
    for near in IMPLEMENTATIONS.values():
        rows, metres = near(cells, Part("site", shape, shape), buffer_m, None, None)
        said.append(dict(zip(rows.tolist(), np.round(metres, 2).tolist(), strict=True)))
    assert said[0] == said[1]


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_what_has_no_place_in_the_grid_is_near_nobody(implementation: str) -> None:
    register = replace(a_register(), index=IMPLEMENTATIONS[implementation])
    for shape in (shapely.Point(np.inf, 6_600_000), shapely.LineString(), shapely.LineString([(0, 0), (np.inf, 1)])):
        assert register.near(Part("site", shape, shape), 100_000, None)[0].tolist() == []


def test_a_register_is_asked_by_the_kernel_from_a_size_on_and_it_is_compiled_before_the_register_is_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[int] = []

    def kernel(cells: grid.Grid, *_: object) -> None:
        asked.append(len(cells.rows))

    monkeypatch.setattr(nearest, "LARGE", 3)
    monkeypatch.setattr(grid_fast, "near", kernel)
    nearest._fastest.cache_clear()
    a_register(2)
    assert asked == []
    a_register(3)
    assert asked == [3]
    nearest._fastest.cache_clear()


def test_the_kernel_is_compiled_once_whatever_it_is_asked() -> None:
    """A case that waits for a compiler waits seconds: a whole number or a read-only column would be one more kind."""
    cells, kernel = a_register().grid, cast(Any, grid_fast._near)
    place = shapely.Point(cells.x[0], cells.y[0])
    frozen = replace(cells, **{name: read_only(getattr(cells, name)) for name in ("x", "y", "codes", "rows", "starts")})
    for asked in (cells, frozen):
        for buffer_m in (100, 100.0):
            assert len(grid_fast.near(asked, Part("site", place, place), buffer_m, None, None)[0]) == 3
    assert len(kernel.signatures) == 1


if EVERYTHING:  # it compiles everything anew: ten seconds and more

    def test_where_no_cache_can_be_written_the_kernel_is_compiled_in_memory() -> None:
        """A container's read-only root: numba refuses to import what asks for a cache that it has no place for."""
        nowhere = "from numba.core import caching; caching.CacheImpl._locator_classes = []"
        source = f"{nowhere}; from services.matcher import grid_fast"
        subprocess.run([sys.executable, "-c", source], check=True, timeout=300)


def a_register(count: int = 3) -> Snapshot:
    rows = (Workplace(f"W{i}", "r", None, "0162", "active", 18.0, 59.3, ()) for i in range(count))
    return changed(EMPTY, rows, import_number=1, register_date=None, register_version="1")


def read_only(column: Any) -> Any:
    copy = column.copy()
    copy.flags.writeable = False
    return copy
