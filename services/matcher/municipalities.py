"""Where the municipalities are: borders simplified to some metres, a locator and not a survey.

Sources: the borders from Valmyndigheten, by way of Opendatasoft and okfse/sweden-geojson ("feel free to reuse"), four
decimals; the names from SCB's list of municipalities on 1 January 2026 (CC0).
"""

import json
from functools import cache
from importlib.resources import files

import shapely

from services.matcher import geometry
from services.matcher.geometry import Floats, Shape


@cache
def _borders() -> dict[str, Shape]:
    """Municipal borders in degrees, simplified: a locator, not a survey (Valmyndigheten, by way of okfse)."""
    data = json.loads(files("services.matcher").joinpath("data/municipalities.geojson").read_bytes())
    return {
        feature["properties"]["code"]: shapely.from_geojson(json.dumps(feature["geometry"]))
        for feature in data["features"]
    }


def known() -> tuple[str, ...]:
    """The codes of all municipalities."""
    return tuple(_borders())


def border(municipality: str) -> Shape | None:
    """A municipality's area in the grid; None where the code is unknown."""
    shape = _borders().get(municipality)
    return None if shape is None else geometry.project(shape)


@cache
def grown(municipality: str, margin_m: float) -> Shape | None:
    """A municipality's area and a margin around it, in the grid; None where the code is unknown."""
    shape = _borders().get(municipality)
    if shape is None:
        return None
    grown = geometry.project(shape).buffer(margin_m)
    shapely.prepare(grown)
    return grown


def code_of(name: str) -> str | None:
    """The code of a municipality by its name, also in the forms "Danderyds kommun" and "Stockholms stad"; or None."""
    asked = " ".join(name.casefold().split())
    names = _codes()
    if asked in names:
        return names[asked]
    short, _, kind = asked.rpartition(" ")
    return (names.get(short) or names.get(short.removesuffix("s"))) if kind in ("kommun", "stad") else None


@cache
def _codes() -> dict[str, str]:
    data = json.loads(files("services.matcher").joinpath("data/municipality_names.json").read_bytes())
    return {name.casefold(): code for code, name in data.items()}


def municipality_of(lon: float, lat: float) -> str | None:
    """The code of the municipality that a point lies in, or None."""
    codes, tree = _locator()
    found = tree.query(shapely.points(lon, lat), predicate="intersects")
    return codes[int(found[0])] if len(found) else None


def municipalities_of(lon: Floats, lat: Floats) -> list[str | None]:
    """The code of the municipality that each point lies in, or None. Of two that share a border, the first."""
    codes, tree = _locator()
    found: list[str | None] = [None] * len(lon)
    points, areas = tree.query(shapely.points(lon, lat), predicate="intersects")
    for point, area in zip(points.tolist(), areas.tolist(), strict=True):
        found[point] = found[point] or codes[area]
    return found


@cache
def _locator() -> tuple[tuple[str, ...], shapely.STRtree]:
    borders = _borders()
    return tuple(borders), shapely.STRtree(list(borders.values()))
