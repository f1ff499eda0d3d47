"""From addresses to messages: one for each, with every invitation that leads there."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.delivery import DeliveryState
from schemas.round import Round
from services.notifier.decided import Decided
from services.notifier.ledger.links import Link, link_of, links_on
from services.notifier.ledger.messages import FIRST, UNSENT, WAITING, Message, messages_there
from services.notifier.numbers import message_id, new_number
from services.notifier.planning import Group, cost, may_be_merged, timings
from services.notifier.policy.attention import is_urgent
from services.notifier.policy.suppression import About, Stop, stopped_by
from services.notifier.policy.timing import Rules, Timing, Waits
from services.notifier.whom import Chosen, Reached
from services.runtime.store.database import micros, moment_of


async def to_messages(
    connection: AsyncConnection, decided: Decided, rules: Rules, round_: Round, reached: Reached, now: datetime
) -> None:
    """Each chosen address's message: a new one, or the one that is there."""
    chosen = reached.chosen
    there = await messages_there(connection, round_.round_id, FIRST, {item.index for item in chosen})
    carried = await links_on(connection, list(there.values()))
    leaving = {item.row.invitation_id for item in chosen if _is_leaving(there.get(item.index))}
    for waiting in leaving:
        del decided.states[waiting]  # decided when the call has ended
    fresh: list[Chosen] = []
    for item in chosen:
        message = there.get(item.index)
        if item.row.invitation_id in leaving:
            continue
        if message is not None and _is_gathered(message):
            decided.links.setdefault(message.message_id, []).append(link_of(item.row))
        elif message is not None and _has_left(message):
            decided.join_late(message, link_of(item.row), carried.get(message.message_id, []), now)
        else:
            fresh.append(item)
    groups = _groups(fresh, there, carried)
    timed = await timings(connection, rules, round_, groups, now)
    mailed = {item.row.invitation_id for item in chosen if item.choice.channel == "email"}
    for item in fresh:
        timing = timed[item.index]
        if item.choice.channel == "sms" and timing.waits and item.row.invitation_id in mailed:
            continue  # what waits comes by mail
        row = _new(round_, rules, item, timing, reached.stops.get(item.index, ()), now, there.get(item.index))
        decided.join(row, link_of(item.row))


def _is_gathered(message: Message) -> bool:
    """Whether it is on a digest that is not written yet: what comes now comes with it."""
    return message.digest_id is not None and message.intent_at is None and message.state == DeliveryState.MERGED


def _is_leaving(message: Message | None) -> bool:
    """Whether a provider is being called at this moment: what comes now may still be on the next bytes, or too late."""
    return message is not None and message.state == "sending"


def _has_left(message: Message) -> bool:
    """Whether its bytes are fixed, or its end decided. One called off before its intent is reopened."""
    return message.intent_at is not None or message.state not in (*UNSENT, "cancelled")


def _groups(
    fresh: Sequence[Chosen], there: Mapping[str, Message], carried: Mapping[str, Sequence[Link]]
) -> dict[str, Group]:
    """What is to be one message each, with what it carries already."""
    found: dict[str, Group] = {}
    for item in fresh:
        group = found.get(item.index)
        if group is None:
            group = found[item.index] = Group(item.choice.channel, moment_of(item.row.expires_at))
            message = there.get(item.index)
            on_it = carried.get(message.message_id, ()) if message is not None else ()
            group.invitations += [link.invitation() for link in on_it if link.state == "addressed"]
        group.invitations.append(item.event)
        group.expires_at = max(group.expires_at, moment_of(item.row.expires_at))
    return found


def _new(
    round_: Round,
    rules: Rules,
    item: Chosen,
    timing: Timing,
    stops: Sequence[Stop],
    now: datetime,
    there: Message | None,
) -> dict[str, Any]:
    index, choice = item.index, item.choice
    about = About(round_.municipality, round_.case_key, round_.case_type)
    stop = stopped_by(stops, about)
    released = there is not None and there.state in WAITING
    waits = None if released else timing.waits
    alone = released or (waits is None and not may_be_merged(round_, choice.channel, rules))
    asks, minutes = cost(round_) if waits in (None, Waits.MERGE) else (0, 0)  # a digest informs
    return {
        "message_id": message_id(round_.round_id, index, FIRST),
        "number": there.number if there else new_number(),
        "round_id": round_.round_id,
        "address_index": index,
        "kind": FIRST,
        "channel": choice.channel,
        "municipality": round_.municipality,
        "language": choice.reach.language,
        "state": "suppressed" if stop else "pending" if alone else "waiting",
        "urgent": is_urgent(round_),
        "due": micros(timing.due),
        "attempts": there.attempts if there else 0,
        "unknowns": 0,
        "resent_unknown": 0,
        "address_encrypted": b"" if stop and stop.kind == "erased" else choice.reach.address_encrypted,
        "provider_ref": "",
        "code": stop.kind if stop else "",
        "asks": asks,
        "minutes": minutes,
        "waits": waits.value if waits else "",
        "digest_id": None,
        "created_at": micros(now),
        "expires_at": item.row.expires_at,
    }
