"""`python -m bench.restart`: from the register's file to one that answers, beside pyarrow reading the same.

The file is mapped as the matcher maps it, looked at byte by byte for damage, and one case is asked. pyarrow reads the
same columns from Parquet and from its own IPC file into memory, and answers nothing. The best of several times counts,
with the files in the system's cache for both.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from bench import figures
from bench.places import cases, places, register
from services.matcher import nearest, register_file
from services.matcher.register_file import CELLS, COLUMNS, TEXTS, Saved
from services.matcher.texts import Texts
from services.matcher.workplaces import Snapshot
from services.runtime.errors import Fault


def memory(of: Snapshot) -> dict[str, float]:
    """Bytes per workplace: the texts of ids and organisations, and all else."""
    texts = [getattr(of, name) for name in TEXTS]
    names = sum(column.block.nbytes for column in texts)
    columns = [getattr(of, name) for name in COLUMNS] + [getattr(of.grid, name) for name in CELLS]
    rest = sum(column.nbytes for column in columns if column is not None) + sum(t.begins.nbytes for t in texts)
    return {"names": round(names / of.count, 1), "beyond_names": round(rest / of.count, 1)}


def in_arrow(of: Snapshot, folder: Path) -> dict[str, Callable[[], Any]]:
    """The same columns in pyarrow's two formats, and how each is read."""
    import pyarrow
    from pyarrow import feather, parquet

    def texts(column: Texts) -> Any:
        buffers = [None, pyarrow.py_buffer(column.begins.astype(np.int32)), pyarrow.py_buffer(column.block)]
        return pyarrow.Array.from_buffers(pyarrow.string(), len(column), buffers)

    rows = {name: getattr(of, name) for name in COLUMNS if name not in ("codes", "municipality_starts", "alive")}
    rows |= {f"code{i}": line for i, line in enumerate(of.codes)}
    rows |= {f"grid_{name}": getattr(of.grid, name) for name in ("x", "y", "rows")}
    rows |= {f"grid_code{i}": line for i, line in enumerate(of.grid.codes)}
    tables = {
        "rows": pyarrow.table({"id": texts(of.ids), **rows}),
        "recipients": pyarrow.table({"id": texts(of.recipient_ids), "organisation": texts(of.organisations)}),
        "cells": pyarrow.table({"starts": of.grid.starts}),
    }
    for name, table in tables.items():
        parquet.write_table(table, folder / f"{name}.parquet")
        feather.write_feather(table, folder / f"{name}.arrow", compression="uncompressed")
    return {
        "pyarrow, Parquet": lambda: [parquet.read_table(folder / f"{name}.parquet") for name in tables],
        "pyarrow, IPC": lambda: [feather.read_table(folder / f"{name}.arrow", memory_map=False) for name in tables],
    }


def best(read: Callable[[], Any], times: int) -> float:
    """Milliseconds, at best."""
    took = []
    for _ in range(times):
        began = time.perf_counter()
        read()
        took.append(time.perf_counter() - began)
    return round(min(took) * 1000, 1)


def run(count: int, times: int) -> dict[str, Any]:
    """All figures of a register of this size."""
    known = places(count)
    of, now = register(known), datetime.now(UTC)
    nearest.warm(of.grid)
    question = cases(known, 1)[0]
    truth = of.index(of.grid, question.part, question.buffer_m, None, None)[0]
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        began = time.perf_counter()
        path = register_file.write(folder, "companies", Saved(of, "topic", {0: 0}, now))
        written = time.perf_counter() - began

        def ready() -> Any:
            saved = register_file.read(path)
            saved.check("topic", {0: 0}, now, timedelta(hours=12))
            answer = saved.register.index(saved.register.grid, question.part, question.buffer_m, None, None)[0]
            if sorted(answer.tolist()) != sorted(truth.tolist()):
                raise Fault("the register that was read answers otherwise")

        reads = {"ours, ready": ready} | in_arrow(of, folder)
        ms = {name: best(read, times) for name, read in reads.items()}
        size = round(path.stat().st_size / 1e6, 1)
    return {
        "workplaces": count,
        "file_mb": size,
        "written_ms": round(written * 1000, 1),
        "ms": ms,
        "bytes_per_workplace": memory(of),
        "ratios": {f"ours to {name}": figures.ratio(ms["ours, ready"], ms[name]) for name in ms if "pyarrow" in name},
    }


def main() -> int:
    """From the register's file to ready, beside pyarrow reading the same columns."""
    parser = argparse.ArgumentParser(prog="python -m bench.restart", description=main.__doc__)
    parser.add_argument("--quick", action="store_true", help="300,000 workplaces, within 60 s")
    parser.add_argument("--json", action="store_true", help="one object on standard output")
    given = parser.parse_args()
    began, machine = time.monotonic(), figures.machine()
    try:
        told = run(*((300_000, 3) if given.quick else (1_300_000, 7)))
    except Fault as error:
        sys.stderr.write(f"{error}\n")
        return 1
    told = {"bench": "restart", "quick": given.quick, "machine": machine} | told
    told["seconds"] = round(time.monotonic() - began, 1)
    if given.json:
        print(json.dumps(told))
        return 0
    console = Console()
    for name, value in told.items():
        console.print(f"{name}: {value}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
