"""Rows for people and for pipes: a table on a terminal, tab-separated text elsewhere.

Cells come from the broker, where anybody's bytes may stand: a control character is shown as an escape, so that it can
neither break a row nor give the terminal orders. `UX.md` §5.
"""

import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table


def show(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Prints the rows on stdout."""
    if not sys.stdout.isatty():
        for row in rows:
            print(*_cells(row), sep="\t")
        return
    from rich.console import Console

    Console().print(rich_table(columns, rows))


def rich_table(columns: Sequence[str], rows: Iterable[Sequence[object]], caption: str | None = None) -> "Table":
    """The rows as a table for a terminal."""
    from rich.table import Table
    from rich.text import Text

    table = Table(*columns, box=None, pad_edge=False, caption=caption, caption_justify="left")
    for row in rows:
        table.add_row(*(Text(cell, overflow="fold") for cell in _cells(row)))
    return table


def _cells(row: Sequence[object]) -> list[str]:
    return ["–" if value is None else printable(str(value)) for value in row]


def printable(text: str, keep: str = "") -> str:
    """The text with everything that does not print escaped, except what is in `keep`."""
    return "".join(c if c.isprintable() or c in keep else c.encode("unicode_escape").decode() for c in text)
