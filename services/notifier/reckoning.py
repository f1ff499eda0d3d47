"""What waited is reckoned anew when it is to leave: whether there is still a budget for it.

A message is planned within the budget as it stood then. While it waits for its window or its day, something exempt may
ask the same person or company. Then it is one too many: it waits for the weekly digest, as information, like all that
there is no budget for, and the official is told.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Row, update
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.round import Round
from services.notifier.ledger import burden, grounds
from services.notifier.ledger.events import Outbox
from services.notifier.ledger.links import links_on
from services.notifier.ledger.messages import Message, message_of
from services.notifier.ledger.tables import MESSAGES
from services.notifier.planning import tell_waiting
from services.notifier.policy.attention import Asked, Leaving, is_exempt, one_too_many
from services.notifier.policy.frequency import Wish
from services.notifier.policy.timing import Rules, timing
from services.runtime.store.database import chunks, micros


async def reckon(
    connection: AsyncConnection, outbox: Outbox, rules: Rules, rows: Sequence[Row[Any]], now: datetime
) -> None:
    """Leaves those of these messages that are one too many by now for the weekly digest."""
    if not rows:
        return
    messages = {row.message_id: message_of(row) for row in rows}
    companies = await burden.recipients(connection, messages)
    leaving = [Leaving(row.message_id, row.address_index, companies[row.message_id], _asks(row)) for row in rows]
    of_all = frozenset[str]().union(*companies.values())
    persons, asked = await burden.gone_out(connection, {row.address_index for row in rows}, of_all, now)
    beyond = one_too_many(rules.burden, persons, asked, leaving, now)
    if not beyond:
        return
    near = _near(leaving, beyond)
    rounds = await grounds.rounds(connection, {messages[item.message_id].round_id for item in near})
    exempt = await _exempt(connection, rounds, [messages[item.message_id] for item in near])
    known = [replace(item, exempt=item.message_id in exempt) for item in leaving]
    beyond = one_too_many(rules.burden, persons, asked, known, now)
    await _leave(connection, outbox, rules, rounds, [messages[message_id] for message_id in sorted(beyond)], now)


def _near(leaving: Sequence[Leaving], beyond: Collection[str]) -> list[Leaving]:
    """Those whose readers or companies are asked too much: of these alone it matters whether they are exempt."""
    over = [item for item in leaving if item.message_id in beyond]
    addresses = {item.address for item in over}
    companies = frozenset[str]().union(*(item.companies for item in over))
    return [item for item in leaving if item.concerns(addresses, companies)]


async def _exempt(connection: AsyncConnection, rounds: Mapping[str, Round], messages: Sequence[Message]) -> set[str]:
    found = set[str]()
    for chunk in chunks(messages):
        on_them = await links_on(connection, chunk)
        for message in chunk:
            invitations = [link.invitation() for link in on_them.get(message.message_id, ())]
            if is_exempt(rounds[message.round_id], invitations):
                found.add(message.message_id)
    return found


async def _leave(
    connection: AsyncConnection,
    outbox: Outbox,
    rules: Rules,
    rounds: Mapping[str, Round],
    messages: Sequence[Message],
    now: datetime,
) -> None:
    for message in messages:
        round_, expires_at = rounds[message.round_id], message.expires_at
        later = timing(round_, message.channel, Wish.AT_ONCE, None, rules, now, expires_at, over_budget=True)
        waits = update(MESSAGES).where(MESSAGES.c.message_id == message.message_id)
        left = waits.values(waits=later.waits, due=micros(later.due), asks=0, minutes=0)
        await tell_waiting(connection, outbox, (await connection.execute(left.returning(MESSAGES))).all(), now)


def _asks(row: Row[Any]) -> Asked:
    return Asked(row.round_id, row.asks, row.minutes)
