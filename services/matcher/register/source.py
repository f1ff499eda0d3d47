"""What a register file is to whoever reads it, whatever its format: named columns, rows of text, perhaps a point."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass


class Unreadable(Exception):
    """The file as a whole cannot be read: what, where, what to do."""


@dataclass(frozen=True)
class Stated:
    """What was said about a file, on the command line or in a mapping."""

    encoding: str | None = None
    delimiter: str | None = None
    layer: str | None = None
    wanted: frozenset[str] = frozenset()
    """Columns that somebody will ask for: how the delimiter is found."""


@dataclass(frozen=True, repr=False)
class Given:
    """One row as the file has it, by its own columns. It has no repr: nothing may print it."""

    line: int
    values: dict[str, str]
    point: tuple[float, float] | None = None
    """The geometry's x and y, in the file's own system; None where the row has none."""
    fault: str = ""
    """Why the row cannot be what it says, where the format shows it: a stable code."""


@dataclass(frozen=True)
class Source:
    """A file that was opened: its columns are known, its rows not yet read."""

    columns: tuple[str, ...]
    rows: Callable[[], Iterator[Given]]
    geometry: bool = False
    """Whether the rows have geometries."""
    crs: str | None = None
    """The coordinate system that the file itself declares for its geometries."""
    total: int | None = None
    """How many rows it has, where the format says so."""
    row_word: str = "line"
    """What a row's number counts: lines of text, or rows."""


@dataclass(frozen=True, repr=False)
class Row:
    """One row by our column names, and where it stands in the file. It has no repr: nothing may print it."""

    line: int
    values: dict[str, str]
