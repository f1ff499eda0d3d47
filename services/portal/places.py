"""The municipality's named places, and a schematic picture of where they are.

The picture is a locator, not a map: an outline of a dozen points and a numbered dot for each place. Everything that it
shows stands in the list beside it, so a page is whole without it.
"""

import json
from collections.abc import Sequence
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


@dataclass(frozen=True)
class Frame:
    """From degrees to a picture `height` high. A degree of longitude is drawn shorter, as it is."""

    west: float
    north: float
    squeeze: float
    scale: float
    margin: float
    height: float

    @classmethod
    def around(cls, outline: Sequence[tuple[float, float]], *, width: float, margin: float) -> "Frame":
        """The frame of a picture that an outline fills."""
        lons, lats = zip(*outline, strict=True)
        squeeze = cos(radians(sum(lats) / len(lats)))
        scale = (width - 2 * margin) / ((max(lons) - min(lons)) * squeeze)
        height = round(2 * margin + (max(lats) - min(lats)) * scale, 1)
        return cls(min(lons), max(lats), squeeze, scale, margin, height)

    def at(self, lon: float, lat: float) -> tuple[float, float]:
        """Where a point lies: from the left, from the top."""
        x = self.margin + (lon - self.west) * self.squeeze * self.scale
        return round(x, 1), round(self.margin + (self.north - lat) * self.scale, 1)


def picture(municipality: Municipality) -> Picture | None:
    """The picture, or None where there is no outline."""
    if not municipality.outline:
        return None
    frame = Frame.around(municipality.outline, width=_WIDTH, margin=_MARGIN)
    outline = " ".join(f"{x},{y}" for x, y in (frame.at(lon, lat) for lon, lat in municipality.outline))
    dots = tuple(
        Dot(number, place.name, *frame.at(place.longitude, place.latitude))
        for number, place in enumerate(municipality.places, 1)
    )
    return Picture(_WIDTH, frame.height, outline, dots)
