"""What an operator, or too many refusals, has paused: one channel, or all."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import delete, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.notifier.ledger.tables import CONTROLS
from services.runtime.store.database import micros, moment_of, upsert

PAUSE: Final = "sending_paused"


@dataclass(frozen=True, slots=True)
class Pause:
    """One channel stands still, or all of them, but for what a reader asked for."""

    channel: str | None
    reason: str
    since: datetime

    @property
    def what(self) -> str:
        """In words."""
        return "sending" if self.channel is None else f"sending by {self.channel}"

    @property
    def told(self) -> str:
        """Since when and why."""
        return f"is paused since {self.since.isoformat(timespec='seconds')}: {self.reason}"

    def holds(self, channel: str) -> bool:
        """Whether it stops this channel."""
        return self.channel in (None, channel)


async def standing(connection: AsyncConnection) -> list[Pause]:
    """What is paused, since when and why."""
    names = or_(CONTROLS.c.name == PAUSE, CONTROLS.c.name.startswith(f"{PAUSE}:", autoescape=True))
    rows = await connection.execute(select(CONTROLS).where(names).order_by(CONTROLS.c.name))
    return [Pause(row.name.partition(":")[2] or None, row.reason, moment_of(row.at)) for row in rows]


async def pause(connection: AsyncConnection, reason: str, now: datetime, channel: str | None = None) -> None:
    """Pauses a channel, or all sending."""
    name = PAUSE if channel is None else f"{PAUSE}:{channel}"
    await upsert(connection, CONTROLS, [{"name": name, "reason": reason, "at": micros(now)}])


async def resume(connection: AsyncConnection, channel: str | None = None) -> None:
    """Lifts the pause of a channel, or every pause."""
    for one in await standing(connection):
        if channel in (None, one.channel):
            name = PAUSE if one.channel is None else f"{PAUSE}:{one.channel}"
            await connection.execute(delete(CONTROLS).where(CONTROLS.c.name == name))
