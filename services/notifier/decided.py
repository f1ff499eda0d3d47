"""What one round's addressing comes to, before it is written, and how that is written: all at once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Row, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.delivery import Delivery, DeliveryState
from services.notifier.ledger import deliveries, steps
from services.notifier.ledger.events import Outbox, invitation_ended
from services.notifier.ledger.links import Link
from services.notifier.ledger.messages import UNSENT, Message, message_of
from services.notifier.ledger.steps import Step
from services.notifier.ledger.tables import INVITATIONS, MESSAGE_INVITATIONS, MESSAGES
from services.notifier.planning import tell_waiting
from services.runtime.store.database import chunks, moment_of, upsert


@dataclass
class Decided:
    """What one round's addressing comes to, before it is written."""

    states: dict[str, str] = field(default_factory=dict)
    events: list[Delivery] = field(default_factory=list)
    messages: dict[str, dict[str, Any]] = field(default_factory=dict)
    links: dict[str, list[Link]] = field(default_factory=dict)

    def end(self, row: Row[Any], state: DeliveryState, code: str, now: datetime) -> None:
        """The invitation leads to no message, and why."""
        self.states[row.invitation_id] = state.value
        self.events.append(ending_of(row, state, code, now))

    def join(self, message: dict[str, Any], link: Link) -> None:
        """The invitation goes with this message."""
        there = self.messages.setdefault(message["message_id"], message)
        there["expires_at"] = max(there["expires_at"], message["expires_at"])
        self.links.setdefault(message["message_id"], []).append(link)

    def join_late(self, message: Message, link: Link, on_it: Sequence[Link], now: datetime) -> None:
        """The address's message left, or came to its end, before this invitation: that is its answer too."""
        if any(other.invitation_id == link.invitation_id for other in on_it):
            return
        ended = message.state in ("failed", "suppressed", "expired")
        state = DeliveryState(message.state) if ended else DeliveryState.MERGED
        self.states[link.invitation_id] = state.value
        self.links.setdefault(message.message_id, []).append(link)
        self.events.append(deliveries.message_event(message, [link], state, "came_after", now, to=[link.recipient_id]))


async def write(connection: AsyncConnection, outbox: Outbox, decided: Decided, now: datetime) -> None:
    """In the transaction that holds the round."""
    await upsert(connection, MESSAGES, list(decided.messages.values()))
    pairs = [
        {"message_id": key, "invitation_id": link.invitation_id}
        for key, links in decided.links.items()
        for link in links
    ]
    await upsert(connection, MESSAGE_INVITATIONS, pairs, keep=True)
    await set_states(connection, decided.states)
    await outbox.deliveries(connection, decided.events)
    unsent = [row for row in decided.messages.values() if row["state"] in UNSENT and not row["waits"]]
    await steps.take(connection, [_planned(row) for row in unsent])
    stopped = [row["message_id"] for row in decided.messages.values() if row["state"] == "suppressed"]
    for chunk in chunks(stopped):
        rows = await connection.execute(select(MESSAGES).where(MESSAGES.c.message_id.in_(chunk)))
        for row in rows.all():
            message = message_of(row)
            await deliveries.tell(connection, outbox, [message], DeliveryState.SUPPRESSED, row.code, now)
    waiting = [row["message_id"] for row in decided.messages.values() if row["waits"]]
    for chunk in chunks(waiting):
        rows = await connection.execute(select(MESSAGES).where(MESSAGES.c.message_id.in_(chunk)))
        await tell_waiting(connection, outbox, rows.all(), now)


def _planned(row: Mapping[str, Any]) -> Step:
    """When a message may leave."""
    due = moment_of(row["due"]).isoformat(timespec="seconds")
    return Step(row["message_id"], moment_of(row["created_at"]), "pending", "addressed", f"due {due}")


async def set_states(connection: AsyncConnection, states: Mapping[str, str]) -> None:
    """Of invitations."""
    for state in sorted(set(states.values())):
        for chunk in chunks(sorted(key for key, value in states.items() if value == state)):
            await connection.execute(
                update(INVITATIONS).where(INVITATIONS.c.invitation_id.in_(chunk)).values(state=state)
            )


def ending_of(row: Row[Any], state: DeliveryState, code: str, now: datetime) -> Delivery:
    """The event of an invitation that led to no message."""
    return invitation_ended(
        state,
        code,
        now,
        municipality=row.municipality,
        invitation_id=row.invitation_id,
        round_id=row.round_id,
        recipient_id=row.recipient_id,
        revision=row.revision,
    )
