"""What the ledger is asked and told about messages. Every function works inside the caller's transaction.

A claim is a lease, not a state: a message whose sender died before the intent is simply claimed again. Only `sending`
means that the provider may have been called; when its lease runs out, its outcome is unknown.
"""

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from typing import Any, Final, TypeVar

from sqlalchemy import ColumnElement, Row, Select, and_, bindparam, case, delete, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.company import Company
from schemas.delivery import Delivery, DeliveryState
from schemas.identity import derived
from schemas.invitation import Invitation
from schemas.round import Round
from services.notifier.channels.port import Outcome, State
from services.notifier.ledger import steps
from services.notifier.ledger.events import Outbox
from services.notifier.ledger.steps import Step
from services.notifier.ledger.tables import (
    ANSWERS,
    COMPANIES,
    CONTACTS,
    CONTROLS,
    INVITATIONS,
    MESSAGE_INVITATIONS,
    MESSAGES,
    NOTICES,
    ROUNDS,
    SUPPRESSIONS,
)
from services.notifier.policy.channel_choice import Reach
from services.notifier.policy.suppression import Stop
from services.notifier.policy.unknown import resolution
from services.runtime.metrics import DELIVERIES
from services.runtime.store.database import micros, moment_of, upsert

WAITING: Final = ("pending", "retry")
UNSENT: Final = (*WAITING, "waiting")
"""States of what has not left: it waits for its time, for the next try, or for others to be sent with it."""
ENDED_ROUNDS: Final = ("closed", "withdrawn", "silent")
PAUSE: Final = "sending_paused"
ADDRESSING: Final = "addressing"
"""A row that whoever addresses holds locked; it says nothing."""
FIRST: Final = "first"
DIGEST: Final = "digest"
ROUND_OF_NOTICE: Final = "round"
"""The parameter of a notice that names its round: a digest has several."""
NOTICE: Final = "notice"
REMINDER: Final = "reminder"
_CHUNK: Final = 500
_T = TypeVar("_T")
_HELD_ROUNDS: Final = (
    select(ROUNDS.c.round_id)
    .join(SUPPRESSIONS, SUPPRESSIONS.c.round_id == ROUNDS.c.round_id)
    .where(SUPPRESSIONS.c.scope == "round", SUPPRESSIONS.c.lifted.is_(False))
    .where(ROUNDS.c.basis <= SUPPRESSIONS.c.basis)
)
"""Rounds not newer than the undo or withdrawal that names them: the next release has a higher basis and is free."""

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


@dataclass(frozen=True)
class Message:
    """A row of `messages` as the sender sees it."""

    message_id: str
    number: int
    round_id: str
    address_index: str
    kind: str
    channel: str
    municipality: str
    language: str
    state: str
    attempts: int
    unknowns: int
    provider: str
    """Whom it was last tried at; empty before the first intent."""
    address_encrypted: bytes
    body_encrypted: bytes | None
    template_version: str
    """Of the words and templates that the bytes were made with; empty before there are any."""
    intent_at: datetime | None
    created_at: datetime
    expires_at: datetime
    waits: str
    digest_id: str | None
    """The digest that carries it."""

    @property
    def is_digest(self) -> bool:
        """Whether it carries several rounds: the first messages that name it, instead of them."""
        return self.kind == DIGEST

    @property
    def is_notice(self) -> bool:
        """Whether it was asked for by its reader: it carries no invitation and belongs to no round."""
        return self.kind == NOTICE

    @property
    def is_reminder(self) -> bool:
        """Whether it asks those again who have not answered its round."""
        return self.kind == REMINDER

    @property
    def repeats(self) -> bool:
        """Whether sending it now repeats an attempt whose outcome stayed unknown."""
        return self.unknowns > 0


@dataclass(frozen=True)
class Link:
    """An invitation that a message carries."""

    invitation_id: str
    recipient_id: str
    round_id: str
    state: str
    body: str

    def invitation(self) -> Invitation:
        """The invitation as it was admitted last."""
        return self._read

    @cached_property
    def _read(self) -> Invitation:
        return Invitation.model_validate_json(self.body, extra="ignore")


@dataclass(frozen=True)
class NoticeRow:
    """What a notice says, and the round that it is about."""

    recipient_id: str
    kind: str
    parameters: Mapping[str, str]
    path_encrypted: bytes | None
    about_number: int | None
    round_: Round | None


async def claim(
    connection: AsyncConnection,
    channel: str,
    owner: str,
    now: datetime,
    lease_until: datetime,
    limit: int,
    *,
    notices_only: bool = False,
    urgent_only: bool = False,
) -> list[Message]:
    """Leases due messages of one channel, urgent first, skipping those that another notifier holds. `urgent_only`: and
    notices, and those whose outcome is to be found out.
    """
    at = micros(now)
    may_leave = and_(
        MESSAGES.c.state.in_(WAITING),
        or_(MESSAGES.c.kind == DIGEST, round_is_open()),  # a digest leaves off the rounds that are not
    )
    if urgent_only:
        may_leave = and_(may_leave, MESSAGES.c.urgent)
    notices = MESSAGES.c.kind == NOTICE
    rows = await connection.execute(
        select(MESSAGES)
        .where(MESSAGES.c.channel == channel, MESSAGES.c.due <= at, unleased(at))
        .where(MESSAGES.c.state.in_((*WAITING, "unknown")))
        .where(notices if notices_only else or_(may_leave, notices, MESSAGES.c.state == "unknown"))
        .order_by(MESSAGES.c.urgent.desc(), MESSAGES.c.due, MESSAGES.c.message_id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    claimed = [message_of(row) for row in rows]
    await _set(connection, claimed, lease_owner=owner, lease_until=micros(lease_until))
    return claimed


def round_is_open() -> ColumnElement[bool]:
    """Whether a message's round is open, and nobody has undone or withdrawn it at a page."""
    is_open = select(ROUNDS.c.round_id).where(ROUNDS.c.state == "open")
    return and_(MESSAGES.c.round_id.in_(is_open), MESSAGES.c.round_id.not_in(_HELD_ROUNDS))


async def alone(connection: AsyncConnection) -> bool:
    """Whether nobody else addresses during this transaction: what one person is sent in all is decided one round after
    the other. SQLite has one writer anyway.
    """
    one = select(CONTROLS.c.name).where(CONTROLS.c.name == ADDRESSING).with_for_update(skip_locked=True)
    return (await connection.execute(one)).one_or_none() is not None


async def renew(connection: AsyncConnection, owner: str, alive: Collection[str], lease_until: datetime) -> None:
    """Keeps what this owner is at work on; what it has let go of by failing runs out."""
    await connection.execute(
        update(MESSAGES)
        .where(MESSAGES.c.lease_owner == owner, MESSAGES.c.message_id.in_(list(alive)))
        .values(lease_until=micros(lease_until))
    )


async def still_held(
    connection: AsyncConnection, messages: Sequence[Message], owner: str, *, state: str | None = None
) -> list[Message]:
    """Those of these messages that this owner still holds, locked, in the order of their ids."""
    asked = _held(select(MESSAGES.c.message_id), messages, owner)
    if state is not None:
        asked = asked.where(MESSAGES.c.state == state)
    known = {message.message_id: message for message in messages}
    return [known[message_id] for message_id in (await connection.execute(asked)).scalars()]


async def read_again(connection: AsyncConnection, messages: Sequence[Message], owner: str) -> list[Message]:
    """The same, as they are by now, in the order in which they were claimed: urgent first."""
    rows = await connection.execute(_held(select(MESSAGES), messages, owner))
    claimed = {message.message_id: position for position, message in enumerate(messages)}
    return sorted((message_of(row) for row in rows), key=lambda message: claimed[message.message_id])


def _held(columns: Select[Any], messages: Sequence[Message], owner: str) -> Select[Any]:
    ids = [message.message_id for message in messages]
    held = columns.where(MESSAGES.c.message_id.in_(ids), MESSAGES.c.lease_owner == owner)
    return held.order_by(MESSAGES.c.message_id).with_for_update()


async def release(connection: AsyncConnection, messages: Sequence[Message], due: datetime | None = None) -> None:
    """Gives claimed messages back as they were."""
    values: dict[str, Any] = {} if due is None else {"due": micros(due)}
    await _set(connection, messages, lease_owner=None, lease_until=None, **values)


async def put_back(
    connection: AsyncConnection, messages: Sequence[Message], due: datetime, *, code: str, now: datetime
) -> None:
    """Undoes an intent that no call followed: composed anew when its time comes. The bytes of one whose outcome is
    unknown stay, for a resend must be the same.
    """
    await note(connection, messages, "put_back", code, now)
    free = {"lease_owner": None, "lease_until": None, "due": micros(due)}
    first = [message for message in messages if not message.repeats]
    await _set(connection, first, state="pending", intent_at=None, body_encrypted=None, **free)
    await _set(connection, [message for message in messages if message.repeats], state="unknown", **free)


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


async def transitions(connection: AsyncConnection, changes: Sequence[tuple[Message, dict[str, Any]]]) -> None:
    """New states of several messages, all with the same columns; their leases end."""
    ended = {"lease_owner": None, "lease_until": None}
    await _set_each(connection, [(message, {**ended, **values}) for message, values in changes])


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


async def transition(connection: AsyncConnection, message: Message, state: str, **values: Any) -> None:
    """A new state; the lease ends."""
    await _set(connection, [message], state=state, lease_owner=None, lease_until=None, **values)


async def _set(connection: AsyncConnection, messages: Sequence[Message], **values: Any) -> None:
    if messages and values:
        ids = [message.message_id for message in messages]
        await connection.execute(update(MESSAGES).where(MESSAGES.c.message_id.in_(ids)).values(**values))
        if "state" in values:
            await _share_fate(connection, messages)


async def _share_fate(connection: AsyncConnection, messages: Sequence[Message]) -> None:
    ids = [message.message_id for message in messages if message.is_digest]
    if not ids:
        return
    await connection.execute(update(MESSAGES).where(MESSAGES.c.digest_id.in_(ids)).values(**_FATE))


async def leave_off(connection: AsyncConnection, item: Message) -> None:
    """Takes a message off its digest: it waits again, for another."""
    free = {"state": DeliveryState.WAITING.value, "digest_id": None, "intent_at": None}
    await _set(connection, [item], **free)


async def abandoned(connection: AsyncConnection, now: datetime, alive: Collection[str], limit: int) -> list[Message]:
    """Messages in `sending` whose sender let the lease run out: it died, or lost the ledger."""
    return await _locked(
        connection,
        select(MESSAGES).where(
            MESSAGES.c.state == "sending",
            MESSAGES.c.lease_until < micros(now),
            MESSAGES.c.message_id.not_in(list(alive)),
        ),
        limit,
    )


async def overdue(connection: AsyncConnection, now: datetime, limit: int) -> list[Message]:
    """Messages that wait past their expiry."""
    at = micros(now)
    statement = select(MESSAGES).where(MESSAGES.c.state.in_(UNSENT), MESSAGES.c.expires_at <= at, unleased(at))
    return await _locked(connection, statement, limit)


async def called_off(connection: AsyncConnection, now: datetime, limit: int) -> list[Message]:
    """Messages that wait for a round that has ended."""
    ended = select(ROUNDS.c.round_id).where(ROUNDS.c.state.in_(ENDED_ROUNDS))
    statement = select(MESSAGES).where(
        MESSAGES.c.state.in_(UNSENT), MESSAGES.c.round_id.in_(ended), unleased(micros(now))
    )
    return await _locked(connection, statement, limit)


async def _locked(connection: AsyncConnection, statement: Select[Any], limit: int) -> list[Message]:
    rows = await connection.execute(statement.limit(limit).with_for_update(skip_locked=True))
    return [message_of(row) for row in rows]


def unleased(at: int) -> ColumnElement[bool]:
    """No sender has it."""
    return or_(MESSAGES.c.lease_until.is_(None), MESSAGES.c.lease_until < at)


async def links(connection: AsyncConnection, messages: Sequence[Message]) -> dict[str, list[Link]]:
    """The invitations on each message, in a stable order; on a digest those of the messages that it carries."""
    ids = [message.message_id for message in messages]
    found = await _links(connection, MESSAGE_INVITATIONS.c.message_id, ids)
    if digests := [message.message_id for message in messages if message.is_digest]:
        found |= await _links(connection, MESSAGES.c.digest_id, digests)
    return found


async def _links(connection: AsyncConnection, carrier: ColumnElement[str], ids: Sequence[str]) -> dict[str, list[Link]]:
    found: dict[str, list[Link]] = defaultdict(list)
    rows = await connection.execute(
        select(carrier.label("carrier"), INVITATIONS)
        .select_from(MESSAGE_INVITATIONS)
        .join(MESSAGES, MESSAGES.c.message_id == MESSAGE_INVITATIONS.c.message_id)
        .join(INVITATIONS, INVITATIONS.c.invitation_id == MESSAGE_INVITATIONS.c.invitation_id)
        .where(carrier.in_(ids))
        .order_by(INVITATIONS.c.invitation_id)
    )
    for row in rows:
        found[row.carrier].append(link_of(row))
    return found


async def items(connection: AsyncConnection, digests: Sequence[Message]) -> dict[str, list[Message]]:
    """The messages that each digest carries, those that are due first before the others."""
    ids = [message.message_id for message in digests if message.is_digest]
    found: dict[str, list[Message]] = defaultdict(list)
    if ids:
        carried = select(MESSAGES).where(MESSAGES.c.digest_id.in_(ids))
        for row in await connection.execute(carried.order_by(MESSAGES.c.expires_at, MESSAGES.c.message_id)):
            found[row.digest_id].append(message_of(row))
    return found


async def notices(connection: AsyncConnection, messages: Sequence[Message]) -> dict[str, NoticeRow]:
    """What each notice among these messages says."""
    ids = [message.message_id for message in messages if message.is_notice]
    if not ids:
        return {}
    found = await connection.execute(
        select(NOTICES, MESSAGES.c.round_id)
        .outerjoin(MESSAGES, MESSAGES.c.number == NOTICES.c.about_number)
        .where(NOTICES.c.message_id.in_(ids))
    )
    rows = [(row, json.loads(row.parameters)) for row in found]
    about = {row.message_id: said.get(ROUND_OF_NOTICE) or row.round_id for row, said in rows}
    known = await rounds(connection, [round_id for round_id in about.values() if round_id])
    return {
        row.message_id: NoticeRow(
            recipient_id=row.recipient_id,
            kind=row.kind,
            parameters=said,
            path_encrypted=row.path_encrypted,
            about_number=row.about_number,
            round_=known.get(about[row.message_id] or ""),
        )
        for row, said in rows
    }


async def forget_notices(connection: AsyncConnection, messages: Sequence[Message]) -> None:
    """A notice that has ended leaves neither address, link nor words; its id stays, so that it is not sent again."""
    ids = [message.message_id for message in messages if message.is_notice]
    if ids:
        emptied = update(MESSAGES).where(MESSAGES.c.message_id.in_(ids))
        await connection.execute(emptied.values(address_encrypted=b"", body_encrypted=None))
        await connection.execute(delete(NOTICES).where(NOTICES.c.message_id.in_(ids)))


async def rounds(connection: AsyncConnection, ids: Iterable[str]) -> dict[str, Round]:
    """The stored rounds."""
    rows = await connection.execute(select(ROUNDS).where(ROUNDS.c.round_id.in_(sorted(set(ids)))))
    return {row.round_id: Round.model_validate_json(row.body, extra="ignore") for row in rows}


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


async def messages_there(
    connection: AsyncConnection, round_id: str, kind: str, indexes: Iterable[str]
) -> dict[str, Message]:
    """A round's messages of one kind to these addresses, by address, locked."""
    found: dict[str, Message] = {}
    for chunk in chunks(sorted(set(indexes))):
        rows = await connection.execute(
            select(MESSAGES)
            .where(MESSAGES.c.round_id == round_id, MESSAGES.c.kind == kind, MESSAGES.c.address_index.in_(chunk))
            .order_by(MESSAGES.c.message_id)
            .with_for_update()
        )
        found |= {row.address_index: message_of(row) for row in rows}
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


async def unlink(connection: AsyncConnection, message: Message, links: Sequence[Link]) -> None:
    """The message is not for these invitations any more."""
    for chunk in chunks([link.invitation_id for link in links]):
        await connection.execute(
            delete(MESSAGE_INVITATIONS)
            .where(MESSAGE_INVITATIONS.c.message_id == message.message_id)
            .where(MESSAGE_INVITATIONS.c.invitation_id.in_(chunk))
        )


async def undone_rounds(connection: AsyncConnection, ids: Iterable[str]) -> set[str]:
    """Those of these rounds that an undo or a withdrawal made at a page holds, whatever the round itself says."""
    rows = await connection.execute(_HELD_ROUNDS.where(ROUNDS.c.round_id.in_(sorted(set(ids)))))
    return set(rows.scalars())


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


async def pauses(connection: AsyncConnection) -> list[Pause]:
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
    for standing in await pauses(connection):
        if channel in (None, standing.channel):
            name = PAUSE if standing.channel is None else f"{PAUSE}:{standing.channel}"
            await connection.execute(delete(CONTROLS).where(CONTROLS.c.name == name))


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
    carried = linked if linked is not None else await links(connection, [message for message, _, _ in said])
    asked = await notices(connection, [message for message, _, _ in said])
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


async def leave_unknown(
    connection: AsyncConnection, outbox: Outbox, message: Message, code: str, now: datetime
) -> None:
    """Nobody knows whether it was taken: the channel's policy says when that is resolved."""
    await tell(connection, outbox, [message], DeliveryState.UNKNOWN, code, now)
    due = now + resolution(message.channel, message.unknowns + 1).wait
    counted = {"unknowns": message.unknowns + 1, "attempts": message.attempts + 1}
    await transition(connection, message, "unknown", code=code, due=micros(due), **counted)


def chunks(items: Sequence[_T]) -> Iterable[Sequence[_T]]:
    """Pieces small enough for one statement's parameters."""
    return (items[start : start + _CHUNK] for start in range(0, len(items), _CHUNK))


def link_of(row: Row[Any]) -> Link:
    """A row of `invitations` as a message carries it."""
    return Link(row.invitation_id, row.recipient_id, row.round_id, row.state, row.body)


def message_of(row: Row[Any]) -> Message:
    return Message(
        message_id=row.message_id,
        number=row.number,
        round_id=row.round_id,
        address_index=row.address_index,
        kind=row.kind,
        channel=row.channel,
        municipality=row.municipality,
        language=row.language,
        state=row.state,
        attempts=row.attempts,
        unknowns=row.unknowns,
        provider=row.provider,
        address_encrypted=row.address_encrypted,
        body_encrypted=row.body_encrypted,
        template_version=row.template_version,
        intent_at=moment_of(row.intent_at) if row.intent_at is not None else None,
        created_at=moment_of(row.created_at),
        expires_at=moment_of(row.expires_at),
        waits=row.waits,
        digest_id=row.digest_id,
    )
