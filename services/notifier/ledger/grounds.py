"""What is decided on: read from the ledger, whole and as it is now, never written here."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.company import Company
from schemas.round import Round
from services.notifier.ledger.messages import FIRST, NOTICE, Message, items_of
from services.notifier.ledger.tables import ANSWERS, COMPANIES, CONTACTS, MESSAGES, ROUNDS, SUPPRESSIONS
from services.notifier.policy.channel_choice import Reach
from services.notifier.policy.suppression import Stop
from services.runtime.store.database import chunks, moment_of


async def rounds(connection: AsyncConnection, ids: Iterable[str]) -> dict[str, Round]:
    """The stored rounds."""
    rows = await connection.execute(select(ROUNDS).where(ROUNDS.c.round_id.in_(sorted(set(ids)))))
    return {row.round_id: Round.model_validate_json(row.body, extra="ignore") for row in rows}


async def rounds_of(connection: AsyncConnection, message: Message) -> list[Round]:
    """What a message is about; of a digest all of it, what is due first before the rest."""
    carried = (await items_of(connection, [message])).get(message.message_id, [message])
    found = await rounds(connection, [item.round_id for item in carried])
    return [found[item.round_id] for item in carried if item.round_id in found]


async def companies(connection: AsyncConnection, ids: Iterable[str]) -> dict[str, Company]:
    """The stored workplaces."""
    found: dict[str, Company] = {}
    for chunk in chunks(sorted(set(ids))):
        rows = await connection.execute(select(COMPANIES).where(COMPANIES.c.workplace_id.in_(chunk)))
        found |= {row.workplace_id: Company.model_validate_json(row.body, extra="ignore") for row in rows}
    return found


async def contacts(connection: AsyncConnection, recipients: Iterable[str]) -> dict[str, list[Reach]]:
    """The contacts of each recipient."""
    found: dict[str, list[Reach]] = {}
    for chunk in chunks(sorted(set(recipients))):
        rows = await connection.execute(select(CONTACTS).where(CONTACTS.c.recipient_id.in_(chunk)))
        for row in rows:
            reach = Reach(
                row.contact_id, row.workplace_id, row.channel, row.language, row.address_index, row.address_encrypted,
                row.role,
            )  # fmt: skip
            found.setdefault(row.recipient_id, []).append(reach)
    return found


async def stops(connection: AsyncConnection, indexes: Iterable[str]) -> dict[str, list[Stop]]:
    """The suppressions of each address."""
    found: dict[str, list[Stop]] = defaultdict(list)
    for chunk in chunks(sorted(set(indexes))):
        rows = await connection.execute(
            select(SUPPRESSIONS).where(SUPPRESSIONS.c.address_index.in_(chunk), SUPPRESSIONS.c.lifted.is_(False))
        )
        for row in rows:
            stop = Stop(
                row.kind, row.scope, row.municipality, row.case_key, row.case_type, subscription_id=row.subscription_id
            )
            found[row.address_index].append(stop)
    return found


async def answered(connection: AsyncConnection, invitations: Iterable[str]) -> set[str]:
    """Those of these invitations that were answered."""
    found: set[str] = set()
    for chunk in chunks(sorted(set(invitations))):
        rows = await connection.execute(select(ANSWERS.c.invitation_id).where(ANSWERS.c.invitation_id.in_(chunk)))
        found |= set(rows.scalars())
    return found


async def introduced(connection: AsyncConnection, indexes: Iterable[str]) -> frozenset[str]:
    """Those of these addresses that have had a mail with what article 14 of the GDPR says: the first that was sent had
    it. One that was never taken, or came back, told nobody; an SMS has no room for it, and a notice says other things.
    """
    rows = await connection.execute(
        select(MESSAGES.c.address_index)
        .where(MESSAGES.c.address_index.in_(sorted(set(indexes))), MESSAGES.c.channel == "email")
        .where(MESSAGES.c.kind != NOTICE, MESSAGES.c.state.in_(("sent", "delivered")))
        .distinct()
    )
    return frozenset(rows.scalars())


async def told_before(
    connection: AsyncConnection, messages: Sequence[Message], rounds: Mapping[str, Round]
) -> dict[str, datetime]:
    """For each message of a change, when the message of the round that it follows left for the same address; for each
    reminder, when its own round's first message did.
    """
    earlier = {
        m.message_id: (m.round_id if m.is_reminder else rounds[m.round_id].follows, m.address_index)
        for m in messages
        if m.round_id in rounds
    }
    follows = {round_id for round_id, _ in earlier.values() if round_id is not None}
    if not follows:
        return {}
    indexes = {message.address_index for message in messages}
    rows = await connection.execute(
        select(MESSAGES.c.round_id, MESSAGES.c.address_index, MESSAGES.c.intent_at)
        .where(MESSAGES.c.round_id.in_(follows), MESSAGES.c.address_index.in_(indexes))
        .where(MESSAGES.c.kind == FIRST, MESSAGES.c.intent_at.is_not(None))
    )
    left = {(row.round_id, row.address_index): moment_of(row.intent_at) for row in rows}
    return {message_id: left[key] for message_id, key in earlier.items() if key in left}
