"""Places that cannot be meant, from the field cases: what every door answers, by the same code at the same place."""

from typing import Any, Final

_AT: Final = "/geometries/0/geometry"

BAD_PLACES: Final[dict[str, tuple[Any, str, str, str]]] = {
    "FC-001 latitude first": (
        {
            "type": "Polygon",
            "coordinates": [[[59.40, 18.03], [59.40, 18.05], [59.41, 18.05], [59.41, 18.03], [59.40, 18.03]]],
        },
        "axis_order", f"{_AT}/coordinates/0/0", "looks like lat, lon",
    ),
    "FC-002 a legacy crs member": (
        {
            "type": "Point",
            "coordinates": [672018.58, 6588510.07],
            "crs": {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::3006"}},
        },
        "wrong_shape", f"{_AT}/crs", "WGS 84",
    ),
    "FC-002 a legacy crs member that says what is true": (
        {
            "type": "Point",
            "coordinates": [18.03, 59.4],
            "crs": {"type": "name", "properties": {"name": "urn:ogc:def:crs:OGC:1.3:CRS84"}},
        },
        "wrong_shape", f"{_AT}/crs", "WGS 84",
    ),
    "FC-003 metres": (
        {"type": "Point", "coordinates": [672018.58, 6588510.07]},
        "not_degrees", f"{_AT}/coordinates", "SWEREF 99 TM metres",
    ),
    "FC-003 metres, north first": (
        {"type": "Point", "coordinates": [6588510.07, 672018.58]},
        "not_degrees", f"{_AT}/coordinates", "SWEREF 99 TM metres",
    ),
    "FC-005 a self-crossing ring": (
        {
            "type": "Polygon",
            "coordinates": [[[18.02, 59.39], [18.04, 59.41], [18.04, 59.39], [18.02, 59.41], [18.02, 59.39]]],
        },
        "invalid_polygon", f"{_AT}/coordinates", "near 59.40000 N 18.03000 E",
    ),
    "FC-008 null": (None, "wrong_shape", _AT, "must be an object"),
    "FC-008 nothing in it": (
        {"type": "MultiPoint", "coordinates": []}, "empty_geometry", f"{_AT}/coordinates", "leave it out",
    ),
    "a Feature where a geometry is meant": (
        {"type": "Feature", "properties": {}, "geometry": {"type": "Point", "coordinates": [18.03, 59.4]}},
        "wrong_shape", _AT, "of a Feature send its geometry",
    ),
    "a collection in a collection": (
        {"type": "GeometryCollection", "geometries": [{"type": "GeometryCollection", "geometries": []}]},
        "wrong_shape", f"{_AT}/geometries/0", "of a collection in a collection its parts",
    ),
    "a longitude beyond the antimeridian": (
        {"type": "Point", "coordinates": [181.0, 59.4]}, "not_degrees", f"{_AT}/coordinates", "degrees",
    ),
    "outside Sweden": (
        {"type": "Point", "coordinates": [2.35, 48.86]}, "outside_sweden", f"{_AT}/coordinates", "outside Sweden",
    ),
}  # fmt: skip
"""By field case: the geometry, the stable code, the JSON pointer, and words that say what is wrong."""
