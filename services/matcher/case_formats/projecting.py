"""Coordinates of a stated reference system as WGS 84 (RFC 7946 §4), for formats that state one or are told.

A line that is straight in the grid is curved in longitude and latitude, so long edges are cut before they are
projected: uncut, the middle of a 20 km edge would lie 13 m off. Numbers are rounded to a millimetre, so that another
version of the library says the same of the same file.
"""

import json
from collections.abc import Mapping
from functools import cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import shapely
from pyproj import CRS, Transformer
from shapely.errors import GEOSException, ShapelyError

from services.matcher.case_formats.items import Unusable
from services.matcher.register.places import DEGREES, System

EDGE_M: Final = 1000.0
"""The longest edge in metres: a chord of it lies some centimetres from the line."""
LONGEST_M: Final = 10_000_000.0
"""A longer line is a slip, and cutting it could fill the memory."""
DECIMALS: Final = 8
_HINT: Final = "are they [east, north] in metres, and is it the right system?"


def to_wgs84(geometry: Mapping[str, Any], system: System) -> dict[str, Any]:
    """A GeoJSON geometry with [east, north] in a system, in WGS 84. Raises `Unusable`."""
    if system.name == DEGREES:
        return dict(geometry)
    plain = {name: part for name, part in geometry.items() if name not in ("bbox", "crs")}
    try:
        shape = shapely.force_2d(shapely.from_geojson(json.dumps(plain)))
        with np.errstate(over="ignore"):
            length = shapely.length(shape)
        if not length <= LONGEST_M:
            raise Unusable("outside_system", f"is far too long in {system.name}: {_HINT}", "/geometries")
        projected = shapely.transform(shapely.segmentize(shape, EDGE_M), lambda xy: _projected(xy, system))
    except (GEOSException, ShapelyError, ValueError, TypeError, OverflowError, RecursionError):
        raise Unusable("invalid_geometry", "is no GeoJSON geometry (RFC 7946 §3.1)", "/geometries") from None
    if not np.isfinite(shapely.get_coordinates(projected)).all():
        raise Unusable("outside_system", f"the coordinates do not fit {system.name}: {_HINT}", "/geometries")
    found: dict[str, Any] = json.loads(shapely.to_geojson(projected))
    return found


def _projected(xy: npt.NDArray[np.float64], system: System) -> npt.NDArray[np.float64]:
    lon, lat = _transformer(system.name, system.crs).transform(xy[:, 0], xy[:, 1])
    return np.round(np.column_stack((lon, lat)), DECIMALS)


@cache
def _transformer(name: str, crs: CRS) -> Transformer:
    return Transformer.from_crs(crs, DEGREES, always_xy=True)
