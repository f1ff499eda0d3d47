"""`python -m bench.matching`: who is near a case and has a wanted industry, by our index and by what others would use.

Everybody answers the same questions on the same invented workplaces in the same run: ids, and distances to a
hundredth of a metre. Two sets of questions have figures of their own: a mix of cases, of which two in a hundred have an
outline of 800 corners, more jagged than any real one; and the areas of real municipalities. The answers are compared,
and a bench whose answers differ has no figures. All take turns, some questions each; each question is asked several
times and its best time counts, since other work on the machine only ever adds.
"""

import argparse
import asyncio
import itertools
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt
import shapely
from rich.console import Console
from rich.table import Table

from bench import figures, postgis
from bench.places import Asked, Places, cases, outlines, places
from services.matcher import geometry, grid
from services.runtime.errors import Fault

Answer: TypeAlias = tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]
"""Rows and metres, in any order."""
Ask: TypeAlias = Callable[[Asked], Answer]
OURS: Final = "grid, numba"
BLOCK: Final = 50
"""Questions that one answers before it is the next one's turn."""
SLOW: Final = "geopandas sjoin dwithin"
"""It takes longer than all others together, so it is asked once."""
SAME_M: Final = 0.011
"""Two that round to a hundredth may fall on either side of a half."""


def in_grid(known: Places) -> dict[str, Ask]:
    """Our index, by each implementation that can be had."""
    cells = known.grid()
    asks: dict[str, Ask] = {"grid, numpy": lambda q: grid.near(cells, q.part, q.buffer_m, q.wanted, None)}
    try:
        from services.matcher import grid_fast
    except ImportError:
        sys.stderr.write("the kernel is left out: numba is not installed (extra fast)\n")
        return asks
    return {OURS: lambda q: grid_fast.near(cells, q.part, q.buffer_m, q.wanted, None)} | asks


def in_trees(known: Places) -> dict[str, Ask]:
    """A tree of points, asked in two ways."""
    points = shapely.points(known.x, known.y)
    tree = shapely.STRtree(points)

    def first_near(asked: Asked) -> Answer:
        reach = geometry.reach(asked.buffer_m)
        rows = tree.query(asked.part.metric, predicate="dwithin", distance=reach)
        rows = _wanted(known, rows, asked)
        return rows, shapely.distance(asked.part.metric, points[rows])

    def first_codes(asked: Asked) -> Answer:
        reach, shape = geometry.reach(asked.buffer_m), asked.part.metric
        west, south, east, north = shape.bounds
        rows = tree.query(shapely.box(west - reach, south - reach, east + reach, north + reach))
        rows = _wanted(known, rows, asked)
        shapely.prepare(shape)
        rows = rows[shapely.dwithin(shape, points[rows], reach)]
        return rows, shapely.distance(shape, points[rows])

    return {"STRtree dwithin, then codes": first_near, "STRtree box, codes, prepared": first_codes}


def in_geopandas(known: Places) -> dict[str, Ask]:
    """`sjoin` of one case with all workplaces, whose index is built before."""
    import geopandas

    frame = geopandas.GeoDataFrame(geometry=geopandas.points_from_xy(known.x, known.y), crs="EPSG:3006")
    frame.sindex  # noqa: B018 - built at the first use

    def joined(asked: Asked) -> Answer:
        case = geopandas.GeoDataFrame(geometry=[asked.part.metric], crs="EPSG:3006")
        found = case.sjoin(frame, predicate="dwithin", distance=geometry.reach(asked.buffer_m))
        rows = _wanted(known, found["index_right"].to_numpy().astype(np.int64), asked)
        return rows, frame.geometry.iloc[rows].distance(asked.part.metric).to_numpy()

    return {SLOW: joined}


def _wanted(known: Places, rows: npt.NDArray[np.int64], asked: Asked) -> npt.NDArray[np.int64]:
    found: npt.NDArray[np.int64] = rows if asked.wanted is None else rows[grid.has(known.codes, rows, asked.wanted)]
    return found


def fresh(asked: Asked) -> Asked:
    """The same question about a geometry that nobody has prepared."""
    shape = shapely.from_wkb(shapely.to_wkb(asked.part.metric))
    return Asked(geometry.Part("site", shape, shape), asked.buffer_m, asked.wanted)


class Times:
    """How long each took over each question at best, and what they answered."""

    def __init__(self, count: int) -> None:
        self.best: dict[str, npt.NDArray[np.float64]] = {}
        self._truth: list[Answer | None] = [None] * count
        self.found = np.zeros(count, dtype=np.int64)

    def told(self) -> dict[str, Any]:
        """Everybody's times, and how many times as long as ours they are."""
        ms = {name: _shares(best * 1000) for name, best in self.best.items()}
        return {"found": _shares(self.found), "ms": ms, "ratios": ratios(ms)}

    def took(self, name: str, number: int, seconds: float, answer: Answer) -> None:
        """Takes one answer; raises `Fault` where it is not the first one's."""
        best = self.best.setdefault(name, np.full(len(self.found), np.inf))
        best[number] = min(best[number], seconds)
        order = np.argsort(answer[0])
        mine = answer[0][order], answer[1][order]
        truth = self._truth[number]
        if truth is None:
            self._truth[number], self.found[number] = mine, len(order)
        elif not (np.array_equal(mine[0], truth[0]) and np.allclose(mine[1], truth[1], rtol=0, atol=SAME_M)):
            raise Fault(f"{name} answers question {number} otherwise: {len(mine[0])} instead of {len(truth[0])}")


async def run(
    known: Places, asked: Sequence[Asked], wide: Sequence[Asked], rounds: int, tell: Callable[[str], object]
) -> dict[str, Any]:
    """Everybody's times, in milliseconds: of the mix of cases, and apart from it of real outlines."""
    tell("building")
    asks = in_grid(known) | in_trees(known) | in_geopandas(known)
    base = await _postgis(known)
    times, outlines = Times(len(asked)), Times(len(wide))
    try:
        await _ask_all(times, asks, base, asked, rounds, tell)
        del asks[SLOW]
        await _ask_all(outlines, asks, base, wide, rounds, tell)
    finally:
        if base is not None:
            await base.stop()
    version = base.version if base is not None else None
    return {"postgis": version, **times.told(), "municipalities": {"cases": len(wide), **outlines.told()}}


async def _ask_all(
    times: "Times",
    asks: Mapping[str, Ask],
    base: "postgis.PostGis | None",
    asked: Sequence[Asked],
    rounds: int,
    tell: Callable[[str], object],
) -> None:
    for ask in asks.values():
        ask(fresh(asked[0]))
    for turn, begin in itertools.product(range(rounds), range(0, len(asked), BLOCK)):
        numbers = range(begin, min(begin + BLOCK, len(asked)))
        for name, ask in asks.items():
            if turn and name == SLOW:
                continue
            for number in numbers:
                question = fresh(asked[number])
                began = time.perf_counter()
                answer = ask(question)
                times.took(name, number, time.perf_counter() - began, answer)
        for number in numbers:
            if base is None:
                break
            question = fresh(asked[number])
            began = time.perf_counter()
            rows = await base.near(question, geometry.reach(question.buffer_m))
            seconds = time.perf_counter() - began
            times.took("PostGIS", number, seconds, _columns(rows))
        tell(f"question {begin}")


def _columns(rows: Sequence[tuple[int, float]]) -> Answer:
    return np.array([row[0] for row in rows], dtype=np.int64), np.array([row[1] for row in rows], dtype=np.float64)


async def _postgis(known: Places) -> "postgis.PostGis | None":
    where = postgis.programs()
    if where is None:
        sys.stderr.write(f"{postgis.NEEDS}\n")
        return None
    base = postgis.PostGis(where)
    await base.load(known)
    return base


def _shares(values: npt.NDArray[Any]) -> dict[str, float]:
    told = {name: figures.percentile(values.tolist(), share) for name, share in figures.SHARES.items()}
    return {
        name: round(float(value), 4) for name, value in (told | {"max": values.max(), "mean": values.mean()}).items()
    }


def ratios(ms: Mapping[str, Mapping[str, float]]) -> dict[str, dict[str, float]]:
    """How many times as long as ours everybody took, by our fastest."""
    ours = ms.get(OURS) or ms["grid, numpy"]
    return {
        name: {share: figures.ratio(took[share], ours[share]) for share in ("p50", "p99", "mean")}
        for name, took in ms.items()
    }


def _print(told: Mapping[str, Any]) -> None:
    console = Console()
    for what, mix in {"cases": told, "outlines of municipalities": told["municipalities"]}.items():
        table = Table(what, "p50 ms", "p95 ms", "p99 ms", "max ms", "× p50", "× p99", "× mean")
        for name, took in mix["ms"].items():
            times = mix["ratios"][name]
            figures_ = [f"{took[key]:.3f}" for key in ("p50", "p95", "p99", "max")]
            table.add_row(name, *figures_, *(f"{times[key]:g}" for key in ("p50", "p99", "mean")))
        console.print(table)
        console.print(f"{mix['cases']} asked of {told['workplaces']} workplaces; found: {mix['found']}")
    console.print(
        f"PostGIS: {told['postgis'] or 'left out'}; " + ", ".join(f"{k}: {v}" for k, v in told["machine"].items())
    )


def main() -> int:
    """Our index beside PostGIS, geopandas and trees of points, on the same questions."""
    parser = argparse.ArgumentParser(prog="python -m bench.matching", description=main.__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the country, within 60 s")
    parser.add_argument("--json", action="store_true", help="one object on standard output")
    given = parser.parse_args()
    count, asked, wide, rounds = (100_000, 150, 20, 1) if given.quick else (1_300_000, 1000, 100, 3)
    began, machine, known = time.monotonic(), figures.machine(), places(count)
    tell = (lambda text: print(f"\r{text:30}", end="", file=sys.stderr)) if sys.stderr.isatty() else (lambda text: None)
    try:
        told = asyncio.run(run(known, cases(known, asked), outlines(known, wide), rounds, tell))
    except Fault as error:
        sys.stderr.write(f"{error}\n")
        return 1
    told |= {
        "bench": "matching", "quick": given.quick, "machine": machine, "workplaces": count, "cases": asked,
        "seconds": round(time.monotonic() - began, 1),
    }  # fmt: skip
    print(json.dumps(told)) if given.json else _print(told)
    return 0


if __name__ == "__main__":
    sys.exit(main())
