"""The index that a register of this size is asked by: numba's kernel where it pays and is installed, numpy elsewhere.

numba comes with the extra `fast`. Loading it takes a moment, and compiling it the first time some seconds, so small
registers leave it alone and `warm` is called before a register is used: no case waits for a compiler.
"""

from functools import cache
from typing import Final

import shapely

from services.matcher import grid
from services.matcher.geometry import Floats, Indices, Part
from services.matcher.grid import Booleans, Grid, Near

LARGE: Final = 100_000
"""Placed workplaces, from which on numba is used."""


def near(
    cells: Grid, part: Part, buffer_m: float, wanted: Booleans | None, alive: Booleans | None
) -> tuple[Indices, Floats]:
    """Who is within `buffer_m` of a part, and how far."""
    return _for(cells)(cells, part, buffer_m, wanted, alive)


def warm(cells: Grid) -> None:
    """Loads and compiles what a register of this size is asked by."""
    nowhere = shapely.Point(0, 0)
    near(cells, Part("site", nowhere, nowhere), 0.0, None, None)


def _for(cells: Grid) -> Near:
    return _fastest() if len(cells.rows) >= LARGE else grid.near


@cache
def _fastest() -> Near:
    try:
        from services.matcher import grid_fast
    except ImportError:
        return grid.near
    return grid_fast.near
