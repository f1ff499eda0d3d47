"""Lantmäteriet's exchange format for plans, *Nationell informationsspecifikation Detaljplan* 4.1.

A FeatureCollection of media type `application/vnd.lm.detaljplan.v4+json` with the plan and its provisions as features;
only plans become cases. A feature's `geometry` is null: the plan's area is a list of single surfaces, each [east,
north] in a system of SWEREF 99 that is stated beside it (EPSG:3006–3018). Multigeometries are no part of a delivery
(rules DP-0004 and DP-0018) and are refused. Which stage a `status` is, is said by the dialogue model
(`external_status.ngp_planstatus`). A plan's number of state is `objektversion`.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from services.matcher.case_formats.items import Unreadable, Unusable, features
from services.matcher.case_formats.mapped import Piece
from services.matcher.case_formats.projecting import to_wgs84
from services.matcher.register.places import system
from services.runtime.mapping import flatten

MEDIA_TYPE: Final = "feature:mediatyp"
STATUS_KEY: Final = "ngp_planstatus"
SYSTEMS: Final = frozenset(f"EPSG:{code}" for code in range(3006, 3019))
_VERSION: Final = re.compile(r"application/vnd\.lm\.detaljplan\.v([0-9]+)\+json")
_DECIDED: Final = {"påbörjad": "datumPaborjat", "antagen": "datumAntagande", "laga kraft": "datumLagakraft"}
_MULTI: Final = ("multiyta", "multilinje", "multipunkt", "multikropp", "multigeometri")


def pieces(content: Mapping[str, Any]) -> list[Piece]:
    """The plans of a delivery. Raises `Unreadable`."""
    media_type = content.get(MEDIA_TYPE)
    version = _VERSION.fullmatch(media_type) if isinstance(media_type, str) else None
    if media_type is not None and (version is None or version[1] != "4"):
        said = f"version {version[1]} of the format" if version else "another media type"
        raise Unreadable(f"is {said}; deliver application/vnd.lm.detaljplan.v4+json")
    found = [(place, feature.get("properties")) for place, feature in features(content)]
    return [_piece(place, plan) for place, plan in found if isinstance(plan, dict) and _is_plan(plan)]


def _is_plan(properties: Mapping[str, Any]) -> bool:
    return properties.get("feature:typ") == "detaljplan"


def _piece(place: str, plan: Mapping[str, Any]) -> Piece:
    row = flatten({name: value for name, value in plan.items() if name not in ("plangeometri", "ursprungligGeometri")})
    row["opened"] = _opened(row)
    number = plan.get("objektversion")
    numbered = number if isinstance(number, int) and number > 0 else 0
    try:
        return Piece(place, row, _places(plan.get("plangeometri")), numbered)
    except Unusable as error:
        return Piece(place, row, (), numbered, error)


def _opened(row: Mapping[str, str]) -> str:
    """Since when the plan has its status: when it changed, or what its decision says, or when this state was made."""
    decided = _DECIDED.get(row.get("status", ""), "")
    days = row.get(f"beslutsinformation[0].{decided}", "").split()
    return row.get("datumStatusforandring") or (days[-1] if days else "") or row.get("versionGiltigFran", "")


def _places(described: Any) -> list[tuple[str, Mapping[str, Any]]]:
    if not isinstance(described, list) or not described:
        raise Unusable("no_geometry", "the plan has no plangeometri", "/geometries")
    return [("site", _surface(i, item)) for i, item in enumerate(described)]


def _surface(i: int, described: Any) -> dict[str, Any]:
    pointer = f"/geometries/{i}"
    geometry = described.get("geometri") if isinstance(described, dict) else None
    if not isinstance(geometry, dict) or not isinstance(position := geometry.get("position"), dict):
        raise Unusable("no_geometry", "an entry of plangeometri has no geometri with a position", pointer)
    if geometry.get("typ") in _MULTI or str(position.get("type")).startswith(("Multi", "GeometryCollection")):
        raise Unusable(
            "multigeometry", "multigeometries are no part of a delivery (DP-0004); deliver each part by itself", pointer
        )
    if position.get("type") != "Polygon":
        raise Unusable("no_surface", "a plan's area is a surface: typ yta with a Polygon", pointer)
    if (crs := geometry.get("koordinatsystemPlan")) not in SYSTEMS:
        raise Unusable("unknown_system", "koordinatsystemPlan is none of EPSG:3006 to EPSG:3018", pointer)
    return to_wgs84(position, system(str(crs)))
