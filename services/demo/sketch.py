"""A schematic picture of the last case: where it is, and which workplaces it reaches. A locator, not a map.

Every workplace is a point of one path, so that twelve hundred of them are one element; what the picture shows stands in
words beside it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from math import cos, radians
from typing import Any, Final

from services.demo import synthetic
from services.demo.board import Board

WIDTH: Final = 560.0
_MARGIN: Final = 10.0


@dataclass(frozen=True)
class Sketch:
    """Paths in units of an SVG view box. `area` is the case's own geometry, closed where it is a polygon."""

    title: str
    title_en: str
    count: int
    width: float
    height: float
    outline: str
    everywhere: str
    reached: str
    area: str
    closed: bool


@dataclass(frozen=True)
class _Frame:
    """From degrees to the picture: a degree of longitude is drawn shorter, as it is."""

    west: float
    north: float
    squeeze: float
    scale: float
    height: float

    def at(self, lon: float, lat: float) -> str:
        x = _MARGIN + (lon - self.west) * self.squeeze * self.scale
        return f"{x:.1f} {_MARGIN + (self.north - lat) * self.scale:.1f}"

    def line(self, points: Iterable[tuple[float, float]]) -> str:
        return "M" + "L".join(self.at(lon, lat) for lon, lat in points)

    def dots(self, points: Iterable[tuple[float, float]]) -> str:
        return "".join(f"M{self.at(lon, lat)}h0" for lon, lat in points)


def sketch(board: Board) -> Sketch | None:
    """The picture of the last case that reached somebody; none before."""
    last = next((row for row in reversed(board.cases()) if row["round"] is not None and row["invited"]), None)
    if last is None:
        return None
    case, frame = last["case"], _frame()
    reached = board.members.get(last["round"].round_id, set())
    parts = [_points(item["geometry"]) for item in case.get("geometries", [])]
    return Sketch(
        title=case["title"],
        title_en=case["title_en"],
        count=len(reached),
        width=WIDTH,
        height=frame.height,
        outline=frame.line(synthetic.boundary()) + "Z",
        everywhere=_everywhere(),
        reached=frame.dots(place for key, place in _places().items() if key in reached),
        area="".join(frame.line(points) for points in parts if points),
        closed=any(item["geometry"]["type"] == "Polygon" for item in case.get("geometries", [])),
    )


def _points(geometry: Mapping[str, Any]) -> list[tuple[float, float]]:
    """The outer line of a polygon, or the line itself."""
    coordinates = geometry["coordinates"][0] if geometry["type"] == "Polygon" else geometry["coordinates"]
    return [(float(lon), float(lat)) for lon, lat in coordinates] if geometry["type"] != "Point" else []


@cache
def _frame() -> _Frame:
    lons, lats = zip(*synthetic.boundary(), strict=True)
    squeeze = cos(radians(sum(lats) / len(lats)))
    scale = (WIDTH - 2 * _MARGIN) / ((max(lons) - min(lons)) * squeeze)
    return _Frame(min(lons), max(lats), squeeze, scale, round(2 * _MARGIN + (max(lats) - min(lats)) * scale, 1))


@cache
def _places() -> dict[str, tuple[float, float]]:
    return {row.workplace_id: (row.lon, row.lat) for row in synthetic.workplaces()}


@cache
def _everywhere() -> str:
    return _frame().dots(_places().values())
