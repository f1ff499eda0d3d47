"""The ledger of a simulated year: SQLite in the loop's own thread, without the driver's queue between two.

The driver hands every statement to a thread and waits for it, which a service needs and a year with a hundred thousand
transactions one after the other does not: there it is most of the time. SQL, dialect and transactions are the same.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import aiosqlite


@contextmanager
def in_this_thread() -> Iterator[None]:
    """While it is entered, SQLite answers at once."""
    with patch.object(aiosqlite.Connection, "_execute", _execute):
        yield


async def _execute(_: aiosqlite.Connection, call: Callable[..., Any], *given: Any, **named: Any) -> Any:
    return call(*given, **named)
