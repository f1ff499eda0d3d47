"""Reminders: when a round says so, those who were asked and have not answered are asked once more.

Planned from the ledger, in transactions that hold the round: an address has one reminder however many notifiers
plan, and it names those alone of its companies that have not answered. Whether it may leave is looked at again when it
is sent (`sifting`). A notifier that starts late plans it still, unless the last day's window is over. Whose question
waited for a digest, or came on paper, is not reminded.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.invitation import Invitation
from schemas.round import Round
from services.notifier.ledger import burden, grounds, steps
from services.notifier.ledger.messages import FIRST, REMINDER, Message, messages_there
from services.notifier.ledger.open_rounds import undone_rounds
from services.notifier.ledger.steps import Step
from services.notifier.ledger.tables import ANSWERS, INVITATIONS, MESSAGE_INVITATIONS, MESSAGES, ROUNDS
from services.notifier.numbers import message_id, new_number
from services.notifier.policy.attention import is_urgent
from services.notifier.policy.channel_choice import Reach, choose
from services.notifier.policy.living import living
from services.notifier.policy.reminder import REACHED, REST, Address, addresses, is_due, last_moment, may_follow
from services.notifier.policy.suppression import About, stopped_by
from services.notifier.policy.timing import IN_CASE, Rules
from services.notifier.policy.windows import next_open
from services.runtime.store.database import Database, chunks, micros, moment_of, upsert

EVERY: Final = timedelta(minutes=1)
"""How often it is looked who is to be reminded: nobody waits for a reminder by the second."""
AT_ONCE: Final = 1000
"""Invitations that are planned in one transaction, so that what is to leave does not wait for a large round's."""


@dataclass
class _Asked:
    """One invitation that was not answered, its workplaces that are still there, and the addresses that had the
    question.
    """

    invitation_id: str
    recipient_id: str
    workplaces: set[str]
    had: list[Address] = field(default_factory=list)


class Reminding:
    """Plans the reminders that are due."""

    def __init__(self, database: Database, rules: Rules, *, at_once: int = AT_ONCE) -> None:
        self._database = database
        self._rules = rules
        self._at_once = at_once
        self._looked: datetime | None = None

    async def run(self, now: datetime) -> None:
        """All rounds whose reminder is due, each in a transaction of its own. Tables were read to their ends."""
        if self._looked is not None and timedelta(0) <= now - self._looked < EVERY:
            return
        self._looked = now
        async with self._database.transaction() as connection:
            due = select(ROUNDS.c.round_id).where(ROUNDS.c.state == "open", ROUNDS.c.remind_at <= micros(now))
            ids = list((await connection.execute(due.order_by(ROUNDS.c.round_id))).scalars())
        for round_id in ids:
            async with self._database.transaction() as connection:
                silent = await _not_answered(connection, round_id, now)
            for start in range(0, len(silent), self._at_once):
                async with self._database.transaction() as connection:
                    await self._round(connection, round_id, silent[start : start + self._at_once], now)

    async def _round(self, connection: AsyncConnection, round_id: str, silent: Sequence[str], now: datetime) -> None:
        """Plans for some of a round's invitations. An address whose companies come in several parts has one reminder
        all the same: it is joined until it leaves.
        """
        locked = select(ROUNDS.c.body).where(ROUNDS.c.round_id == round_id).with_for_update(skip_locked=True)
        body = (await connection.execute(locked)).scalar_one_or_none()
        if body is None:
            return  # another notifier is at it
        round_ = Round.model_validate_json(body, extra="ignore")
        if is_due(round_, now) and round_id not in await undone_rounds(connection, [round_id]):
            asked = await _rested(connection, silent, now)
            await self._plan(connection, round_, await self._places(connection, round_, asked), now)

    async def _plan(
        self, connection: AsyncConnection, round_: Round, places: Mapping[Address, Sequence[str]], now: datetime
    ) -> None:
        indexes = [place.address_index for place in places]
        there = await messages_there(connection, round_.round_id, REMINDER, indexes)
        stops = await grounds.stops(connection, indexes)
        about = About(round_.municipality, round_.case_key, round_.case_type)
        rows, pairs = list[dict[str, Any]](), list[dict[str, str]]()
        for place, invitations in places.items():
            known = there.get(place.address_index)
            if stopped_by(stops.get(place.address_index, ()), about) or (known and known.state == "sending"):
                continue
            if known is None or known.state == "cancelled":
                row = self._row(round_, place, known, now)
                if row is None:
                    continue
                rows.append(row)
            id_ = message_id(round_.round_id, place.address_index, REMINDER)
            pairs += [{"message_id": id_, "invitation_id": invitation} for invitation in invitations]
        await upsert(connection, MESSAGES, rows)
        await upsert(connection, MESSAGE_INVITATIONS, pairs, keep=True)
        await steps.take(connection, [Step(row["message_id"], now, "pending", "not_answered") for row in rows])

    def _row(self, round_: Round, place: Address, known: Message | None, now: datetime) -> dict[str, Any] | None:
        """The reminder, or None where no window opens before the last moment. One that was called off before it left
        is taken up again.
        """
        due, last = next_open(place.channel, now, self._rules.windows), last_moment(round_)
        if last is None or due >= last:
            return None
        return {
            "message_id": message_id(round_.round_id, place.address_index, REMINDER),
            "number": known.number if known else new_number(),
            "round_id": round_.round_id,
            "address_index": place.address_index,
            "kind": REMINDER,
            "channel": place.channel,
            "municipality": round_.municipality,
            "language": place.language,
            "state": "pending",
            "urgent": False,
            "due": micros(due),
            "attempts": known.attempts if known else 0,
            "unknowns": 0,
            "resent_unknown": 0,
            "address_encrypted": place.address_encrypted,
            "provider_ref": "",
            "code": "",
            "created_at": micros(now),
            "expires_at": micros(last),
        }

    async def _places(
        self, connection: AsyncConnection, round_: Round, asked: Sequence[_Asked]
    ) -> Mapping[Address, Sequence[str]]:
        """Where reminders go, each with its invitations. One address is one place, whoever leads to it."""
        roles = round_.plan.contact_roles if round_.plan else ()
        wanted = round_.plan.reminder.channel if round_.plan and round_.plan.reminder else ""
        contacts: Mapping[str, Sequence[Reach]] = {}
        if wanted == "sms":
            contacts = await grounds.contacts(connection, {one.recipient_id for one in asked})
        choices = [(one, _phones(one, contacts.get(one.recipient_id, ()), roles)) for one in asked]
        numbers = {a.address_index for one, phones in choices for a in (*one.had, *phones) if a.channel == "sms"}
        full = await self._texted_enough(connection, round_, numbers)
        by_index: dict[str, Address] = {}
        found: defaultdict[Address, list[str]] = defaultdict(list)
        for one, phones in choices:
            for place in addresses(wanted, _without(one.had, full), _without(phones, full)):
                found[by_index.setdefault(place.address_index, place)].append(one.invitation_id)
        return found

    async def _texted_enough(self, connection: AsyncConnection, round_: Round, numbers: Collection[str]) -> set[str]:
        """Phones that have had as many SMS in this stage as the model allows. Of what is urgent there is no limit."""
        if not numbers or is_urgent(round_):
            return set()
        had = await burden.texted(connection, round_, numbers)
        first = await messages_there(connection, round_.round_id, FIRST, numbers)
        had.update(number for number, message in first.items() if message.state in REACHED)
        return {number for number in numbers if had[number] >= self._rules.burden.max_sms_per_person_per_case_stage}


async def _not_answered(connection: AsyncConnection, round_id: str, now: datetime) -> list[str]:
    """The invitations of a round that stand, are on a first message, and have neither answer nor reminder. One that was
    merged rests from when it came: only the page shows it.
    """
    links, ids = MESSAGE_INVITATIONS.c, INVITATIONS.c.invitation_id
    of_round = (MESSAGES.c.message_id == links.message_id) & (MESSAGES.c.round_id == round_id)
    reminded = select(links.invitation_id).join(MESSAGES, of_round)
    reminded = reminded.where(MESSAGES.c.kind == REMINDER, MESSAGES.c.state != "cancelled")
    answered = select(ANSWERS.c.invitation_id).where(ANSWERS.c.round_id == round_id)
    rested = INVITATIONS.c.admitted_at <= micros(now - REST)
    rows = await connection.execute(
        select(ids)
        .distinct()
        .join(MESSAGE_INVITATIONS, links.invitation_id == ids)
        .join(MESSAGES, of_round)
        .where(MESSAGES.c.kind == FIRST, MESSAGES.c.state.in_(REACHED), MESSAGES.c.waits.in_(IN_CASE))
        .where(or_(INVITATIONS.c.state == "addressed", (INVITATIONS.c.state == "merged") & rested))
        .where(ids.not_in(answered), ids.not_in(reminded))
        .order_by(ids)
    )
    return list(rows.scalars())


async def _rested(connection: AsyncConnection, invitations: Sequence[str], now: datetime) -> list[_Asked]:
    """Those of these invitations whose question reached an address, and long enough ago; but for who has left the
    register since.
    """
    events: dict[str, Invitation] = {}
    had: defaultdict[str, list[Address]] = defaultdict(list)
    for chunk in chunks(invitations):
        rows = await connection.execute(
            select(MESSAGES, INVITATIONS.c.invitation_id, INVITATIONS.c.body.label("invited"))
            .join(MESSAGE_INVITATIONS, MESSAGE_INVITATIONS.c.message_id == MESSAGES.c.message_id)
            .join(INVITATIONS, INVITATIONS.c.invitation_id == MESSAGE_INVITATIONS.c.invitation_id)
            .where(MESSAGE_INVITATIONS.c.invitation_id.in_(chunk), MESSAGES.c.kind == FIRST)
            .where(MESSAGES.c.waits.in_(IN_CASE))
            .order_by(INVITATIONS.c.invitation_id, MESSAGES.c.message_id)
        )
        for row in rows:
            left_at = moment_of(row.intent_at) if row.intent_at is not None else None
            if may_follow(row.state, row.code, left_at, now):
                place = Address(row.channel, row.language, row.address_index, row.address_encrypted)
                had[row.invitation_id].append(place)
                events[row.invitation_id] = Invitation.model_validate_json(row.invited, extra="ignore")
    known = await grounds.companies(connection, {place.workplace_id for e in events.values() for place in e.workplaces})
    asked = [_Asked(id_, event.recipient_id, living(event, known), had[id_]) for id_, event in events.items()]
    return [one for one in asked if one.workplaces]


def _phones(asked: _Asked, contacts: Sequence[Reach], roles: Sequence[str]) -> list[Address]:
    chosen = choose("sms", False, asked.workplaces, contacts, roles)
    reaches = [choice.reach for choice in chosen if choice.channel == "sms"]
    return [Address("sms", reach.language, reach.address_index, reach.address_encrypted) for reach in reaches]


def _without(places: Sequence[Address], full: Collection[str]) -> list[Address]:
    return [place for place in places if place.address_index not in full]
