"""Rows for people and for pipes: a table on a terminal, tab-separated text elsewhere.

Cells come from the broker, where anybody's bytes may stand: a control character is shown as an escape, so that it can
neither break a row nor give the terminal orders. `UX.md` §5.
"""

import sys
from collections.abc import Iterable, Sequence


def show(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Prints the rows on stdout."""
    cells = [["–" if value is None else printable(str(value)) for value in row] for row in rows]
    if not sys.stdout.isatty():
        for row in cells:
            print(*row, sep="\t")
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(*columns, box=None, pad_edge=False)
    for row in cells:
        table.add_row(*(Text(cell, overflow="fold") for cell in row))
    Console().print(table)


def printable(text: str, keep: str = "") -> str:
    """The text with everything that does not print escaped, except what is in `keep`."""
    return "".join(c if c.isprintable() or c in keep else c.encode("unicode_escape").decode() for c in text)
