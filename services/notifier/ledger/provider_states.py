"""How each provider is, as the notifier that spoke with it last wrote it down: for commands, in another process."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.notifier.ledger.tables import PROVIDER_STATES
from services.runtime.store.database import micros, moment_of, upsert


@dataclass(frozen=True, slots=True)
class ProviderState:
    """One provider of a channel. Without `until` it is well; with it, it is left alone until then because of `code`."""

    channel: str
    provider: str
    failures: int
    until: datetime | None
    code: str


async def note(connection: AsyncConnection, state: ProviderState, now: datetime) -> None:
    """Writes down how it is now."""
    row = {
        "channel": state.channel,
        "provider": state.provider,
        "failures": state.failures,
        "until": micros(state.until) if state.until else None,
        "code": state.code,
        "at": micros(now),
    }
    await upsert(connection, PROVIDER_STATES, [row])


async def states(connection: AsyncConnection) -> Sequence[ProviderState]:
    """All that have ever been spoken with."""
    rows = await connection.execute(select(PROVIDER_STATES))
    return [
        ProviderState(row.channel, row.provider, row.failures, moment_of(row.until) if row.until else None, row.code)
        for row in rows
    ]
