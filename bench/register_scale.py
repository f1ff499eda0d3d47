"""`python -m bench.register_scale`: what a case costs in registers of 10,000 to 5 million workplaces.

Two questions are told apart. *County*: the same 10,000 workplaces are asked, alone and with more and more others far
from them; what a case costs must not grow. *Country*: the whole country grows denser; what a case costs may grow with
the number it finds. Each case is asked several times and its best time counts.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np
from rich.console import Console
from rich.table import Table

from bench import figures
from bench.matching import fresh
from bench.places import Asked, Places, cases, places
from services.matcher import nearest
from services.matcher.grid import Grid

COUNTY: Final = 10_000
SIZES: Final = (10_000, 100_000, 1_300_000, 5_000_000)
NORTH: Final = (7_250_000.0, 0.4)
"""Where the others of a county's register lie: north of everybody who is asked for, and closer together."""


def with_others(county: Places, others: Places) -> Places:
    """The county first, then the others, all of them far from it."""
    begin, share = NORTH
    y = begin + (others.y - others.y.min()) * share
    return Places(
        np.concatenate([county.x, others.x]),
        np.concatenate([county.y, y]),
        np.hstack([county.codes, others.codes]),
    )


def asked_of(cells: Grid, asked: Sequence[Asked], rounds: int) -> dict[str, float]:
    """Milliseconds per case, whom they find, and microseconds per workplace that is found."""
    best, found = [np.inf] * len(asked), 0
    for _ in range(rounds):
        found = 0
        for i, question in enumerate(asked):
            again = fresh(question)
            began = time.perf_counter()
            rows, _metres = nearest.near(cells, again.part, again.buffer_m, again.wanted, None)
            best[i] = min(best[i], time.perf_counter() - began)
            found += len(rows)
    return {
        "p50_ms": round(figures.percentile(best, 0.5) * 1000, 4),
        "p99_ms": round(figures.percentile(best, 0.99) * 1000, 4),
        "mean_ms": round(statistics.mean(best) * 1000, 4),
        "found": round(found / len(asked), 1),
        "us_per_found": round(sum(best) * 1e6 / max(found, 1), 2),
    }


def bytes_of(cells: Grid, count: int) -> float:
    """Bytes of the grid's columns per workplace."""
    columns = (cells.starts, cells.x, cells.y, cells.codes, cells.rows)
    return round(sum(column.nbytes for column in columns) / count, 1)


def measure(size: int, county: Places, asked: Sequence[Asked], rounds: int) -> dict[str, Any]:
    """One size of register, in both ways."""
    began = time.perf_counter()
    country = places(size)
    cells = country.grid()
    told: dict[str, Any] = {"workplaces": size, "grid_bytes": bytes_of(cells, size)}
    nearest.warm(cells)
    told["country"] = asked_of(cells, cases(country, len(asked)), rounds)
    cells = with_others(county, places(size - COUNTY)).grid() if size > COUNTY else county.grid()
    told["county"] = asked_of(cells, asked, rounds)
    return told | {"seconds": round(time.perf_counter() - began, 1)}


def _print(told: dict[str, Any]) -> None:
    console = Console()
    table = Table("workplaces", "bytes", "asked", "p50 ms", "p99 ms", "mean ms", "found", "µs/found")
    for size in told["sizes"]:
        for what in ("county", "country"):
            columns = ("p50_ms", "p99_ms", "mean_ms", "found", "us_per_found")
            values = [f"{size[what][name]:g}" for name in columns]
            table.add_row(str(size["workplaces"]), f"{size['grid_bytes']:g}", what, *values)
    console.print(table)
    console.print(f"county, largest to smallest of those that the kernel answers: {told['ratios']}")
    console.print(", ".join(f"{name}: {value}" for name, value in told["machine"].items()))


def main() -> int:
    """What a case costs in small and large registers."""
    parser = argparse.ArgumentParser(prog="python -m bench.register_scale", description=main.__doc__)
    parser.add_argument("--quick", action="store_true", help="10,000 to 300,000 workplaces, within 60 s")
    parser.add_argument("--json", action="store_true", help="one object on standard output")
    given = parser.parse_args()
    sizes, count, rounds = ((10_000, 100_000, 300_000), 150, 2) if given.quick else (SIZES, 1000, 3)
    began, machine, county = time.monotonic(), figures.machine(), places(COUNTY)
    asked = [question for question in cases(county, 2 * count) if question.part.metric.bounds[3] < NORTH[0] - 20_000]
    asked = [replace(question, buffer_m=max(question.buffer_m, 500.0)) for question in asked[:count]]
    measured = [measure(size, county, asked, rounds) for size in sizes]
    large = [size["county"] for size in measured if size["workplaces"] >= nearest.LARGE]
    found = {size["county"]["found"] for size in measured}
    if len(found) != 1:
        sys.stderr.write(f"the county's cases find different numbers, {found}: the figures would mean nothing\n")
        return 1
    told = {
        "bench": "register_scale", "quick": given.quick, "machine": machine, "cases": len(asked), "sizes": measured,
        "ratios": {name: figures.ratio(large[-1][name], large[0][name]) for name in ("p50_ms", "p99_ms", "mean_ms")},
        "seconds": round(time.monotonic() - began, 1),
    }  # fmt: skip
    print(json.dumps(told)) if given.json else _print(told)
    return 0


if __name__ == "__main__":
    sys.exit(main())
