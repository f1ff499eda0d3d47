"""What commands share at a terminal: exit codes, how a sentence is said, rows shown, somebody asked.

Cells come from the broker, where anybody's bytes may stand: a control character is shown as an escape, so that it can
neither break a row nor give the terminal orders.
"""

import json
import os
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter, validators

if TYPE_CHECKING:
    from rich.table import Table

Limit = Annotated[int, Parameter(validator=validators.Number(gte=1, lte=1_000_000))]
"""How many rows are shown at most; no database counts beyond 64 bits."""
OK, FAILED, USAGE, NOT_MET, UNREACHABLE, PARTLY = 0, 1, 2, 3, 5, 6


def show(columns: Sequence[str], rows: Iterable[Sequence[object]], *, as_json: bool = False) -> None:
    """Rows on stdout: a table on a terminal, tab-separated text elsewhere, or one JSON object a line."""
    if as_json:
        for row in rows:
            print(json.dumps(dict(zip(columns, row, strict=True)), ensure_ascii=False))
        return
    if not sys.stdout.isatty():
        for row in rows:
            print(*_cells(row), sep="\t")
        return
    from rich.console import Console

    Console().print(rich_table(columns, rows))


def rich_table(columns: Sequence[str], rows: Iterable[Sequence[object]], caption: str | None = None) -> "Table":
    """Rows as a table for a terminal."""
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


def say(text: str) -> None:
    """Prose goes to stderr."""
    print(printable(text, keep="\n"), file=sys.stderr)


def failed(text: str) -> int:
    """Says what went wrong."""
    say(f"error: {text}")
    return FAILED


def usage(text: str) -> int:
    """Says what was asked wrongly."""
    say(f"error: {text}")
    return USAGE


def can_ask() -> bool:
    """Whether somebody sits there who may be asked."""
    return sys.stdin.isatty() and sys.stderr.isatty() and "NARDIALOG_NO_PROMPT" not in os.environ


def answer(question: str) -> str:
    """What the person types."""
    print(question, end=" ", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip()


def agreed(question: str) -> bool:
    """Whether the person says yes."""
    return answer(f"{question} [y/N]").lower() in {"y", "yes", "j", "ja"}
