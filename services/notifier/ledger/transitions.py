"""From one state to the next, and what a digest carries with it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from sqlalchemy import bindparam, case, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.delivery import DeliveryState
from services.notifier.channels.port import Outcome, State
from services.notifier.ledger import deliveries
from services.notifier.ledger.messages import WAITING, Message
from services.notifier.ledger.tables import MESSAGES
from services.runtime.store.database import micros

_OF_DIGEST: Final = MESSAGES.alias()
_FATE: Final = {
    name: select(value).where(_OF_DIGEST.c.message_id == MESSAGES.c.digest_id).scalar_subquery()
    for name, value in {
        "state": case(
            (_OF_DIGEST.c.state.in_((*WAITING, "unknown")), DeliveryState.MERGED.value), else_=_OF_DIGEST.c.state
        ),
        "code": _OF_DIGEST.c.code,
        "intent_at": _OF_DIGEST.c.intent_at,
        "sent_at": _OF_DIGEST.c.sent_at,
    }.items()
}
"""What a digest carries becomes what the digest becomes; while that is not decided, it is *merged*."""


async def record_intents(
    connection: AsyncConnection, composed: Sequence[tuple[Message, bytes]], provider: str, version: str, now: datetime
) -> list[Message]:
    """The bytes, the version of the words they were made with, whom they go by, and the moment: committed before any
    provider is called. Bytes that are sent again keep their version. Returns the messages as they are then.
    """
    values = {"state": "sending", "provider": provider, "intent_at": micros(now)}
    made = [(m, body, m.template_version if m.body_encrypted is not None else version) for m, body in composed]
    changes = [(m, {**values, "body_encrypted": body, "template_version": of}) for m, body, of in made]
    await _set_each(connection, changes)
    return [
        replace(m, state="sending", provider=provider, body_encrypted=body, template_version=of, intent_at=now)
        for m, body, of in made
    ]


async def put_back(
    connection: AsyncConnection, messages: Sequence[Message], due: datetime, *, code: str, now: datetime
) -> None:
    """Undoes an intent that no call followed: composed anew when its time comes. The bytes of one whose outcome is
    unknown stay, for a resend must be the same.
    """
    await deliveries.note(connection, messages, "put_back", code, now)
    free = {"lease_owner": None, "lease_until": None, "due": micros(due)}
    first = [message for message in messages if not message.repeats]
    await _set(connection, first, state="pending", intent_at=None, body_encrypted=None, **free)
    await _set(connection, [message for message in messages if message.repeats], state="unknown", **free)


async def change_each(connection: AsyncConnection, changes: Sequence[tuple[Message, dict[str, Any]]]) -> None:
    """New states of several messages, all with the same columns; their leases end."""
    ended = {"lease_owner": None, "lease_until": None}
    await _set_each(connection, [(message, {**ended, **values}) for message, values in changes])


async def change(connection: AsyncConnection, message: Message, state: str, **values: Any) -> None:
    """A new state; the lease ends."""
    await _set(connection, [message], state=state, lease_owner=None, lease_until=None, **values)


async def leave_off(connection: AsyncConnection, item: Message) -> None:
    """Takes a message off its digest: it waits again, for another."""
    await _set(connection, [item], state=DeliveryState.WAITING.value, digest_id=None, intent_at=None)


def acceptance(outcome: Outcome) -> dict[str, Any]:
    """What a provider said when it took a message."""
    return {
        "provider_ref": outcome.provider_ref[:300],
        "segments": outcome.segments,
        "cost": outcome.cost or 0,
        "currency": outcome.currency,
    }


async def note_accepted(connection: AsyncConnection, outcomes: Mapping[str, Outcome], now: datetime) -> None:
    """What was accepted, and a receipt was here first: its state stands, and what it costs is noted still."""
    for message_id, outcome in outcomes.items():
        if outcome.state is State.SENT:
            overtaken = update(MESSAGES).where(MESSAGES.c.message_id == message_id, MESSAGES.c.provider_ref == "")
            by_receipt = overtaken.where(MESSAGES.c.state.in_(("sent", "delivered", "failed")))
            await connection.execute(by_receipt.values(**acceptance(outcome), sent_at=micros(now)))


async def _set_each(connection: AsyncConnection, changes: Sequence[tuple[Message, dict[str, Any]]]) -> None:
    if changes:
        statement = update(MESSAGES).where(MESSAGES.c.message_id == bindparam("which"))
        await connection.execute(statement, [{"which": message.message_id, **values} for message, values in changes])
        await _share_fate(connection, [message for message, _ in changes])


async def _set(connection: AsyncConnection, messages: Sequence[Message], *, state: str, **values: Any) -> None:
    if messages:
        ids = [message.message_id for message in messages]
        await connection.execute(update(MESSAGES).where(MESSAGES.c.message_id.in_(ids)).values(state=state, **values))
        await _share_fate(connection, messages)


async def _share_fate(connection: AsyncConnection, messages: Sequence[Message]) -> None:
    ids = [message.message_id for message in messages if message.is_digest]
    if not ids:
        return
    await connection.execute(update(MESSAGES).where(MESSAGES.c.digest_id.in_(ids)).values(**_FATE))
