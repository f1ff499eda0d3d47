"""Which state of a message may follow which: what the page of states says, and what a ledger under test did."""

import re
from pathlib import Path

from sqlalchemy import text

from services.runtime.store.database import Database

PAGE = Path(__file__).parents[1] / "docs/message-states.md"
WATCHED = "seen_transitions"
"""The table of what was seen, which is no part of a ledger."""
_TABLE = "CREATE TABLE seen_transitions (old TEXT, new TEXT)"
_SEES = (
    "CREATE TRIGGER sees_transitions AFTER UPDATE OF state ON messages WHEN NEW.state <> OLD.state "
    "BEGIN INSERT INTO seen_transitions VALUES (OLD.state, NEW.state); END"
)


def stated() -> dict[str, set[str]]:
    """State → the states that may follow it, as the page says."""
    rows = re.findall(r"^\| `(\w+)` \|[^|]*\|([^|]*)\|$", PAGE.read_text(), re.MULTILINE)
    return {state: set(re.findall(r"`(\w+)`", after)) for state, after in rows}


async def watch(database: Database) -> None:
    """From now on every change of a message's state is remembered."""
    async with database.transaction() as connection:
        for statement in (_TABLE, _SEES):
            await connection.execute(text(statement))


async def seen(database: Database) -> set[tuple[str, str]]:
    """The changes so far."""
    async with database.transaction() as connection:
        return {(old, new) for old, new in await connection.execute(text("SELECT old, new FROM seen_transitions"))}


async def unstated(database: Database) -> set[tuple[str, str]]:
    """The changes that the page does not name."""
    table = stated()
    return {(old, new) for old, new in await seen(database) if new not in table.get(old, set())}
