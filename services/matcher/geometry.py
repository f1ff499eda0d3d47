"""Where a case is, in metres: WGS 84 to SWEREF 99 TM (EPSG:3006), and how far each point is from it.

Distances are grid metres on the exact, unbuffered geometry, and 0 within it; the border counts as within. A straight
line between two positions is straight in longitude and latitude (RFC 7946 §3.1.1) and a little curved in the grid: an
edge of 20 km along a parallel bends 13 m. So long edges get points of their own before they are projected.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt
import shapely
from pyproj import Transformer

from schemas.case import RoledGeometry
from schemas.geojson import in_degrees, parts

Shape: TypeAlias = Any
"""A shapely geometry; shapely has no types."""
Floats: TypeAlias = npt.NDArray[np.float64]
Indices: TypeAlias = npt.NDArray[np.int64]

SLACK_M: Final = 0.001
"""A millimetre for the arithmetic: 100 m written in a rule reaches what is 100 m away, and what lies on a border is
within.
"""
STRAIGHT_DEGREES: Final = 0.0013
"""An edge of this length (145 m to the north, 74 m to the east at 59° N) lies within half a millimetre of its chord in
the grid, anywhere in Sweden: a curve leaves its chord by at most an eighth of its second derivative, here R·d²·1.1/8
with d in radians.
"""
MOST_POINTS: Final = 50_000
"""Points that are put into one geometry at most. Only an outline of more than 3,600 km meets it; its edges are then cut
less finely, and may be some millimetres off.
"""
MANY: Final = 1_000_000
"""From so many pairs of an edge and a point on it pays to put the edges in a tree."""


@dataclass(frozen=True)
class Part:
    """One simple geometry of a case and its role, in the grid and in degrees."""

    role: str
    metric: Shape
    degrees: Shape


@cache
def _transformer() -> Transformer:
    return Transformer.from_crs("EPSG:4326", "EPSG:3006", always_xy=True)


def to_grid(lon: Floats, lat: Floats) -> tuple[Floats, Floats]:
    """East and north in SWEREF 99 TM."""
    x, y = _transformer().transform(lon, lat)
    return np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)


def project(shape: Shape) -> Shape:
    """A shape in degrees as one in the grid, its long edges bent as the grid bends them."""
    longest = max(STRAIGHT_DEGREES, shape.length / MOST_POINTS)
    return shapely.transform(densified(shape, longest), lambda xy: np.column_stack(to_grid(xy[:, 0], xy[:, 1])))


def densified(shape: Shape, longest: float) -> Shape:
    """A shape with no edge longer than this. Its own positions stay as they are."""
    match shape.geom_type:
        case "LineString":
            return shapely.LineString(_cut(shape, longest))
        case "Polygon":
            return shapely.Polygon(_cut(shape.exterior, longest), [_cut(ring, longest) for ring in shape.interiors])
        case "MultiLineString":
            return shapely.MultiLineString([densified(line, longest) for line in shape.geoms])
        case "MultiPolygon":
            return shapely.MultiPolygon([densified(polygon, longest) for polygon in shape.geoms])
        case "GeometryCollection":
            return shapely.GeometryCollection([densified(part, longest) for part in shape.geoms])
        case _:
            return shape


def _cut(line: Shape, longest: float) -> Floats:
    """A line's positions, with equal steps along every edge that is too long."""
    at: Floats = shapely.get_coordinates(line)
    edges = at[1:] - at[:-1]
    lengths = np.hypot(edges[:, 0], edges[:, 1])
    if lengths.max() <= longest:
        return at
    pieces = np.maximum(np.ceil(lengths / longest), 1).astype(np.int64)
    ends = pieces.cumsum()
    edge = np.repeat(np.arange(len(edges)), pieces)
    share = (np.arange(ends[-1]) - (ends - pieces)[edge]) / pieces[edge]
    return np.concatenate([at[edge] + share[:, None] * edges[edge], at[-1:]])


def parts_of(geometries: Iterable[RoledGeometry]) -> tuple[Part, ...]:
    """The simple parts of a case's geometries. Heights are dropped (RFC 7946 §3.1.1)."""
    return tuple(
        Part(item.role, project(shape), shape)
        for item in geometries
        for simple in parts(item.geometry)
        for shape in _sound(in_degrees(simple))
    )


def _sound(shape: Shape) -> Iterable[Shape]:
    """A shape as it is; polygons that overlap each other one by one, since together they are no valid geometry."""
    return (shape,) if shape.geom_type != "MultiPolygon" or shape.is_valid else shape.geoms


def reach(buffer_m: float) -> float:
    """How far somebody may be who counts as within `buffer_m`."""
    return buffer_m + SLACK_M


def distances(part: Part, points: Sequence[Shape]) -> Floats:
    """Metres from a part to each point."""
    if shapely.get_num_coordinates(part.metric) * len(points) > MANY:
        return by_edges(part.metric, points)
    return np.asarray(shapely.distance(part.metric, points), dtype=np.float64)


def by_edges(shape: Shape, points: Sequence[Shape]) -> Floats:
    """The same, by a tree of the shape's edges: where both are many, not every edge is measured to every point."""
    outline = shapely.boundary(shape) if shapely.get_dimensions(shape) == 2 else shape
    pieces = shapely.get_parts(outline)
    at, line = shapely.get_coordinates(pieces, return_index=True)
    joined = line[1:] == line[:-1]
    if joined.any():
        pieces = shapely.linestrings(np.stack([at[:-1][joined], at[1:][joined]], axis=1))
    (point, _), nearest = shapely.STRtree(pieces).query_nearest(
        np.asarray(points), all_matches=False, return_distance=True
    )
    metres = np.empty(len(points))
    metres[point] = nearest
    if outline is not shape:
        shapely.prepare(shape)
        metres[shapely.intersects(shape, points)] = 0.0
    return metres
