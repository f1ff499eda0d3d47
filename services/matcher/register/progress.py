"""How far a file is read: a bar on a terminal's stderr, elsewhere a line every five seconds."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

EVERY_S: Final = 5.0

OnRows = Callable[[int, int | None], None]
"""Told how many rows were read since the last call, and of how many if that is known."""


@contextmanager
def rows_progress(what: str) -> Iterator[OnRows]:
    """A function that says how far it is."""
    if not sys.stderr.isatty():
        yield _Lines(what)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda count, total: bar.update(task, advance=count, total=total)


class _Lines:
    """Counts, and says so now and then."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._count = 0
        self._next = time.monotonic() + EVERY_S

    def __call__(self, count: int, total: int | None) -> None:
        self._count += count
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + EVERY_S
            sys.stderr.write(f"{self._what}: {self._count}{'' if total is None else f' of {total}'}\n")
