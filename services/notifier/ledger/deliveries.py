"""What is told of messages: to everybody as events, and to whoever looks at one as its steps."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.delivery import Delivery, DeliveryState
from schemas.identity import derived
from services.notifier.ledger import steps
from services.notifier.ledger.events import Outbox
from services.notifier.ledger.links import Link, links_on
from services.notifier.ledger.messages import Message
from services.notifier.ledger.notices import notices_among
from services.notifier.ledger.steps import Step
from services.runtime.metrics import DELIVERIES


async def note(
    connection: AsyncConnection, messages: Sequence[Message], state: str, code: str, now: datetime, detail: str = ""
) -> None:
    """A step of messages that nobody else is told of."""
    taken = [Step(message.message_id, now, state, code, detail, message.attempts + 1) for message in messages]
    await steps.take(connection, taken)


async def tell(
    connection: AsyncConnection,
    outbox: Outbox,
    messages: Sequence[Message],
    state: DeliveryState,
    code: str,
    at: datetime,
    *,
    detail: str = "",
    linked: Mapping[str, list[Link]] | None = None,
) -> None:
    """Writes what became of messages to the outbox, each with the invitations that it carries."""
    said = [(message, code, detail) for message in messages]
    await tell_each(connection, outbox, said, state, at, linked=linked)


async def tell_each(
    connection: AsyncConnection,
    outbox: Outbox,
    said: Sequence[tuple[Message, str, str]],
    state: DeliveryState,
    at: datetime,
    *,
    linked: Mapping[str, list[Link]] | None = None,
) -> None:
    """The same, with a code and a detail of its own for each message."""
    carried = linked if linked is not None else await links_on(connection, [message for message, _, _ in said])
    asked = await notices_among(connection, [message for message, _, _ in said])
    events = []
    for message, code, detail in said:
        DELIVERIES.labels(message.channel, state).inc()
        on_it, notice = carried.get(message.message_id, []), asked.get(message.message_id)
        if on_it or notice:
            to = [notice.recipient_id] if notice else sorted({link.recipient_id for link in on_it})
            events.append(message_event(message, on_it, state, code, at, to=to, detail=detail))
    await outbox.deliveries(connection, events)


def message_event(
    message: Message,
    on_it: Sequence[Link],
    state: DeliveryState,
    code: str,
    at: datetime,
    *,
    to: Sequence[str],
    detail: str = "",
) -> Delivery:
    """One thing that happened to a message. The attempt is the one it happened to."""
    attempt = message.attempts + 1
    parts = (message.message_id, state.value, str(attempt), str(message.unknowns), _what(on_it, state, code, detail))
    return Delivery.model_validate(
        {
            "municipality": message.municipality,
            "delivery_id": derived("delivery", *parts),
            "message_id": message.message_id,
            "message_number": message.number,
            "invitation_ids": [link.invitation_id for link in on_it],
            "round_ids": _rounds_of(message, on_it),
            "recipient_ids": list(to),
            "channel": message.channel,
            "kind": message.kind,
            "state": state,
            "code": code,
            "detail": detail[:200],
            "attempt": attempt,
            "resent_unknown": message.repeats and state is not DeliveryState.UNKNOWN,
            "at": at,
        }
    )


def _what(on_it: Sequence[Link], state: DeliveryState, code: str, detail: str) -> str:
    """What tells two events of one attempt apart: a message may wait anew, for another reason, and merge with more."""
    if state is DeliveryState.MERGED:
        return ",".join(link.invitation_id for link in on_it)
    return f"{code} {detail}" if state is DeliveryState.WAITING else ""


def _rounds_of(message: Message, on_it: Sequence[Link]) -> list[str]:
    if message.is_notice:
        return []
    return sorted({link.round_id for link in on_it}) if message.is_digest else [message.round_id]
