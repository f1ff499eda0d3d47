"""The notifier on the command line: `run notifier`, `deliveries`, `sending`. Heavy imports wait for a command."""

import json
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

if TYPE_CHECKING:
    from services.runtime.store.database import Database

deliveries = App(name="deliveries", help="What became of messages, from the notifier's ledger.")
sending = App(name="sending", help="Pause and resume all sending.")

Json = Annotated[bool, Parameter(name="--json", negative="", help="One JSON object a line.")]


@deliveries.command(name="list")
async def list_deliveries(*, state: str | None = None, limit: int = 50, json_: Json = False) -> None:
    """Newest messages first. No addresses are shown.

    Parameters
    ----------
    state
        Only messages in this state, such as sent, failed, unknown.
    limit
        At most so many.
    """
    from sqlalchemy import select

    from services.notifier.ledger.tables import MESSAGES

    statement = select(MESSAGES).order_by(MESSAGES.c.created_at.desc(), MESSAGES.c.message_id).limit(limit)
    if state is not None:
        statement = statement.where(MESSAGES.c.state == state)
    database = await _ledger()
    try:
        async with database.transaction() as connection:
            rows = (await connection.execute(statement)).all()
    finally:
        await database.close()
    for row in rows:
        shown = {
            name: getattr(row, name) for name in ("message_id", "round_id", "channel", "state", "code", "attempts")
        }
        print(json.dumps(shown) if json_ else "  ".join(str(value) for value in shown.values()))


@deliveries.command(name="show")
async def show_delivery(message_id: str, /) -> None:
    """One message and the invitations that it carries, as JSON. The address is not shown.

    Parameters
    ----------
    message_id
        As `deliveries list` shows it.
    """
    from sqlalchemy import select

    from services.notifier.ledger import store
    from services.notifier.ledger.tables import MESSAGES
    from services.runtime.errors import Rejected

    database = await _ledger()
    try:
        async with database.transaction() as connection:
            row = (await connection.execute(select(MESSAGES).where(MESSAGES.c.message_id == message_id))).one_or_none()
            if row is None:
                raise Rejected("no_such_message", "no message with this id: see `nardialog deliveries list`")
            message = store.message_of(row)
            carried = (await store.links(connection, [message])).get(message_id, [])
    finally:
        await database.close()
    shown = {
        "message_id": message.message_id,
        "round_id": message.round_id,
        "channel": message.channel,
        "state": message.state,
        "code": row.code,
        "attempts": message.attempts,
        "unknowns": message.unknowns,
        "resent_unknown": row.resent_unknown,
        "created_at": message.created_at.isoformat(),
        "expires_at": message.expires_at.isoformat(),
        "invitations": [{"invitation_id": link.invitation_id, "state": link.state} for link in carried],
    }
    print(json.dumps(shown, indent=2))


@sending.command
async def pause(*, reason: str) -> None:
    """Stops all sending until it is resumed; what is under way finishes.

    Parameters
    ----------
    reason
        Why; shown by `status`.
    """
    await _paused(reason[:200])
    print("paused")


@sending.command
async def resume() -> None:
    """Lets messages leave again."""
    await _paused(None)
    print("sending")


@sending.command
async def status() -> None:
    """Whether sending is paused, and why."""
    from services.notifier.ledger import store

    database = await _ledger()
    try:
        async with database.transaction() as connection:
            reason = await store.paused(connection)
    finally:
        await database.close()
    print("sending" if reason is None else f"paused: {reason}")


async def _paused(reason: str | None) -> None:
    from services.notifier.ledger import store
    from services.runtime.clock import SystemClock

    database = await _ledger()
    try:
        async with database.transaction() as connection:
            await store.set_paused(connection, reason, SystemClock().now())
    finally:
        await database.close()


async def _ledger() -> "Database":
    from services.notifier.ledger.tables import MIGRATIONS
    from services.notifier.settings import NotifierSettings
    from services.runtime.settings import load
    from services.runtime.store.database import Database, migrate

    database = Database(load(NotifierSettings).notifier.database)
    await migrate(database, MIGRATIONS)
    return database
