"""What the ledger knows of how much somebody was asked lately, and of what else goes to an address.

Counted is what left, or is about to: nothing that ended before it left, nothing that waits for a digest.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, case, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.delivery import DeliveryState
from schemas.round import Round
from services.notifier.ledger import grounds
from services.notifier.ledger.messages import DIGEST, FIRST
from services.notifier.ledger.tables import INVITATIONS, MESSAGE_INVITATIONS, MESSAGES, SUBSCRIPTIONS
from services.notifier.policy.attention import MINUTES_DAYS, Asked
from services.runtime.store.database import chunks, micros, moment_of

_NEVER_LEFT: Final = ("cancelled", "expired", "suppressed", "failed")


@dataclass
class Standing:
    """What was asked at one address, and when the last message left it; what is about to leave does so now."""

    asked: list[Asked] = field(default_factory=list)
    left: datetime | None = None


async def of_addresses(
    connection: AsyncConnection, round_id: str, indexes: Collection[str], now: datetime
) -> Mapping[str, Standing]:
    """What stands at each address, but for this round. Most of what an address gets asks nothing: of that only the last
    is looked at.
    """
    found: defaultdict[str, Standing] = defaultdict(Standing)
    messages = MESSAGES.c
    leaves = (messages.state != DeliveryState.WAITING.value) & messages.digest_id.is_(None)  # else its digest does
    left = func.max(case((leaves, func.coalesce(messages.intent_at, micros(now)))))
    for chunk in chunks(sorted(indexes)):
        others = (messages.address_index.in_(chunk), messages.kind.in_((FIRST, DIGEST)), messages.round_id != round_id)
        for index, asked in (await _asked_at(connection, *others, *_counted(now))).items():
            found[index].asked += asked
        last = select(messages.address_index, left.label("left")).where(*others, *_counted(now))
        for index, at in (await connection.execute(last.group_by(messages.address_index))).tuples():
            found[index].left = None if at is None else moment_of(at)
    return found


async def of_companies(
    connection: AsyncConnection, round_id: str, recipients: Collection[str], now: datetime
) -> Mapping[str, list[Asked]]:
    """What each company was asked at all of its addresses, but for this round."""
    return await _asked_of(connection, recipients, MESSAGES.c.round_id != round_id, *_counted(now))


async def recipients(connection: AsyncConnection, messages: Collection[str]) -> Mapping[str, frozenset[str]]:
    """The companies that each of these messages is for."""
    found: dict[str, set[str]] = {message: set() for message in messages}
    carried = select(MESSAGE_INVITATIONS.c.message_id, INVITATIONS.c.recipient_id).join(
        INVITATIONS, INVITATIONS.c.invitation_id == MESSAGE_INVITATIONS.c.invitation_id
    )
    for chunk in chunks(sorted(messages)):
        for row in await connection.execute(carried.where(MESSAGE_INVITATIONS.c.message_id.in_(chunk))):
            found[row.message_id].add(row.recipient_id)
    return {message: frozenset(of_it) for message, of_it in found.items()}


async def gone_out(
    connection: AsyncConnection, indexes: Collection[str], recipients: Collection[str], now: datetime
) -> tuple[Mapping[str, list[Asked]], Mapping[str, list[Asked]]]:
    """What was asked at these addresses and of these companies, by what left or is on its way and waits no more."""
    on_its_way = (MESSAGES.c.state != DeliveryState.WAITING.value, *_counted(now))
    persons: dict[str, list[Asked]] = {}
    for chunk in chunks(sorted(indexes)):
        firsts = (MESSAGES.c.address_index.in_(chunk), MESSAGES.c.kind == FIRST)
        persons |= await _asked_at(connection, *firsts, *on_its_way)
    return persons, await _asked_of(connection, recipients, *on_its_way)


async def _asked_at(connection: AsyncConnection, *which: ColumnElement[bool]) -> dict[str, list[Asked]]:
    """What these messages asked, by address."""
    found: defaultdict[str, list[Asked]] = defaultdict(list)
    messages = MESSAGES.c
    asked = select(messages.address_index, messages.round_id, messages.asks, messages.minutes, messages.intent_at)
    for row in await connection.execute(asked.where(*which, _asks())):
        found[row.address_index].append(_asked(row))
    return found


async def _asked_of(
    connection: AsyncConnection, recipients: Collection[str], *which: ColumnElement[bool]
) -> Mapping[str, list[Asked]]:
    """What these messages asked of each company, at whichever address: each round once."""
    found: defaultdict[str, list[Asked]] = defaultdict(list)
    for chunk in chunks(sorted(recipients)):
        statement = (
            select(
                INVITATIONS.c.recipient_id,
                MESSAGES.c.round_id,
                MESSAGES.c.asks,
                MESSAGES.c.minutes,
                func.max(MESSAGES.c.intent_at).label("intent_at"),
            )
            .join(MESSAGE_INVITATIONS, MESSAGE_INVITATIONS.c.invitation_id == INVITATIONS.c.invitation_id)
            .join(MESSAGES, MESSAGES.c.message_id == MESSAGE_INVITATIONS.c.message_id)
            .where(INVITATIONS.c.recipient_id.in_(chunk), MESSAGES.c.kind == FIRST, _asks(), *which)
            .group_by(INVITATIONS.c.recipient_id, MESSAGES.c.round_id, MESSAGES.c.asks, MESSAGES.c.minutes)
        )
        for row in await connection.execute(statement):
            found[row.recipient_id].append(_asked(row))
    return found


async def texted(connection: AsyncConnection, round_: Round, numbers: Collection[str]) -> Counter[str]:
    """How many SMS each of these numbers has had in this stage of the case, or is about to have, but for this round."""
    had: list[tuple[str, str]] = []
    for chunk in chunks(sorted(numbers)):
        statement = select(MESSAGES.c.address_index, MESSAGES.c.round_id).where(
            MESSAGES.c.address_index.in_(chunk), MESSAGES.c.channel == "sms", MESSAGES.c.round_id != round_.round_id
        )
        rows = await connection.execute(statement.where(MESSAGES.c.state.not_in(_NEVER_LEFT)))
        had += [(row.address_index, row.round_id) for row in rows]
    rounds = await grounds.rounds(connection, {round_id for _, round_id in had})
    stage = (round_.case_key, round_.stage, round_.occurrence)
    same = {other.round_id for other in rounds.values() if (other.case_key, other.stage, other.occurrence) == stage}
    return Counter(index for index, round_id in had if round_id in same)


async def frequencies(connection: AsyncConnection, ids: Collection[str]) -> dict[str, str]:
    """How often each of these subscriptions wants to hear."""
    found: dict[str, str] = {}
    for chunk in chunks(sorted(ids)):
        rows = await connection.execute(select(SUBSCRIPTIONS).where(SUBSCRIPTIONS.c.subscription_id.in_(chunk)))
        found |= {row.subscription_id: row.frequency for row in rows}
    return found


def _asks() -> ColumnElement[bool]:
    return or_(MESSAGES.c.asks > 0, MESSAGES.c.minutes > 0)


def _counted(now: datetime) -> tuple[ColumnElement[bool], ...]:
    recent = or_(MESSAGES.c.intent_at.is_(None), MESSAGES.c.intent_at > micros(now - MINUTES_DAYS))
    return MESSAGES.c.state.not_in(_NEVER_LEFT), recent


def _asked(row: Any) -> Asked:
    return Asked(row.round_id, row.asks, row.minutes, moment_of(row.intent_at) if row.intent_at is not None else None)
