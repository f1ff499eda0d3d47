"""The index of `grid` in one numba kernel, for registers where numpy's price per case is felt.

It gives what `grid.near` gives: the same rows, and distances that are the same to a hundredth of a metre. The kernel
chooses and measures; where its arithmetic could round otherwise than shapely's, at the reach and at half a hundredth,
shapely measures once more. Cells that no edge comes near lie wholly inside or outside, and nobody in them is measured.

Everything is compiled, or loaded from numba's cache, when this module is imported. Where there is nowhere to keep a
cache it is compiled at every start.
"""

from collections.abc import Callable
from typing import Any, Final, TypeAlias, TypeVar

import numba
import numpy as np
import numpy.typing as npt
import shapely
from numba import types

from services.matcher import geometry
from services.matcher.geometry import Floats, Indices, Part, Shape
from services.matcher.grid import CELL_M, HAIR_M, Booleans, Codes, Grid
from services.matcher.grid import near as in_numpy

BUNCH: Final = 8
"""Edges with a common box: what is far goes unmeasured by the bunch. Each row of cells has a list of those that come
near it, and of the edges that run through it, so that a long outline costs a cell only what of it comes near.
"""
DOUBT: Final = 1e-4
"""Of a hundredth of a metre: what is nearer to a half than this is measured by shapely."""
ENDLESS: Final = 1e30
NOBODY: Final = np.zeros(1, dtype=np.bool_)
Cells: TypeAlias = npt.NDArray[np.int32]
Function = TypeVar("Function", bound=Callable[..., Any])


def _compiled(*signature: Any) -> Callable[[Function], Function]:
    """Compiles at once where a signature is given, else as part of who calls it."""
    jit: Any = numba.njit

    def compiled(function: Function) -> Function:
        try:
            made: Function = jit(*signature, cache=True, nogil=True)(function)
        except RuntimeError:  # no place for a cache: a read-only home
            made = jit(*signature, nogil=True)(function)
        return made

    return compiled


def near(
    grid: Grid, part: Part, buffer_m: float, wanted: Booleans | None, alive: Booleans | None
) -> tuple[Indices, Floats]:
    """Who is within `buffer_m` of a part, and how far."""
    if grid.codes.dtype != np.uint16:
        return in_numpy(grid, part, buffer_m, wanted, alive)
    reach = geometry.reach(buffer_m)
    rows, metres, doubtful = _near(
        grid.starts, grid.x, grid.y, grid.codes, grid.rows, grid.west, grid.south, grid.width, grid.height,
        *_lines(part.metric), reach,
        NOBODY if wanted is None else wanted, wanted is not None, NOBODY if alive is None else alive, alive is not None,
    )  # fmt: skip
    if doubtful.size:
        at, slots = doubtful
        metres[at] = geometry.distances(part, shapely.points(grid.x[slots], grid.y[slots]))
        rows, metres = rows[metres <= reach], metres[metres <= reach]
    return rows, metres


def _lines(shape: Shape) -> tuple[Floats, Indices, bool]:
    """A shape's positions, where each line or ring of it begins, and whether it has an inside."""
    kind = shape.geom_type
    area = kind in ("Polygon", "MultiPolygon")
    if kind in ("Point", "LineString") or (kind == "Polygon" and not shapely.get_num_interior_rings(shape)):
        xy = shapely.get_coordinates(shape)
        return xy, np.array((0, len(xy))), area
    parts = shapely.get_parts(shape)
    lines = shapely.get_rings(parts) if area else parts
    xy, line = shapely.get_coordinates(lines, return_index=True)
    return xy, np.searchsorted(line, np.arange(len(lines) + 1)), area


@_compiled()
def _to_edge(px: float, py: float, ax: float, ay: float, bx: float, by: float) -> float:
    """Square of the distance from a point to an edge."""
    dx, dy = bx - ax, by - ay
    length = dx * dx + dy * dy
    along = 0.0 if length == 0.0 else ((px - ax) * dx + (py - ay) * dy) / length
    along = min(1.0, max(0.0, along))
    ex, ey = px - ax - along * dx, py - ay - along * dy
    return ex * ex + ey * ey


@_compiled()
def _to_box(west: float, south: float, east: float, north: float, box: Floats) -> float:
    """Square of the least distance between two boxes."""
    dx = max(0.0, max(box[0] - east, west - box[2]))
    dy = max(0.0, max(box[1] - north, south - box[3]))
    return float(dx * dx + dy * dy)


@_compiled()
def _across(west: float, south: float, east: float, north: float, box: Floats) -> float:
    """Square of the greatest distance between points of two boxes."""
    dx = max(east - box[0], box[2] - west)
    dy = max(north - box[1], box[3] - south)
    return float(dx * dx + dy * dy)


@_compiled()
def _edges(xy: Floats, starts: Indices) -> Floats:
    """Every edge of every line; a lone position is an edge without length. None at all where one is not finite."""
    count = 0
    for line in range(starts.size - 1):
        count += min(starts[line + 1] - starts[line], max(1, starts[line + 1] - starts[line] - 1))
    edges, at = np.empty((count, 4)), 0
    for line in range(starts.size - 1):
        begin, end = starts[line], starts[line + 1]
        for i in range(begin, min(end, max(begin + 1, end - 1))):
            j = min(i + 1, end - 1)
            if not (
                np.isfinite(xy[i, 0]) and np.isfinite(xy[i, 1]) and np.isfinite(xy[j, 0]) and np.isfinite(xy[j, 1])
            ):
                return np.empty((0, 4))
            edges[at, 0], edges[at, 1], edges[at, 2], edges[at, 3] = xy[i, 0], xy[i, 1], xy[j, 0], xy[j, 1]
            at += 1
    return edges


@_compiled()
def _boxes(edges: Floats) -> Floats:
    """The boxes of the bunches."""
    boxes = np.empty(((edges.shape[0] + BUNCH - 1) // BUNCH, 4))
    boxes[:, :2], boxes[:, 2:] = ENDLESS, -ENDLESS
    for e in range(edges.shape[0]):
        box = boxes[e // BUNCH]
        box[0], box[1] = min(box[0], edges[e, 0], edges[e, 2]), min(box[1], edges[e, 1], edges[e, 3])
        box[2], box[3] = max(box[2], edges[e, 0], edges[e, 2]), max(box[3], edges[e, 1], edges[e, 3])
    return boxes


@_compiled()
def _past(south: float, north: float, boxes: Floats, found: Indices) -> int:
    """Which bunches come between two lines of latitude, and how many."""
    count = 0
    for k in range(boxes.shape[0]):
        if boxes[k, 1] <= north and boxes[k, 3] >= south:
            found[count] = k
            count += 1
    return count


@_compiled()
def _strip(south: float, north: float, edges: Floats, past: Indices, found: Indices, spans: Floats) -> int:
    """Which edges run between two lines of latitude, how many, and from where to where each runs there to the east."""
    count = 0
    for k in past:
        for e in range(k * BUNCH, min(edges.shape[0], (k + 1) * BUNCH)):
            x1, y1, x2, y2 = edges[e, 0], edges[e, 1], edges[e, 2], edges[e, 3]
            low, high = max(min(y1, y2), south), min(max(y1, y2), north)
            if low > high or y1 == y2:
                continue
            one, other = x1 + (x2 - x1) * ((low - y1) / (y2 - y1)), x1 + (x2 - x1) * ((high - y1) / (y2 - y1))
            found[count], spans[count, 0], spans[count, 1] = e, min(one, other) - HAIR_M, max(one, other) + HAIR_M
            count += 1
    return count


@_compiled()
def _east(
    west: float, south: float, east: float, north: float, edges: Floats, strip: Indices, spans: Floats, found: Indices
) -> tuple[bool, int]:
    """What a ray to the east from within a box crosses: whether an odd number of edges for certain, and those of which
    each point must ask.
    """
    odd, count = False, 0
    for i, e in enumerate(strip):
        if spans[i, 1] < west:
            continue
        if spans[i, 0] > east and min(edges[e, 1], edges[e, 3]) < south and max(edges[e, 1], edges[e, 3]) > north:
            odd = not odd
        else:
            found[count] = e
            count += 1
    return odd, count


@_compiled()
def _inside(px: float, py: float, edges: Floats, odd: bool, asked: Indices) -> bool:
    """Whether a ray to the east crosses the outline an odd number of times."""
    for e in asked:
        y1, y2 = edges[e, 1], edges[e, 3]
        if (y1 > py) != (y2 > py) and px < (edges[e, 2] - edges[e, 0]) * (py - y1) / (y2 - y1) + edges[e, 0]:
            odd = not odd
    return odd


@_compiled()
def _close(
    west: float, south: float, east: float, north: float, far2: float, boxes: Floats, past: Indices, found: Indices
) -> int:
    """Which of the bunches can be the nearest to a point of a box, and how many; those that are too far never are."""
    least, count = far2, 0
    for k in past:
        if _to_box(west, south, east, north, boxes[k]) <= least:
            least = min(least, _across(west, south, east, north, boxes[k]))
            found[count] = k
            count += 1
    return count


@_compiled()
def _nearest(px: float, py: float, reach2: float, edges: Floats, boxes: Floats, bunches: Indices, count: int) -> float:
    """Square of the distance to the nearest edge, or something greater than that of the reach."""
    least = reach2 * (1 + 1e-9) + 1e-9
    for i in range(count):
        k = bunches[i]
        if _to_box(px, py, px, py, boxes[k]) < least:
            for e in range(k * BUNCH, min(edges.shape[0], (k + 1) * BUNCH)):
                least = min(least, _to_edge(px, py, edges[e, 0], edges[e, 1], edges[e, 2], edges[e, 3]))
    return least


@_compiled()
def _cell(metres: float, count: int) -> int:
    return int(min(max(np.floor(metres / CELL_M), 0.0), count - 1.0))


@_compiled()
def _wants(codes: Codes, slot: int, wanted: Booleans) -> bool:
    for line in range(codes.shape[0]):  # noqa: SIM110 - numba has no any()
        if wanted[codes[line, slot]]:
            return True
    return False


def _read(kind: Any, dimensions: int = 1) -> Any:
    return types.Array(kind, dimensions, "C", readonly=True)


_TUPLE: Any = types.Tuple
_SIGNATURE: Final = _TUPLE((types.int64[::1], types.float64[::1], types.int64[:, ::1]))(
    _read(types.int32), _read(types.float64), _read(types.float64), _read(types.uint16, 2), _read(types.int32),
    types.float64, types.float64, types.int64, types.int64,
    _read(types.float64, 2), _read(types.int64), types.boolean, types.float64,
    _read(types.boolean), types.boolean, _read(types.boolean), types.boolean,
)  # fmt: skip


@_compiled(_SIGNATURE)
def _near(
    cells: Cells, x: Floats, y: Floats, codes: Codes, rows: Cells,
    grid_west: float, grid_south: float, width: int, height: int,
    xy: Floats, starts: Indices, area: bool, reach: float,
    wanted: Booleans, some_wanted: bool, alive: Booleans, some_alive: bool,
) -> tuple[Indices, Floats, Indices]:  # fmt: skip
    """Rows within reach of the lines or inside of them, their distances, and which of these shapely must measure: where
    they stand among the found, and their slots.
    """
    edges = _edges(xy, starts)
    if edges.shape[0] == 0:
        return np.empty(0, np.int64), np.empty(0, np.float64), np.empty((2, 0), np.int64)
    boxes, far = _boxes(edges), reach + HAIR_M
    left = _cell(boxes[:, 0].min() - far - grid_west, width)
    bottom = _cell(boxes[:, 1].min() - far - grid_south, height)
    right = _cell(boxes[:, 2].max() + far - grid_west, width)
    top = _cell(boxes[:, 3].max() + far - grid_south, height)
    room = 0
    for line in range(bottom, top + 1):
        room += cells[line * width + right + 1] - cells[line * width + left]
    found, metres, count = np.empty(room, np.int64), np.empty(room, np.float64), 0
    doubtful, doubts = np.empty((2, room), np.int64), 0
    past, bunches, far2 = np.empty(boxes.shape[0], np.int64), np.empty(boxes.shape[0], np.int64), far * far
    strip, asked, spans = np.empty(len(edges), np.int64), np.empty(len(edges), np.int64), np.empty((len(edges), 2))
    for line in range(bottom, top + 1):
        south, north = grid_south + line * CELL_M - HAIR_M, grid_south + (line + 1) * CELL_M + HAIR_M
        south, north = south if line > 0 else -ENDLESS, north if line < height - 1 else ENDLESS
        if cells[line * width + left] == cells[line * width + right + 1]:
            continue
        passing = past[: _past(south - far, north + far, boxes, past)]
        running = strip[: _strip(south, north, edges, passing, strip, spans) if area else 0]
        whole, known = False, -2  # the column for which `whole` holds
        for column in range(left, right + 1):
            begin, end = cells[line * width + column], cells[line * width + column + 1]
            while begin < end and some_wanted and not _wants(codes, begin, wanted):
                begin += 1
            if begin == end:
                continue  # before anything is asked of the outline
            west, east = grid_west + column * CELL_M - HAIR_M, grid_west + (column + 1) * CELL_M + HAIR_M
            west, east = west if column > 0 else -ENDLESS, east if column < width - 1 else ENDLESS
            close = _close(west, south, east, north, far2, boxes, passing, bunches)
            odd, several = False, 0
            if area and (close > 0 or known != column - 1):
                odd, several = _east(west, south, east, north, edges, running, spans, asked)
            if close == 0:
                if area and known != column - 1:
                    whole = _inside(x[begin], y[begin], edges, odd, asked[:several])
                known = column
                if not whole:
                    continue
            for slot in range(begin, end):
                if (some_wanted and not _wants(codes, slot, wanted)) or (some_alive and not alive[rows[slot]]):
                    continue
                distance = 0.0
                if close > 0 and not (area and _inside(x[slot], y[slot], edges, odd, asked[:several])):
                    distance = np.sqrt(_nearest(x[slot], y[slot], far2, edges, boxes, bunches, close))
                hundredths = distance * 100.0
                if abs(hundredths - np.floor(hundredths) - 0.5) < DOUBT or abs(distance - reach) < DOUBT / 100.0:
                    doubtful[0, doubts], doubtful[1, doubts] = count, slot
                    doubts += 1
                elif distance > reach:
                    continue
                found[count], metres[count] = rows[slot], distance
                count += 1
    return found[:count].copy(), metres[:count].copy(), doubtful[:, :doubts].copy()
