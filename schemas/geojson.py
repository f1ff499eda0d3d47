"""GeoJSON geometries as they come in (RFC 7946): shape, limits, and the mistakes that people make with them.

Coordinates are WGS 84 longitude, latitude in degrees. A height is allowed and ignored (§3.1.1). A `crs` member is
refused (§4): it would say that the numbers are something else. Whether the numbers can be meant, and whether lines
cross themselves, is asked by `check`, which both doors share: the matcher's for Kafka, the portal's for HTTP.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import BeforeValidator, Field
from pydantic.json_schema import SkipJsonSchema

from schemas.complaints import Complaint
from schemas.types import MAX_VERTICES, Value

Position: TypeAlias = Annotated[
    tuple[Annotated[float, Field(allow_inf_nan=False)], ...], Field(min_length=2, max_length=4)
]
Positions: TypeAlias = Annotated[list[Position], Field(max_length=MAX_VERTICES)]

SWEDEN: Final = (10.0, 54.9, 25.0, 69.5)
"""West, south, east, north of a box around Sweden, in degrees."""
SWEREF_TM: Final = (200_000.0, 6_100_000.0, 1_000_000.0, 7_700_000.0)
"""The same in SWEREF 99 TM metres (EPSG:3006)."""
LONGEST: Final = 10.0
"""Degrees of one edge, where the world is allowed: a longer one could pass where there are no metres."""
AXIS_ORDER: Final = "axis_order"
"""The code of what has latitude first."""
WORLDS: Final = 1080.0
"""Degrees that a map may be scrolled around the world."""
MERIDIAN: Final = 15.0
"""Degrees east: the middle of SWEREF 99 TM."""
FARTHEST: Final = 0.98
"""Sine of the greatest angle from the middle meridian's plane, 78°: a transverse Mercator projection has no metres near
90°, at the equator in the Atlantic and the Pacific.
"""


def _refused(_: Any) -> Any:
    raise ValueError("RFC 7946 §4 allows WGS 84 longitude, latitude only; convert the coordinates and leave crs out")


class _Geometry(Value):
    """`bbox` is allowed and read past; `crs` is refused."""

    bbox: Any = Field(None, exclude=True, repr=False)
    crs: SkipJsonSchema[Annotated[Any, BeforeValidator(_refused)]] = Field(None, exclude=True, repr=False)


class Point(_Geometry):
    type: Literal["Point"]
    coordinates: Position


class MultiPoint(_Geometry):
    type: Literal["MultiPoint"]
    coordinates: Positions


class LineString(_Geometry):
    type: Literal["LineString"]
    coordinates: Annotated[Positions, Field(min_length=2)]


Line: TypeAlias = Annotated[Positions, Field(min_length=2)]


class MultiLineString(_Geometry):
    type: Literal["MultiLineString"]
    coordinates: Annotated[
        list[Annotated[Positions, Field(min_length=2)]], Field(min_length=1, max_length=MAX_VERTICES)
    ]


Ring: TypeAlias = Annotated[Positions, Field(min_length=4)]


class Polygon(_Geometry):
    type: Literal["Polygon"]
    coordinates: Annotated[list[Ring], Field(min_length=1, max_length=MAX_VERTICES)]


class MultiPolygon(_Geometry):
    type: Literal["MultiPolygon"]
    coordinates: Annotated[
        list[Annotated[list[Ring], Field(min_length=1, max_length=MAX_VERTICES)]],
        Field(min_length=1, max_length=MAX_VERTICES),
    ]


Simple: TypeAlias = Annotated[
    Point | MultiPoint | LineString | MultiLineString | Polygon | MultiPolygon, Field(discriminator="type")
]


class GeometryCollection(_Geometry):
    type: Literal["GeometryCollection"]
    geometries: Annotated[list[Simple], Field(min_length=1, max_length=100)]


Geometry: TypeAlias = Annotated[
    Point | MultiPoint | LineString | MultiLineString | Polygon | MultiPolygon | GeometryCollection,
    Field(discriminator="type"),
]


def parts(geometry: Geometry) -> tuple[Simple, ...]:
    """The simple geometries of a collection, or the geometry itself."""
    return tuple(geometry.geometries) if isinstance(geometry, GeometryCollection) else (geometry,)


def positions(geometry: Geometry) -> Iterator[tuple[str, Position]]:
    """Every position with its JSON pointer inside the geometry."""
    if isinstance(geometry, GeometryCollection):
        for i, part in enumerate(geometry.geometries):
            yield from _walk(part.coordinates, f"/geometries/{i}/coordinates")
    else:
        yield from _walk(geometry.coordinates, "/coordinates")


def _walk(nested: Any, pointer: str) -> Iterator[tuple[str, Position]]:
    if isinstance(nested, tuple):
        yield pointer, nested
    else:
        for i, inner in enumerate(nested):
            yield from _walk(inner, f"{pointer}/{i}")


def vertices(geometry: Geometry) -> int:
    """How many positions a geometry has."""
    return sum(_count(part.coordinates) for part in parts(geometry))


def _count(nested: Any) -> int:
    if isinstance(nested, tuple):
        return 1
    return len(nested) if nested and isinstance(nested[0], tuple) else sum(map(_count, nested))


def in_degrees(part: Simple) -> Any:
    """A simple geometry as shapely has it, without heights (RFC 7946 §3.1.1)."""
    import shapely  # imported when a geometry is read: most readers of events never do

    match part:
        case Point():
            return shapely.Point(part.coordinates[:2])
        case MultiPoint():
            return shapely.MultiPoint(_flat(part.coordinates))
        case LineString():
            return shapely.LineString(_flat(part.coordinates))
        case MultiLineString():
            return shapely.MultiLineString([_flat(line) for line in part.coordinates])
        case Polygon():
            return shapely.Polygon(*_rings(part.coordinates))
        case MultiPolygon():
            return shapely.MultiPolygon([_rings(polygon) for polygon in part.coordinates])


def _rings(polygon: list[list[Position]]) -> tuple[list[Position], list[list[Position]]]:
    outer, *holes = polygon
    return _flat(outer), [_flat(hole) for hole in holes]


def _flat(line: list[Position]) -> list[Position]:
    return [position[:2] for position in line]


def check(geometry: Geometry, *, anywhere: bool = False) -> Complaint | None:
    """The first thing wrong with a geometry, or None. With `anywhere` it may lie outside Sweden."""
    for prefix, part in _numbered(geometry):
        if not part.coordinates:
            return Complaint("empty_geometry", "has no position: give one, or leave it out", f"{prefix}/coordinates")
    if anywhere or not all(_within_sweden(in_degrees(part).bounds) for part in parts(geometry)):
        for pointer, position in positions(geometry):
            if complaint := misplaced(pointer, position[0], position[1], anywhere=anywhere):
                return complaint
    for prefix, part in _numbered(geometry):
        if complaint := _broken(prefix, part, anywhere=anywhere):
            return complaint
    return _crossing(geometry)


def misplaced(pointer: str, x: float, y: float, *, anywhere: bool) -> Complaint | None:
    """What is wrong with one position: not degrees, axes swapped, outside Sweden; or None."""
    west, south, east, north = SWEDEN
    if not (abs(x) <= 180 and abs(y) <= 90):
        hint = "use WGS 84 longitude, latitude in degrees (RFC 7946 §4)"
        if _within(SWEREF_TM, x, y) or _within(SWEREF_TM, y, x):
            return Complaint("not_degrees", f"not degrees; are these SWEREF 99 TM metres? {hint}", pointer)
        if west <= y <= east and south <= x <= north:
            return _swapped(pointer)
        if abs(y) <= 90 and abs(x) <= WORLDS and _within(SWEDEN, (x + 180) % 360 - 180, y):
            return Complaint("not_degrees", "the longitude is whole turns of 360° too far; take them away", pointer)
        metres = "; are these metres of a map's grid?" if min(abs(x), abs(y)) > 1000 else ";"
        return Complaint("not_degrees", f"not degrees{metres} {hint}", pointer)
    if anywhere and math.cos(math.radians(y)) * abs(math.sin(math.radians(x - MERIDIAN))) > FARTHEST:
        return Complaint("unmeasurable", "lies where SWEREF 99 TM (EPSG:3006) has no metres; leave it out", pointer)
    if anywhere or _within(SWEDEN, x, y):
        return None
    if _within(SWEDEN, y, x):
        return _swapped(pointer)
    return Complaint("outside_sweden", "outside Sweden; check the coordinates and their order", pointer)


def _swapped(pointer: str) -> Complaint:
    return Complaint(
        AXIS_ORDER, "outside Sweden; looks like lat, lon: RFC 7946 §3.1.1 wants longitude, latitude", pointer
    )


def _within(box: tuple[float, float, float, float], x: float, y: float) -> bool:
    return box[0] <= x <= box[2] and box[1] <= y <= box[3]


def _within_sweden(box: tuple[float, float, float, float]) -> bool:
    return _within(SWEDEN, *box[:2]) and _within(SWEDEN, *box[2:])


def _numbered(geometry: Geometry) -> Iterator[tuple[str, Simple]]:
    if isinstance(geometry, GeometryCollection):
        yield from ((f"/geometries/{i}", part) for i, part in enumerate(geometry.geometries))
    else:
        yield "", geometry


def _lines(prefix: str, part: Simple) -> Iterator[tuple[str, list[Position]]]:
    """Every line and ring of a simple geometry with its JSON pointer."""
    at = f"{prefix}/coordinates"
    match part:
        case LineString():
            yield at, part.coordinates
        case MultiLineString() | Polygon():
            yield from ((f"{at}/{i}", line) for i, line in enumerate(part.coordinates))
        case MultiPolygon():
            for i, polygon in enumerate(part.coordinates):
                yield from ((f"{at}/{i}/{j}", ring) for j, ring in enumerate(polygon))


def _broken(prefix: str, part: Simple, *, anywhere: bool) -> Complaint | None:
    """A ring that does not close, or a line that would run around the wrong side of the earth."""
    for pointer, line in _lines(prefix, part):
        if isinstance(part, Polygon | MultiPolygon) and line[0][:2] != line[-1][:2]:
            return Complaint("unclosed_ring", "the ring does not end where it began (RFC 7946 §3.1.6)", pointer)
        if any(abs(a[0] - b[0]) > 180 for a, b in pairwise(line)):
            return Complaint("antimeridian", "crosses the antimeridian; cut it in two there (RFC 7946 §3.1.9)", pointer)
        if anywhere and any(max(abs(a[0] - b[0]), abs(a[1] - b[1])) > LONGEST for a, b in pairwise(line)):
            return Complaint("long_edge", f"has an edge of more than {LONGEST:.0f}°; put positions along it", pointer)
    return None


def _crossing(geometry: Geometry) -> Complaint | None:
    """A polygon that crosses itself has no inside: refused with the place, never half of it matched in silence. Several
    polygons of one geometry may touch or overlap: what lies in any of them is within.
    """
    import shapely

    for prefix, part in _numbered(geometry):
        if not isinstance(part, Polygon | MultiPolygon):
            continue
        whole = in_degrees(part)
        for shape in (whole,) if whole.is_valid else shapely.get_parts(whole):
            if not shape.is_valid:
                kind, _, where = str(shapely.is_valid_reason(shape)).partition("[")
                kind = _NO_AREA if shape.exterior.convex_hull.area == 0 else kind
                return Complaint("invalid_polygon", _invalid(kind, where.rstrip("]").split()), f"{prefix}/coordinates")
    return None


def _invalid(kind: str, where: Sequence[str]) -> str:
    place = f" near {float(where[1]):.5f} N {float(where[0]):.5f} E" if len(where) >= 2 else ""
    said, remedy = _FAULTS.get(kind.strip().lower(), (kind.strip().lower(), "redraw it"))
    return f"{said}{place}; {remedy}"


_NO_AREA: Final = "too few points in geometry component"
_FAULTS: Final[Mapping[str, tuple[str, str]]] = {
    "self-intersection": ("the line crosses itself", "redraw the ring there"),
    "ring self-intersection": ("the ring touches itself", "redraw the ring there, or make two rings of it"),
    _NO_AREA: ("has no area", "a ring needs three corners; draw a line as a LineString"),
    "hole lies outside shell": ("a hole lies outside its ring", "the first ring is the outer one (RFC 7946 §3.1.6)"),
    "holes are nested": ("a hole lies in another hole", "leave one of them out"),
    "interior is disconnected": ("holes cut it in pieces", "make a polygon of each piece"),
    "duplicate rings": ("has the same ring twice", "leave one of them out"),
}
"""What GEOS calls the fault, what is said of it, and what to do."""
