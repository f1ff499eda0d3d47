"""A schematic picture of the last case: where it is, and which workplaces it reaches. A locator, not a map.

Every workplace is a point of one path, so that twelve hundred of them are one element; what the picture shows stands in
words beside it.
"""

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from services.demo import synthetic
from services.portal.places import Frame

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


def sketch(cases: Sequence[Mapping[str, Any]], members: Mapping[str, Set[str]]) -> Sketch | None:
    """The picture of the last of the board's cases that reached somebody; none before. `members` are the workplaces of
    each round.
    """
    last = next((row for row in reversed(cases) if row["round"] is not None and row["invited"]), None)
    if last is None:
        return None
    case = last["case"]
    reached = members.get(last["round"].round_id, frozenset())
    parts = [_points(item["geometry"]) for item in case.get("geometries", [])]
    return Sketch(
        title=case["title"],
        title_en=case["title_en"],
        count=len(reached),
        width=WIDTH,
        height=_frame().height,
        outline=_line(synthetic.boundary()) + "Z",
        everywhere=_everywhere(),
        reached=_dots(place for key, place in _places().items() if key in reached),
        area="".join(_line(points) for points in parts if points),
        closed=any(item["geometry"]["type"] == "Polygon" for item in case.get("geometries", [])),
    )


def _points(geometry: Mapping[str, Any]) -> list[tuple[float, float]]:
    """The outer line of a polygon, or the line itself."""
    coordinates = geometry["coordinates"][0] if geometry["type"] == "Polygon" else geometry["coordinates"]
    return [(float(lon), float(lat)) for lon, lat in coordinates] if geometry["type"] != "Point" else []


@cache
def _frame() -> Frame:
    return Frame.around(synthetic.boundary(), width=WIDTH, margin=_MARGIN)


def _line(points: Iterable[tuple[float, float]]) -> str:
    return "M" + "L".join(_at(lon, lat) for lon, lat in points)


def _dots(points: Iterable[tuple[float, float]]) -> str:
    return "".join(f"M{_at(lon, lat)}h0" for lon, lat in points)


def _at(lon: float, lat: float) -> str:
    x, y = _frame().at(lon, lat)
    return f"{x:.1f} {y:.1f}"


@cache
def _places() -> dict[str, tuple[float, float]]:
    return {row.workplace_id: (row.lon, row.lat) for row in synthetic.workplaces()}


@cache
def _everywhere() -> str:
    return _dots(_places().values())
