"""Where the register's workplaces are: a grid of square cells, and who is near a geometry.

The workplaces lie in order of cell, so that the cells side by side under a geometry are one slice of each column. Of
those the ones with no wanted industry go first, by a table of codes; what is left is measured exactly. Cells only
choose whom to measure: whether somebody is near, and how far, is `geometry`'s to say. What lies beyond the grid lies
in its outermost cells.

This is the index in numpy and shapely, the default and the measure of `grid_fast`, which gives the same, faster.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt
import shapely

from schemas.geojson import SWEREF_TM
from services.matcher import geometry
from services.matcher.geometry import Floats, Indices, Part
from services.matcher.ranges import runs

CELL_M: Final = 500.0
HAIR_M: Final = 0.001
"""Who is so little farther is measured too: choosing whom to measure rounds differently from measuring."""
MANY: Final = 64
"""From so many candidates on it pays to prepare the geometry and to ask first who is near at all."""
Booleans: TypeAlias = npt.NDArray[np.bool_]
Codes: TypeAlias = npt.NDArray[np.uint16]


@dataclass(frozen=True)
class Grid:
    """Placed workplaces in order of cell, cells row by row from the south-west."""

    west: float
    south: float
    width: int
    height: int
    starts: npt.NDArray[np.int32]
    """Where each cell begins in the columns, and at last how many there are."""
    x: Floats
    y: Floats
    codes: Codes
    """One line for the first code of each workplace, one for the second and so on; those that have fewer have the
    number after the last code.
    """
    rows: npt.NDArray[np.int32]
    """Each one's row in the register."""


Near: TypeAlias = Callable[[Grid, Part, float, Booleans | None, Booleans | None], tuple[Indices, Floats]]
"""The index as it is asked: the part, metres, the wanted codes and the rows that count (None: all). It answers with
rows, in no order, and their distances.
"""


def build(x: Floats, y: Floats, codes: Codes, rows: npt.NDArray[np.int32]) -> Grid:
    """The grid over these workplaces; all columns are in one order."""
    west, south, width, height = _extent(x, y)
    cells = _line(y, south, height) * width + _line(x, west, width)
    order = np.argsort(cells, kind="stable")
    starts = np.zeros(width * height + 1, dtype=np.int32)
    np.cumsum(np.bincount(cells, minlength=width * height), out=starts[1:])
    return Grid(
        west, south, width, height, starts, x[order], y[order], np.ascontiguousarray(codes[:, order]), rows[order],
    )  # fmt: skip


def near(
    grid: Grid, part: Part, buffer_m: float, wanted: Booleans | None, alive: Booleans | None
) -> tuple[Indices, Floats]:
    """Who is within `buffer_m` of a part, and how far."""
    reach = geometry.reach(buffer_m)
    slots = _candidates(grid, part, reach + HAIR_M, wanted)
    if alive is not None:
        slots = slots[alive[grid.rows[slots]]]
    slots, metres = _measured(grid, part, reach + HAIR_M, slots)
    keep = metres <= reach
    return grid.rows[slots[keep]].astype(np.int64), metres[keep]


def window(grid: Grid, part: Part, reach: float) -> tuple[int, int, int, int] | None:
    """First and last column and row of the cells that may hold somebody within reach; None for what has no place."""
    west, south, east, north = part.metric.bounds
    if not isfinite(west + south + east + north):
        return None
    return (
        _cell(west - reach, grid.west, grid.width),
        _cell(east + reach, grid.west, grid.width),
        _cell(south - reach, grid.south, grid.height),
        _cell(north + reach, grid.south, grid.height),
    )


def _candidates(grid: Grid, part: Part, reach: float, wanted: Booleans | None) -> Indices:
    """Who stands in the cells around a part, has a wanted code and lies in its box."""
    cells = window(grid, part, reach)
    if cells is None:
        return np.empty(0, dtype=np.int64)
    left, right, bottom, top = cells
    lines = np.arange(bottom, top + 1) * grid.width
    slots = runs(grid.starts[lines + left], grid.starts[lines + right + 1])
    if wanted is not None:
        slots = slots[has(grid.codes, slots, wanted)]
    west, south, east, north = part.metric.bounds
    x, y = grid.x[slots], grid.y[slots]
    inside = (x >= west - reach) & (x <= east + reach) & (y >= south - reach) & (y <= north + reach)
    found: Indices = slots[inside]
    return found


def has(codes: Codes, which: Indices | slice, wanted: Booleans) -> Booleans:
    """Which of these have a wanted code."""
    found: Booleans = wanted[codes[0, which]]
    for line in codes[1:]:
        found |= wanted[line[which]]
    return found


def _measured(grid: Grid, part: Part, reach: float, slots: Indices) -> tuple[Indices, Floats]:
    """Distances of those who are near. Where they are many, whom the part contains is at 0 and is not measured."""
    if slots.size <= MANY:
        return slots, geometry.distances(part, shapely.points(grid.x[slots], grid.y[slots]))
    shapely.prepare(part.metric)
    whole = _wholly_inside(grid, part, slots)
    sure, slots = slots[whole], slots[~whole]
    points = shapely.points(grid.x[slots], grid.y[slots])
    close = shapely.dwithin(part.metric, points, reach)
    slots, points = slots[close], points[close]
    outside = ~shapely.intersects(part.metric, points)
    metres = np.zeros(slots.size)
    metres[outside] = geometry.distances(part, points[outside])
    return np.concatenate([sure, slots]), np.concatenate([np.zeros(sure.size), metres])


def _wholly_inside(grid: Grid, part: Part, slots: Indices) -> Booleans:
    """Who stands in a cell that lies wholly inside the part, where cells are worth asking."""
    if shapely.get_dimensions(part.metric) < 2 or slots.size <= MANY * MANY:
        return np.zeros(slots.size, dtype=np.bool_)
    column = _line(grid.x[slots], grid.west, grid.width)
    line = _line(grid.y[slots], grid.south, grid.height)
    inner = (column > 0) & (column < grid.width - 1) & (line > 0) & (line < grid.height - 1)
    cells = np.flatnonzero(np.bincount((line * grid.width + column)[inner]))
    west = grid.west + cells % grid.width * CELL_M - HAIR_M
    south = grid.south + cells // grid.width * CELL_M - HAIR_M
    side = CELL_M + 2 * HAIR_M
    covered = shapely.contains_properly(part.metric, shapely.box(west, south, west + side, south + side))
    inside = np.zeros(grid.width * grid.height, dtype=np.bool_)
    inside[cells] = covered
    found: Booleans = inside[line * grid.width + column]
    return found


def _extent(x: Floats, y: Floats) -> tuple[float, float, int, int]:
    """South-west corner, columns and rows: what is taken up of Sweden, so that a stray point makes no endless grid."""
    if not x.size:
        return 0.0, 0.0, 1, 1
    west, east = np.clip([x.min(), x.max()], SWEREF_TM[0], SWEREF_TM[2])
    south, north = np.clip([y.min(), y.max()], SWEREF_TM[1], SWEREF_TM[3])
    return float(west), float(south), int((east - west) // CELL_M) + 1, int((north - south) // CELL_M) + 1


def _line(metres: Floats, begin: float, count: int) -> Indices:
    return np.clip((metres - begin) // CELL_M, 0, count - 1).astype(np.int64)


def _cell(metres: float, begin: float, count: int) -> int:
    return min(max(int((metres - begin) // CELL_M), 0), count - 1)
