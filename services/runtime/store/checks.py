"""Is a service's database there, at this program's revision, and does it stand where the topics stand?"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Table, inspect, make_url, select
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from services.runtime.checks import Check
from services.runtime.errors import Transient
from services.runtime.store.database import Database

PATIENCE: Final = 10
Ends = Mapping[tuple[str, int], int]
"""(topic, partition) → the offset that its next record gets."""


@dataclass(frozen=True)
class Store:
    """A service's database as its settings and code say."""

    service: str
    url: str
    migrations: Path
    positions: Table
    version_table: str = "alembic_version"

    @property
    def setting(self) -> str:
        """What names it."""
        return f"NARDIALOG_{self.service.upper()}__DATABASE"


async def check_store(store: Store, ends: Ends | None) -> list[Check]:
    """Changes nothing, and makes no file. Without `ends` the positions are not judged."""
    name = f"{store.service} database"
    try:
        url = make_url(store.url)
    except ArgumentError:
        return [Check(name, "failed", f"{store.setting} is no address that SQLAlchemy reads: see docs/settings.md")]
    where = url.render_as_string(hide_password=True)
    if url.get_backend_name() == "sqlite" and not await asyncio.to_thread(Path(url.database or "").exists):
        return [Check(name, "note", f"{where} is not there yet: the {store.service} makes it when it starts")]
    database = Database(store.url)
    try:
        async with asyncio.timeout(PATIENCE), database.transaction() as connection:
            return await _look(connection, store, where, ends)
    except (Transient, TimeoutError) as error:
        return [Check(name, "failed", f"{where} ({store.setting}) does not answer: {_why(error)}")]
    finally:
        await database.close()


async def _look(connection: AsyncConnection, store: Store, where: str, ends: Ends | None) -> list[Check]:
    name = f"{store.service} database"
    current, head, known = await connection.run_sync(_revisions, store)
    if current is None:
        words = f"{where} has no tables yet: the {store.service} makes them when it starts"
        return [Check(name, "note", words)]
    if current not in known:
        words = f"{where} is at revision {current}, which this program does not know: install the newer one"
        return [Check(name, "failed", words)]
    if current != head:
        words = f"{where} is at revision {current}: the {store.service} brings it to {head} when it starts"
        return [Check(name, "note", words)]
    at_head = Check(name, "ok", f"{where}, revision {current}")
    return [at_head] if ends is None else [at_head, await _positions(connection, store, ends)]


def _revisions(connection: Any, store: Store) -> tuple[str | None, str | None, set[str]]:
    from alembic.config import Config  # slow to import
    from alembic.runtime.migration import MigrationContext
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(store.migrations))
    script = ScriptDirectory.from_config(config)
    current = None
    if inspect(connection).has_table(store.version_table):
        asked = MigrationContext.configure(connection, opts={"version_table": store.version_table})
        current = asked.get_current_revision()
    return current, script.get_current_head(), {item.revision for item in script.walk_revisions()}


async def _positions(connection: AsyncConnection, store: Store, ends: Ends) -> Check:
    """A position past its topic's end was given by another topic of that name: new records would pass for old ones."""
    name = f"{store.service} positions"
    rows = (await connection.execute(select(store.positions))).all()
    past = sorted({row.topic for row in rows if row.next_offset > ends.get((row.topic, row.partition), 0)})
    if not past:
        return Check(name, "ok", f"{len(rows)} partitions, none read past its end")
    words = (
        f"read past the end of {', '.join(past)}: the topic was made anew or restored. Stop the {store.service}, "
        "delete the rows of that topic from the table `positions`, start it: it reads the topic whole"
    )
    return Check(name, "failed", words)


def _why(error: Exception) -> str:
    """The server's own words, which hold no password."""
    cause = error.__cause__
    if isinstance(cause, DBAPIError):
        return str(cause.orig).rpartition(">: ")[2].partition("\n")[0]
    return str(cause or f"nothing within {PATIENCE} s")
