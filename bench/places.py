"""Invented workplaces and cases for the benches of the matcher's index, the same for the same seed.

Towns of very different sizes, each dense in its middle, as workplaces lie; industries of which few are common and most
are rare, one to three to a workplace; cases that are points, roads and areas, now and then a whole municipality. All in
metres of SWEREF 99 TM (EPSG:3006), so that nobody who is measured here spends time on projecting.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import shapely

from schemas import industries
from schemas.types import IndustryCode
from services.matcher import municipalities
from services.matcher.geometry import Part
from services.matcher.grid import Booleans, Codes, Grid, build
from services.matcher.texts import Texts
from services.matcher.workplaces import Snapshot

SEED: Final = 1
CODES: Final = tuple(sorted(industries.leaves("2025")))[:800]
TOWNS: Final = 290
BUFFERS: Final = (0.0, 50.0, 100.0, 150.0, 300.0, 500.0, 1000.0)


@dataclass(frozen=True)
class Places:
    """Columns of workplaces: east, north, and up to three industries each; `len(CODES)` stands for none."""

    x: npt.NDArray[np.float64]
    y: npt.NDArray[np.float64]
    codes: Codes

    def grid(self) -> Grid:
        """The index over them."""
        return build(self.x, self.y, self.codes, np.arange(len(self.x), dtype=np.int32))


@dataclass(frozen=True)
class Asked:
    """One question: who of these industries is so near to this?"""

    part: Part
    buffer_m: float
    wanted: Booleans | None
    """Per code whether it is asked for, and at last False for none; None asks for all."""


def places(count: int) -> Places:
    """So many workplaces."""
    chance = np.random.default_rng(SEED)
    towns = chance.uniform((330_000, 6_150_000), (720_000, 7_200_000), (TOWNS, 2))
    weight = 1 / np.arange(1, TOWNS + 1) ** 0.8
    town = chance.choice(TOWNS, count, p=weight / weight.sum())
    spread = np.where(chance.random(count) < 0.8, 1500, 8000) * (1 + 3 * weight[town])
    at = towns[town] + chance.normal(0, 1, (count, 2)) * spread[:, None]
    popular = chance.permutation(1 / np.arange(1, len(CODES) + 1) ** 0.9)
    codes = chance.choice(len(CODES), (3, count), p=popular / popular.sum()).astype(np.uint16)
    several = chance.random(count)
    codes[1, several > 0.35] = codes[2, several > 0.1] = len(CODES)
    return Places(at[:, 0].copy(), at[:, 1].copy(), codes)


def register(known: Places) -> Snapshot:
    """A whole register of these workplaces, with ids as long as real ones; a fifth belong to one organisation."""
    count = len(known.x)
    owner = np.minimum(np.arange(count), int(count * 0.8)).astype(np.int32)
    owners = range(int(owner[-1]) + 1 if count else 0)
    town = np.digitize(known.x, np.linspace(330_000, 720_000, TOWNS - 1)).astype(np.uint16)
    cells = known.grid()
    slot = np.empty(count, dtype=np.int32)
    slot[cells.rows] = np.arange(count, dtype=np.int32)
    return Snapshot(
        register_version="0" * 32,
        import_number=1,
        register_date=None,
        ids=Texts.of(b"%010d" % i for i in range(count)),
        recipient=owner,
        recipient_ids=Texts.of(b"%032x" % (i * 0x9E3779B97F4A7C15) for i in owners),
        organisation=owner,
        organisations=Texts.of(b"%010d" % (5560000000 + i) for i in owners),
        status=np.zeros(count, dtype=np.uint8),
        municipality=town,
        municipalities=tuple(f"{i:04d}" for i in range(TOWNS)),
        by_municipality=np.argsort(town, kind="stable").astype(np.int32),
        municipality_starts=np.searchsorted(np.sort(town), np.arange(TOWNS + 1)),
        codes=known.codes,
        industries=tuple(IndustryCode(code=code, version="2025") for code in CODES),
        grid=cells,
        slot=slot,
        active_placed=count,
    )


def cases(known: Places, count: int) -> list[Asked]:
    """So many questions, where somebody works."""
    chance = np.random.default_rng(SEED + 1)
    return [_case(chance, known) for _ in range(count)]


def outlines(known: Places, count: int) -> list[Asked]:
    """So many questions about the area of a real municipality, moved to where somebody works: what a plan for the whole
    of it draws. Their corners are the border's, and those that the projection needs.
    """
    chance = np.random.default_rng(SEED + 2)
    return [_outline(chance, known) for _ in range(count)]


def _outline(chance: np.random.Generator, known: Places) -> Asked:
    area = municipalities.border(chance.choice(municipalities.known()))
    inside, somebody = shapely.get_coordinates(shapely.point_on_surface(area))[0], chance.integers(len(known.x))
    moved = np.array([known.x[somebody], known.y[somebody]]) - inside
    shape = shapely.transform(area, lambda xy: xy + moved)
    return Asked(Part("site", shape, shape), 0.0, _wanted(chance))


def _case(chance: np.random.Generator, known: Places) -> Asked:
    somebody = chance.integers(len(known.x))
    at = np.array([known.x[somebody], known.y[somebody]]) + chance.normal(0, 80, 2)
    kind = chance.choice(["point", "road", "area", "municipality"], p=[0.35, 0.3, 0.33, 0.02])
    if kind == "point":
        shape = shapely.Point(at)
    elif kind == "road":
        bend = np.cumsum(chance.normal(0, 0.3, chance.integers(2, 80))) + chance.uniform(0, 2 * np.pi)
        shape = shapely.LineString(at + np.cumsum(np.column_stack([np.cos(bend), np.sin(bend)]) * 60, axis=0))
    elif kind == "area":
        shape = _area(chance, at, chance.integers(4, 60), chance.uniform(20, 500))
    else:
        shape = _area(chance, at, 800, chance.uniform(4000, 15_000))
    buffer_m = float(chance.choice(BUFFERS)) if kind != "municipality" else 0.0
    return Asked(Part("site", shape, shape), buffer_m, _wanted(chance))


def _area(
    chance: np.random.Generator, at: npt.NDArray[np.float64], corners: int | np.integer[Any], radius: float
) -> shapely.Polygon:
    """A star-shaped outline: never crosses itself."""
    angles = np.sort(chance.uniform(0, 2 * np.pi, corners))
    far = radius * chance.uniform(0.6, 1, corners)
    return shapely.Polygon(at + np.column_stack([np.cos(angles), np.sin(angles)]) * far[:, None])


def _wanted(chance: np.random.Generator) -> Booleans | None:
    """Every industry, or some headings of two or three digits."""
    if chance.random() < 0.1:
        return None
    headings = tuple({code[: chance.choice([2, 3])] for code in chance.choice(CODES, chance.integers(1, 12))})
    return np.array([*(code.startswith(headings) for code in CODES), False])
