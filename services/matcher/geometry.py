"""Where a case is, in metres: WGS 84 to SWEREF 99 TM (EPSG:3006), and how far each point is from it.

Distances are grid metres on the exact, unbuffered geometry, and 0 within it; the border counts as within. A straight
line between two positions is straight in longitude and latitude (RFC 7946 §3.1.1) and a little curved in the grid, so
a point that lies on a border in degrees is within even where the grid says some centimetres.
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
from schemas.geojson import parts

Shape: TypeAlias = Any
"""A shapely geometry; shapely has no types."""
Floats: TypeAlias = npt.NDArray[np.float64]
Indices: TypeAlias = npt.NDArray[np.int64]

SLACK_M: Final = 0.001
"""A millimetre for the arithmetic: 100 m written in a rule reaches what is 100 m away."""
CURVE_M: Final = 1.0
"""How far a line that is straight in degrees may lie from its chord in the grid and still be asked about."""


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
    """A shape in degrees as one in the grid."""
    return shapely.transform(shape, lambda xy: np.column_stack(to_grid(xy[:, 0], xy[:, 1])))


def parts_of(geometries: Iterable[RoledGeometry]) -> tuple[Part, ...]:
    """The simple parts of a case's geometries. Heights are dropped (RFC 7946 §3.1.1)."""
    found = []
    for item in geometries:
        for simple in parts(item.geometry):
            degrees = shapely.force_2d(shapely.from_geojson(simple.model_dump_json()))
            found.append(Part(item.role, project(degrees), degrees))
    return tuple(found)


def within(part: Part, tree: shapely.STRtree, points: Shape, degrees: Shape, buffer_m: float) -> tuple[Indices, Floats]:
    """The points (by index) within `buffer_m` of a part, and their distances."""
    near: Indices = np.sort(tree.query(part.metric, predicate="dwithin", distance=buffer_m + CURVE_M))
    metres = distances(part, points[near], degrees[near])
    keep = metres <= buffer_m + SLACK_M
    return near[keep], metres[keep]


def distances(part: Part, points: Sequence[Shape], degrees: Sequence[Shape]) -> Floats:
    """Metres from a part to each point."""
    metres: Floats = np.asarray(shapely.distance(part.metric, points), dtype=np.float64)
    unsure = (metres > 0) & (metres <= CURVE_M)
    if unsure.any():
        metres[unsure] = np.where(shapely.intersects(part.degrees, np.asarray(degrees)[unsure]), 0.0, metres[unsure])
    return metres
