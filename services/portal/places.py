"""The municipality's named places, and a schematic picture of where they are.

The picture is a locator, not a map: an outline of a dozen points and a numbered dot for each place. Everything that it
shows stands in the list beside it, so a page is whole without it.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from math import cos, radians
from typing import Final

_WIDTH: Final = 320.0
_MARGIN: Final = 12.0


@dataclass(frozen=True)
class Place:
    """A named point in WGS 84."""

    name: str
    longitude: float
    latitude: float


@dataclass(frozen=True)
class Dot:
    """A place in the picture, numbered as in the list."""

    number: int
    name: str
    x: float
    y: float


@dataclass(frozen=True)
class Picture:
    """An outline and its dots, in units of an SVG view box."""

    width: float
    height: float
    outline: str
    dots: tuple[Dot, ...]


@dataclass(frozen=True)
class Municipality:
    """What is known of a municipality's places."""

    places: tuple[Place, ...] = ()
    outline: tuple[tuple[float, float], ...] = ()

    def named(self, name: str) -> Place | None:
        """The place of that name, or None."""
        return next((place for place in self.places if place.name == name), None)


@cache
def of(municipality: str) -> Municipality:
    """The places of a municipality by its code; none where we know none."""
    known = json.loads(files("services.portal").joinpath("data/places.json").read_bytes()).get(municipality)
    if known is None:
        return Municipality()
    outline = tuple((float(lon), float(lat)) for lon, lat in known["outline"])
    return Municipality(tuple(Place(**place) for place in known["places"]), outline)


def picture(municipality: Municipality) -> Picture | None:
    """The picture, or None where there is no outline. A degree of longitude is drawn shorter, as it is."""
    if not municipality.outline:
        return None
    lons, lats = zip(*municipality.outline, strict=True)
    squeeze = cos(radians(sum(lats) / len(lats)))
    scale = (_WIDTH - 2 * _MARGIN) / ((max(lons) - min(lons)) * squeeze)

    def on(lon: float, lat: float) -> tuple[float, float]:
        x = _MARGIN + (lon - min(lons)) * squeeze * scale
        return round(x, 1), round(_MARGIN + (max(lats) - lat) * scale, 1)

    height = round(2 * _MARGIN + (max(lats) - min(lats)) * scale, 1)
    return Picture(_WIDTH, height, _path([on(lon, lat) for lon, lat in municipality.outline]), _dots(municipality, on))


def _dots(municipality: Municipality, on: Callable[[float, float], tuple[float, float]]) -> tuple[Dot, ...]:
    return tuple(
        Dot(number, place.name, *on(place.longitude, place.latitude))
        for number, place in enumerate(municipality.places, 1)
    )


def _path(points: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x},{y}" for x, y in points)
