"""From invitations to messages: one per address and round, with every invitation that leads to that address.

A round is addressed whole, in one transaction that holds its row: no address's message can be claimed while half of its
invitations are on it. What leads to no message ends in a named state with an event. An invitation that comes when its
address's message has left is *merged*: it is shown on that message's page.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, Row, and_, func, or_, select, true, update
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.delivery import Delivery, DeliveryState
from schemas.identity import invitation_id
from schemas.invitation import Invitation
from schemas.round import CORRECTED, Round
from services.notifier.gathering import gather
from services.notifier.ledger import burden, deliveries, grounds, steps
from services.notifier.ledger.addressing_turn import alone
from services.notifier.ledger.events import Outbox, invitation_ended
from services.notifier.ledger.links import Link, link_of, links_on
from services.notifier.ledger.messages import FIRST, UNSENT, WAITING, Message, failed_texts, message_of, messages_there
from services.notifier.ledger.open_rounds import undone_rounds
from services.notifier.ledger.steps import Step
from services.notifier.ledger.tables import INVITATIONS, MESSAGE_INVITATIONS, MESSAGES, ROUNDS
from services.notifier.numbers import message_id, new_number
from services.notifier.planning import Group, cost, may_be_merged, tell_waiting, timings
from services.notifier.policy.attention import is_exempt
from services.notifier.policy.channel_choice import Choice, Reach, choose
from services.notifier.policy.living import living
from services.notifier.policy.readiness import Readiness, readiness
from services.notifier.policy.suppression import DEAD, About, Stop, stopped_by
from services.notifier.policy.timing import Rules, Timing, Waits
from services.notifier.policy.told import Told, told
from services.notifier.policy.unknown import UNKNOWN_OUTCOME
from services.notifier.sms_budget import SmsBudget
from services.runtime.store.database import Database, chunks, micros, moment_of, upsert

_DEAD_CONTACT: Final = "dead_contact"
_UNDELIVERED: Final = "undelivered"
_MOST: Final = 20_000
"""Invitations addressed in one transaction; a larger round goes in several."""


@dataclass
class _Decided:
    """What one round's addressing comes to, before it is written."""

    states: dict[str, str] = field(default_factory=dict)
    events: list[Delivery] = field(default_factory=list)
    messages: dict[str, dict[str, Any]] = field(default_factory=dict)
    links: dict[str, list[Link]] = field(default_factory=dict)

    def end(self, row: Row[Any], state: DeliveryState, code: str, now: datetime) -> None:
        """The invitation leads to no message, and why."""
        self.states[row.invitation_id] = state.value
        self.events.append(_ended(row, state, code, now))


@dataclass(frozen=True, slots=True)
class _Useless:
    """Addresses by which nobody is reached."""

    stops: Mapping[str, Sequence[Stop]]
    failed_texts: Collection[str]

    def is_dead(self, reach: Reach) -> bool:
        return any(stop.kind == DEAD for stop in self.stops.get(reach.address_index, ()))

    def has_failed(self, reach: Reach) -> bool:
        """In this round."""
        return reach.address_index in self.failed_texts


@dataclass(frozen=True, slots=True)
class _Chosen:
    """One invitation on its way to one address."""

    row: Row[Any]
    event: Invitation
    choice: Choice

    @property
    def index(self) -> str:
        return self.choice.reach.address_index


class Addressing:
    """Turns what is admitted into messages. `hold` runs from a round's opening."""

    def __init__(
        self, database: Database, outbox: Outbox, rules: Rules, *, hold: timedelta, sms_budget: SmsBudget | None = None
    ) -> None:
        self._database = database
        self._outbox = outbox
        self._rules = rules
        self._hold = hold
        self._sms_budget = sms_budget or SmsBudget(None)

    async def run(self, now: datetime, admitted_before: datetime) -> None:
        """`admitted_before` is a moment after which all tables were read to their ends: a contact that was published
        before an invitation admitted by then is known.
        """
        await self._expire(now)
        async with self._database.transaction() as connection:
            waiting = select(INVITATIONS.c.round_id).where(INVITATIONS.c.state == "admitted").distinct()
            rounds = await grounds.rounds(connection, (await connection.execute(waiting)).scalars())
        for round_id in sorted(rounds, key=lambda key: (*_first(rounds[key]), key)):
            async with self._database.transaction() as connection:
                if await alone(connection):
                    await self._round(connection, round_id, now, admitted_before)
        await gather(self._database, self._outbox, self._rules, now)

    async def _expire(self, now: datetime) -> None:
        async with self._database.transaction() as connection:
            late = select(INVITATIONS).where(INVITATIONS.c.state == "admitted", INVITATIONS.c.expires_at <= micros(now))
            rows = (await connection.execute(late.limit(_MOST).with_for_update(skip_locked=True))).all()
            await self._end(connection, rows, DeliveryState.EXPIRED, "expired", now)

    async def _round(self, connection: AsyncConnection, round_id: str, now: datetime, before: datetime) -> None:
        locked = select(ROUNDS.c.body).where(ROUNDS.c.round_id == round_id).with_for_update(skip_locked=True)
        body = (await connection.execute(locked)).scalar_one_or_none()
        if body is None:
            return  # not published yet, or another notifier is at it
        round_ = Round.model_validate_json(body, extra="ignore")
        in_round = select(func.count()).select_from(INVITATIONS).where(INVITATIONS.c.round_id == round_id)
        if round_.follows is None:  # nobody revokes what follows a round: what is cancelled there was never told
            in_round = in_round.where(INVITATIONS.c.state != DeliveryState.CANCELLED.value)
        verdict = readiness(round_, now, self._hold, await connection.scalar(in_round) or 0)
        undone = round_id in await undone_rounds(connection, [round_id])
        if verdict is Readiness.WAIT or (undone and verdict is not Readiness.CANCEL):
            return
        rows = await _admitted(connection, round_id, before)
        if verdict is Readiness.CANCEL:
            await self._end(connection, rows, DeliveryState.CANCELLED, f"round_{round_.state.value}", now)
            return
        await self._address(connection, round_, rows, now)

    async def _end(
        self, connection: AsyncConnection, rows: Sequence[Row[Any]], state: DeliveryState, code: str, now: datetime
    ) -> None:
        left = await _left(connection, [row.invitation_id for row in rows])
        ended = [row for row in rows if row.invitation_id not in left]
        await _set_states(
            connection, {row.invitation_id: state.value for row in ended} | dict.fromkeys(left, "addressed")
        )
        await self._outbox.deliveries(connection, [_ended(row, state, code, now) for row in ended])

    async def _address(
        self, connection: AsyncConnection, round_: Round, rows: Sequence[Row[Any]], now: datetime
    ) -> None:
        invited = [(row, Invitation.model_validate_json(row.body, extra="ignore")) for row in rows]
        invited = [(row, event) for row, event in invited if event.basis.order <= round_.basis.order]
        decided = _Decided()
        invited = await _not_on_paper(connection, decided, round_, invited, now)
        contacts = await grounds.contacts(connection, {event.recipient_id for _, event in invited})
        places = {place.workplace_id for _, event in invited for place in event.workplaces}
        known = await grounds.companies(connection, places)
        chosen: list[_Chosen] = []
        former = await _told(connection, round_, contacts) if round_.follows is not None else None
        if former is None and not _is_urgent(round_) and await self._sms_budget.reached(connection, now):
            contacts = {recipient: _by_mail(reaches) for recipient, reaches in contacts.items()}
        stops = await grounds.stops(connection, {reach.address_index for found in contacts.values() for reach in found})
        useless = _Useless(stops, await failed_texts(connection, round_.round_id))
        for row, event in invited:
            reaches = contacts.get(event.recipient_id, [])
            if former is None:
                choices = _choices(decided, round_, row, living(event, known), reaches, useless, now)
            else:
                choices = _same_addresses(decided, row, reaches, former, now)
            chosen += [_Chosen(row, event, choice) for choice in choices]
        if former is None:
            chosen = await self._few_enough_texts(connection, decided, round_, chosen, now)
        await _keep_left(connection, decided)
        await self._to_messages(connection, decided, round_, chosen, stops, now)
        await self._write(connection, decided, now)

    async def _few_enough_texts(
        self, connection: AsyncConnection, decided: _Decided, round_: Round, chosen: Sequence[_Chosen], now: datetime
    ) -> list[_Chosen]:
        """Leaves out the SMS beyond the model's number in one stage of a case. What is urgent is sent all the same."""
        numbers = {item.index for item in chosen if item.choice.channel == "sms"}
        if not numbers or _is_urgent(round_):
            return list(chosen)
        had = await burden.texted(connection, round_, numbers)
        most = self._rules.burden.max_sms_per_person_per_case_stage
        kept = [item for item in chosen if item.choice.channel != "sms" or had[item.index] < most]
        reached = {item.row.invitation_id for item in kept}
        for item in chosen:
            if item.row.invitation_id not in reached:
                decided.end(item.row, DeliveryState.SUPPRESSED, "sms_cap", now)
        return kept

    async def _to_messages(
        self,
        connection: AsyncConnection,
        decided: _Decided,
        round_: Round,
        chosen: Sequence[_Chosen],
        stops: Mapping[str, Sequence[Stop]],
        now: datetime,
    ) -> None:
        there = await messages_there(connection, round_.round_id, FIRST, {item.index for item in chosen})
        carried = await links_on(connection, list(there.values()))
        leaving = {item.row.invitation_id for item in chosen if _is_leaving(there.get(item.index))}
        for waiting in leaving:
            del decided.states[waiting]  # decided when the call has ended
        fresh: list[_Chosen] = []
        for item in chosen:
            message = there.get(item.index)
            if item.row.invitation_id in leaving:
                continue
            if message is not None and _is_gathered(message):
                decided.links.setdefault(message.message_id, []).append(link_of(item.row))
            elif message is not None and _has_left(message):
                _join_late(decided, message, link_of(item.row), carried.get(message.message_id, []), now)
            else:
                fresh.append(item)
        groups = _groups(fresh, there, carried)
        timed = await timings(connection, self._rules, round_, groups, now)
        mailed = {item.row.invitation_id for item in chosen if item.choice.channel == "email"}
        for item in fresh:
            timing = timed[item.index]
            if item.choice.channel == "sms" and timing.waits and item.row.invitation_id in mailed:
                continue  # what waits comes by mail
            row = self._new(round_, item, timing, stops, now, there.get(item.index))
            _join(decided, row, link_of(item.row))

    def _new(
        self,
        round_: Round,
        item: _Chosen,
        timing: Timing,
        stops: Mapping[str, Sequence[Stop]],
        now: datetime,
        there: Message | None,
    ) -> dict[str, Any]:
        index, choice = item.index, item.choice
        about = About(round_.municipality, round_.case_key, round_.case_type)
        stop = stopped_by(stops.get(index, ()), about)
        released = there is not None and there.state in WAITING
        waits = None if released else timing.waits
        alone = released or (waits is None and not may_be_merged(round_, choice.channel, self._rules))
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
            "urgent": _is_urgent(round_),
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

    async def _write(self, connection: AsyncConnection, decided: _Decided, now: datetime) -> None:
        await upsert(connection, MESSAGES, list(decided.messages.values()))
        pairs = [
            {"message_id": key, "invitation_id": link.invitation_id}
            for key, links in decided.links.items()
            for link in links
        ]
        await upsert(connection, MESSAGE_INVITATIONS, pairs, keep=True)
        await _set_states(connection, decided.states)
        await self._outbox.deliveries(connection, decided.events)
        unsent = [row for row in decided.messages.values() if row["state"] in UNSENT and not row["waits"]]
        await steps.take(connection, [_planned(row) for row in unsent])
        stopped = [row["message_id"] for row in decided.messages.values() if row["state"] == "suppressed"]
        for chunk in chunks(stopped):
            rows = await connection.execute(select(MESSAGES).where(MESSAGES.c.message_id.in_(chunk)))
            for row in rows.all():
                message = message_of(row)
                await deliveries.tell(connection, self._outbox, [message], DeliveryState.SUPPRESSED, row.code, now)
        waiting = [row["message_id"] for row in decided.messages.values() if row["waits"]]
        for chunk in chunks(waiting):
            rows = await connection.execute(select(MESSAGES).where(MESSAGES.c.message_id.in_(chunk)))
            await tell_waiting(connection, self._outbox, rows.all(), now)


def _planned(row: Mapping[str, Any]) -> Step:
    """When a message may leave."""
    due = moment_of(row["due"]).isoformat(timespec="seconds")
    return Step(row["message_id"], moment_of(row["created_at"]), "pending", "addressed", f"due {due}")


def _choices(
    decided: _Decided,
    round_: Round,
    row: Row[Any],
    places: Collection[str],
    contacts: Sequence[Reach],
    useless: _Useless,
    now: datetime,
) -> list[Choice]:
    """The addresses of one invitation; where there are none, its end is decided. A dead address gives way to another,
    or to a letter: nobody reads it; so does a number that this round's text did not come through to. One whose reader
    said stop does not, for that is a person's word.
    """
    if not places:
        decided.end(row, DeliveryState.GONE, "left_register", now)
        return []
    channel, urgent = (round_.plan.channel, round_.plan.urgent) if round_.plan else ("email", False)
    roles = round_.plan.contact_roles if round_.plan else ()
    alive = [reach for reach in contacts if not useless.is_dead(reach)]
    choices = choose(channel, urgent, places, [reach for reach in alive if not useless.has_failed(reach)], roles)
    if not choices:
        ways = ((_UNDELIVERED, alive), (_DEAD_CONTACT, contacts))
        code = next((why for why, known in ways if choose(channel, urgent, places, known, roles)), "no_contact")
        decided.end(row, DeliveryState.NOT_REACHABLE, code, now)
        return []
    decided.states[row.invitation_id] = "addressed"
    return choices


def _by_mail(contacts: Sequence[Reach]) -> list[Reach]:
    """While no more may be spent on SMS: without phones, where there is a mailbox as well."""
    mailboxes = [reach for reach in contacts if reach.channel != "sms"]
    return mailboxes if any(reach.channel == "email" for reach in mailboxes) else list(contacts)


def _same_addresses(
    decided: _Decided, row: Row[Any], contacts: Sequence[Reach], former: Mapping[str, Told], now: datetime
) -> list[Choice]:
    """A change goes where the earlier message went, by the same channel, whatever became of the company since."""
    fates = {reach.address_index: former.get(reach.address_index, Told.NEVER) for reach in contacts}
    if Told.UNDECIDED in fates.values():
        return []  # stays admitted
    reached = {r.address_index: r for r in contacts if fates[r.address_index] is Told.REACHED}
    choices = [Choice(reach, "sms" if reach.channel == "sms" else "email") for reach in reached.values()]
    if not contacts:
        decided.end(row, DeliveryState.NOT_REACHABLE, "no_contact", now)
    elif not choices:
        decided.end(row, DeliveryState.CANCELLED, "never_told", now)
    else:
        decided.states[row.invitation_id] = "addressed"
    return choices


def _groups(
    fresh: Sequence[_Chosen], there: Mapping[str, Message], carried: Mapping[str, Sequence[Link]]
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


def _first(round_: Round) -> tuple[bool, bool]:
    """What is urgent is addressed first, then what is exempt: the budget that is left is for the others."""
    return not _is_urgent(round_), not is_exempt(round_, ())


def _is_urgent(round_: Round) -> bool:
    return round_.plan is not None and round_.plan.urgent


def _is_gathered(message: Message) -> bool:
    """Whether it is on a digest that is not written yet: what comes now comes with it."""
    return message.digest_id is not None and message.intent_at is None and message.state == DeliveryState.MERGED


def _is_leaving(message: Message | None) -> bool:
    """Whether a provider is being called at this moment: what comes now may still be on the next bytes, or too late."""
    return message is not None and message.state == "sending"


def _has_left(message: Message) -> bool:
    """Whether its bytes are fixed, or its end decided. One called off before its intent is reopened."""
    return message.intent_at is not None or message.state not in (*UNSENT, "cancelled")


def _join(decided: _Decided, message: dict[str, Any], link: Link) -> None:
    there = decided.messages.setdefault(message["message_id"], message)
    there["expires_at"] = max(there["expires_at"], message["expires_at"])
    decided.links.setdefault(message["message_id"], []).append(link)


def _join_late(decided: _Decided, message: Message, link: Link, on_it: Sequence[Link], now: datetime) -> None:
    """The address's message left, or came to its end, before this invitation: that is its answer too."""
    if any(other.invitation_id == link.invitation_id for other in on_it):
        return
    ended = message.state in ("failed", "suppressed", "expired")
    state = DeliveryState(message.state) if ended else DeliveryState.MERGED
    decided.states[link.invitation_id] = state.value
    decided.links.setdefault(message.message_id, []).append(link)
    decided.events.append(deliveries.message_event(message, [link], state, "came_after", now, to=[link.recipient_id]))


def _ended(row: Row[Any], state: DeliveryState, code: str, now: datetime) -> Delivery:
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


async def _keep_left(connection: AsyncConnection, decided: _Decided) -> None:
    """An invitation that was revised after it left stays what it was, whatever its addresses came to since; but one
    that left for a dead address alone, or by a text that did not come through, has reached nobody.
    """
    left = await _left(connection, [event.invitation_ids[0] for event in decided.events])
    nobody = [event.invitation_ids[0] for event in decided.events if event.code in (_DEAD_CONTACT, _UNDELIVERED)]
    left -= set(nobody) - await _left(connection, nobody, reached=True)
    decided.states |= dict.fromkeys(left, "addressed")
    decided.events = [event for event in decided.events if event.invitation_ids[0] not in left]


async def _not_on_paper(
    connection: AsyncConnection,
    decided: _Decided,
    round_: Round,
    invited: Sequence[tuple[Row[Any], Invitation]],
    now: datetime,
) -> list[tuple[Row[Any], Invitation]]:
    """Those that no letter was exported for: a letter has left, whatever address turned up since. Whom the earlier
    round's letter told is told on paper again: that is for the letter list.
    """
    on_paper = await _left(connection, [row.invitation_id for row, _ in invited], "letter")
    decided.states |= dict.fromkeys(on_paper, "addressed")
    before: dict[str, str] = {}
    if round_.follows is not None:
        before = {row.invitation_id: invitation_id(round_.follows, row.recipient_id) for row, _ in invited}
    told_on_paper = await _left(connection, list(before.values()), "letter")
    others = [(row, event) for row, event in invited if row.invitation_id not in on_paper]
    for row, _ in others:
        if before.get(row.invitation_id) in told_on_paper:
            decided.end(row, DeliveryState.NOT_REACHABLE, "told_on_paper", now)
    return [(row, event) for row, event in others if before.get(row.invitation_id) not in told_on_paper]


async def _left(
    connection: AsyncConnection, invitations: Sequence[str], channel: str | None = None, *, reached: bool = False
) -> set[str]:
    """Those of these invitations that are on a message with an intent: they left, or may have. By that channel, if one
    is given; with `reached`, only if that did not fail for certain.
    """
    found: set[str] = set()
    left: ColumnElement[bool] = MESSAGES.c.intent_at.is_not(None)
    if reached:
        left = and_(left, or_(MESSAGES.c.state != "failed", MESSAGES.c.code == UNKNOWN_OUTCOME))
    for chunk in chunks(sorted(invitations)):
        rows = await connection.execute(
            select(MESSAGE_INVITATIONS.c.invitation_id)
            .join(MESSAGES, MESSAGES.c.message_id == MESSAGE_INVITATIONS.c.message_id)
            .where(MESSAGE_INVITATIONS.c.invitation_id.in_(chunk), left)
            .where(true() if channel is None else MESSAGES.c.channel == channel)
        )
        found |= set(rows.scalars())
    return found


async def _admitted(connection: AsyncConnection, round_id: str, before: datetime) -> Sequence[Row[Any]]:
    statement = (
        select(INVITATIONS)
        .where(INVITATIONS.c.round_id == round_id, INVITATIONS.c.state == "admitted")
        .where(INVITATIONS.c.admitted_at <= micros(before))
        .order_by(INVITATIONS.c.invitation_id)
        .limit(_MOST)
        .with_for_update()
    )
    return (await connection.execute(statement)).all()


async def _told(connection: AsyncConnection, change: Round, contacts: Mapping[str, Sequence[Reach]]) -> dict[str, Told]:
    """What the round that this one follows was to each of these addresses. Its messages are locked: a sender that is
    about to write one writes it after this, from the round as it is now. Whoever gets it later than a correction gets
    it right, if the case was corrected too.
    """
    follows = change.follows or ""
    earlier = (await grounds.rounds(connection, [follows])).get(follows)
    corrects = change.change == CORRECTED
    current = earlier is not None and (corrects or earlier.basis.order >= change.basis.order)
    found: dict[str, Told] = {}
    for chunk in chunks(sorted({reach.address_index for reaches in contacts.values() for reach in reaches})):
        rows = await connection.execute(
            select(MESSAGES.c.address_index, MESSAGES.c.state, MESSAGES.c.code)
            .where(MESSAGES.c.round_id == follows, MESSAGES.c.kind == FIRST, MESSAGES.c.address_index.in_(chunk))
            .order_by(MESSAGES.c.message_id)
            .with_for_update()
        )
        found |= {row.address_index: told(row.state, row.code, round_is_current=current) for row in rows}
    return found


async def _set_states(connection: AsyncConnection, states: Mapping[str, str]) -> None:
    for state in sorted(set(states.values())):
        for chunk in chunks(sorted(key for key, value in states.items() if value == state)):
            await connection.execute(
                update(INVITATIONS).where(INVITATIONS.c.invitation_id.in_(chunk)).values(state=state)
            )
