"""A comparison as one page for people who decide: what changes, for whom, where, and what it costs.

The page stands alone: no script, no font, nothing fetched. Every picture has a title and a description and stands
beside a table with the same figures; shapes differ, not only colours. Swedish first, then English.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import shapely
from jinja2 import Environment, PackageLoader, StrictUndefined

from services.matcher import geometry, municipalities
from services.matcher.backtest.comparison import Comparison, Numbers, Pair, StageRow
from services.matcher.backtest.differences import differences
from services.matcher.backtest.names import Names
from services.matcher.backtest.worded import worded
from services.matcher.geometry import Shape
from services.matcher.grid import Booleans
from services.matcher.workplaces import Snapshot

WIDTH: Final = 640.0
MARGIN: Final = 12.0
EDGES: Final = (10, 30, 60, 90)
COMPANIES: Final = 50
"""So many companies stand on the page; all of them are in `--json`."""
SPACE: Final = "\u00a0"

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Dots:
    """Places of one kind, as one path each."""

    gained: str
    dropped: str
    both: str
    same: str
    others: str
    counts: dict[str, int]


@dataclass(frozen=True)
class Map:
    """A map in units of an SVG view box."""

    height: float
    border: str
    cases: str
    dots: Dots


def page(compared: Comparison, register: Snapshot, register_name: str) -> str:
    """The page as text."""
    found = changed_stages(compared)
    found_different = differences(compared.a.model, compared.b.model)
    most = max((max(row.p90.a, row.p90.b) for row in found), default=0) or 1
    return _TEMPLATES.get_template("backtest.html.j2").render(
        compared=compared,
        totals=compared.totals,
        cases=compared.cases,
        differences=list(worded(found_different, compared.a.model, compared.b.model)),
        companies=compared.companies(COMPANIES),
        map=draw(compared, register),
        stages=found,
        unchanged=len(compared.stages) - len(found),
        most=most,
        spread=list(zip(_bins(), compared.spread(EDGES), strict=True)),
        names=Names(compared.b.model, compared.a.model),
        width=WIDTH,
        register=register,
        register_name=register_name,
    )


def changed_stages(compared: Comparison) -> list[StageRow]:
    """The stages in which somebody gains or is dropped, or the numbers differ."""
    return [row for row in compared.stages if row.gained or row.dropped or row.rounds.change or row.minutes.change]


def draw(compared: Comparison, register: Snapshot) -> Map | None:
    """Where those are who gain and who are dropped; None where no workplace that is reached has a place."""
    gained, dropped, reached = _per_workplace(compared, len(register.slot))
    placed = np.flatnonzero(register.slot >= 0)
    border = municipalities.border(compared.b.model.municipality)
    if border is None and not len(placed[reached[placed]]):
        return None
    x, y = register.grid.x[register.slot[placed]], register.grid.y[register.slot[placed]]
    bounds = border.bounds if border is not None else (x.min(), y.min(), x.max(), y.max())
    frame = _Frame(*bounds)
    kinds = {
        "gained": (gained > 0) & (dropped == 0),
        "dropped": (dropped > 0) & (gained == 0),
        "both": (gained > 0) & (dropped > 0),
        "same": reached & (gained == 0) & (dropped == 0),
        "others": ~reached & (register.status == 0),
    }
    marks = {"gained": _TRIANGLE, "dropped": _CROSS, "both": _DIAMOND, "same": _DOT, "others": _DOT}
    paths = {name: frame.marks(x[kind[placed]], y[kind[placed]], marks[name]) for name, kind in kinds.items()}
    drawn = {item.key[0]: item.geometries for item in compared.b.outcomes.values()}
    places = [part.metric for geometries in drawn.values() for part in geometry.parts_of(geometries)]
    return Map(
        height=frame.height,
        border=frame.lines(border) if border is not None else "",
        cases="".join(frame.lines(part) for part in places),
        dots=Dots(**paths, counts={name: int(kind.sum()) for name, kind in kinds.items()}),
    )


def _per_workplace(compared: Comparison, count: int) -> tuple[Numbers, Numbers, Booleans]:
    """Per row of the register in how many rounds it gains and is dropped, and whether either model reaches it."""
    gained, dropped = np.zeros(count, dtype=np.int64), np.zeros(count, dtype=np.int64)
    reached = np.zeros(count, dtype=np.bool_)
    nobody = np.empty(0, dtype=np.int64)
    for key in {*compared.a.outcomes, *compared.b.outcomes}:
        was, now = (
            item.workplaces if (item := run.outcomes.get(key)) is not None and item.sends else nobody
            for run in (compared.a, compared.b)
        )
        gained[np.setdiff1d(now, was, assume_unique=True)] += 1
        dropped[np.setdiff1d(was, now, assume_unique=True)] += 1
        reached[was] = reached[now] = True
    return gained, dropped, reached


_DOT: Final = "h0"
_TRIANGLE: Final = "m0-3.4l3 5.4h-6z"
_CROSS: Final = "m-2.4-2.4l4.8 4.8m0-4.8l-4.8 4.8"
_DIAMOND: Final = "m0-3.2l3.2 3.2l-3.2 3.2l-3.2-3.2z"


class _Frame:
    """The grid fitted into a view box."""

    def __init__(self, west: float, south: float, east: float, north: float) -> None:
        self._west, self._north = west, north
        self._scale = (WIDTH - 2 * MARGIN) / max(east - west, 1.0)
        self.height = round((north - south) * self._scale + 2 * MARGIN, 1)

    def at(self, xy: Floats) -> Floats:
        """Positions in the view box."""
        moved = (xy - (self._west, self._north)) * (self._scale, -self._scale) + MARGIN
        return np.asarray(np.round(moved, 1), dtype=np.float64)

    def marks(self, x: Floats, y: Floats, mark: str) -> str:
        """One mark at each place; places that the eye cannot tell apart get one."""
        places = self.at(np.column_stack([x, y]))
        inside = places[(places >= 0).all(axis=1) & (places[:, 0] <= WIDTH) & (places[:, 1] <= self.height)]
        return "".join(f"M{a:g} {b:g}{mark}" for a, b in sorted(set(map(tuple, inside.tolist()))))

    def lines(self, shape: Shape) -> str:
        """The outlines of a shape; a single point is none."""
        rings = shapely.get_parts(shapely.boundary(shape)) if shapely.get_dimensions(shape) == 2 else [shape]
        found = []
        for ring in rings:
            points = self.at(shapely.get_coordinates(ring)).tolist()
            if len(points) > 1:
                found.append("M" + "L".join(f"{x:g} {y:g}" for x, y in points))
        return "".join(found)


def _bins() -> list[str]:
    starts: Sequence[int] = (1, *(edge + 1 for edge in EDGES))
    return [*(f"{a}–{b}" for a, b in zip(starts, EDGES, strict=False)), f"> {EDGES[-1]}"]


def number(value: int) -> str:
    """A number as Swedes and most others read it."""
    return f"{value:,}".replace(",", SPACE)


def change(pair: Pair) -> str:
    """How much more, with its sign."""
    return "±0" if not pair.change else f"{'+' if pair.change > 0 else '−'}{number(abs(pair.change))}"


def share(value: int, whole: int) -> str:
    """A share of a hundred for a picture."""
    return f"{100 * value / whole:.1f}" if whole else "0"


def largest(pairs: Iterable[Pair]) -> int:
    """The largest figure of all."""
    return max((max(pair.a, pair.b) for pair in pairs), default=0)


def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("services.matcher.backtest"), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    helpers: dict[str, Any] = {"number": number, "change": change, "share": share, "largest": largest}
    made.filters.update(helpers)
    made.globals.update(helpers)
    return made


_TEMPLATES: Final = _environment()
