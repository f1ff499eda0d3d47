"""GeoJSON FeatureCollections (RFC 7946): the mapping says which property is what; each geometry gets a role.

Coordinates are WGS 84 unless another system is told, or stated by the `crs` member of GeoJSON before RFC 7946, which
most map programs still write. Features with one case id are one case.
"""

from collections.abc import Mapping
from typing import Any

from services.matcher.case_formats.items import Unreadable, Unusable, features
from services.matcher.case_formats.mapped import Piece
from services.matcher.case_formats.projecting import to_wgs84
from services.matcher.register.places import System, system
from services.matcher.register.source import Unreadable as NoSystem
from services.runtime.mapping import flatten


def pieces(content: Mapping[str, Any], told: str | None) -> list[Piece]:
    """Each feature, its geometry in WGS 84. `told` is the system that was named. Raises `Unreadable`."""
    crs = stated_system(content, told)
    return [_piece(place, feature, crs) for place, feature in features(content)]


def stated_system(content: Mapping[str, Any], told: str | None) -> System:
    """The reference system of a collection's coordinates. Raises `Unreadable`."""
    stated = _stated(content.get("crs"))
    try:
        found = [system(text) for text in (told, stated) if text is not None]
    except NoSystem as error:
        raise Unreadable(str(error)) from None
    if len({one.name for one in found}) > 1:
        raise Unreadable(f"the file says {found[1].name} and {found[0].name} was told; leave out the one that is wrong")
    return found[0] if found else system(None)


def _stated(crs: Any) -> str | None:
    if crs is None:
        return None
    properties = crs.get("properties") if isinstance(crs, dict) and crs.get("type") == "name" else None
    name = properties.get("name") if isinstance(properties, dict) else None
    if not isinstance(name, str):
        raise Unreadable('its "crs" member is not understood; say the system with --crs EPSG:n and take the member out')
    return name


def _piece(place: str, feature: Mapping[str, Any], crs: System) -> Piece:
    properties = feature.get("properties")
    row = flatten(properties) if isinstance(properties, dict) else {}
    if isinstance(feature.get("id"), str | int):
        row = {"id": str(feature["id"])} | row
    geometry, fault, places = feature.get("geometry"), None, []
    if geometry is not None:
        try:
            places.append(("site", to_wgs84(geometry if isinstance(geometry, dict) else {}, crs)))
        except Unusable as error:
            fault = error
    return Piece(place, row, places, fault=fault)
