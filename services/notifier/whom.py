"""By which addresses each invitation of a round is told; where there is none, why."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.delivery import DeliveryState
from schemas.identity import invitation_id
from schemas.invitation import Invitation
from schemas.round import Round
from services.notifier.decided import Decided
from services.notifier.ledger import burden, grounds
from services.notifier.ledger.messages import failed_texts
from services.notifier.ledger.what_left import left_by_message, told_by_earlier
from services.notifier.policy.attention import is_urgent
from services.notifier.policy.channel_choice import Choice, Reach, choose
from services.notifier.policy.living import living
from services.notifier.policy.suppression import DEAD, Stop
from services.notifier.policy.timing import Rules
from services.notifier.policy.told import Told
from services.notifier.sms_budget import SmsBudget

_DEAD_CONTACT: Final = "dead_contact"
_UNDELIVERED: Final = "undelivered"


@dataclass(frozen=True, slots=True)
class Chosen:
    """One invitation on its way to one address."""

    row: Row[Any]
    event: Invitation
    choice: Choice

    @property
    def index(self) -> str:
        return self.choice.reach.address_index


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


@dataclass(frozen=True)
class Reached:
    """The addresses that one round's invitations lead to, and what stands against each of them."""

    chosen: Sequence[Chosen]
    stops: Mapping[str, Sequence[Stop]]


async def choose_addresses(
    connection: AsyncConnection,
    decided: Decided,
    rules: Rules,
    sms_budget: SmsBudget,
    round_: Round,
    invited: Sequence[tuple[Row[Any], Invitation]],
    now: datetime,
) -> Reached:
    """Where each invitation goes; of one that goes nowhere, the end is decided."""
    invited = await _not_on_paper(connection, decided, round_, invited, now)
    contacts = await grounds.contacts(connection, {event.recipient_id for _, event in invited})
    places = {place.workplace_id for _, event in invited for place in event.workplaces}
    known = await grounds.companies(connection, places)
    chosen: list[Chosen] = []
    former = await told_by_earlier(connection, round_, contacts) if round_.follows is not None else None
    if former is None and not is_urgent(round_) and await sms_budget.reached(connection, now):
        contacts = {recipient: _by_mail(reaches) for recipient, reaches in contacts.items()}
    stops = await grounds.stops(connection, {reach.address_index for found in contacts.values() for reach in found})
    useless = _Useless(stops, await failed_texts(connection, round_.round_id))
    for row, event in invited:
        reaches = contacts.get(event.recipient_id, [])
        if former is None:
            choices = _choices(decided, round_, row, living(event, known), reaches, useless, now)
        else:
            choices = _same_addresses(decided, row, reaches, former, now)
        chosen += [Chosen(row, event, choice) for choice in choices]
    if former is None:
        chosen = await _few_enough_texts(connection, decided, rules, round_, chosen, now)
    await _keep_left(connection, decided)
    return Reached(chosen, stops)


async def _not_on_paper(
    connection: AsyncConnection,
    decided: Decided,
    round_: Round,
    invited: Sequence[tuple[Row[Any], Invitation]],
    now: datetime,
) -> list[tuple[Row[Any], Invitation]]:
    """Those that no letter was exported for: a letter has left, whatever address turned up since. Whom the earlier
    round's letter told is told on paper again: that is for the letter list.
    """
    on_paper = await left_by_message(connection, [row.invitation_id for row, _ in invited], "letter")
    decided.states |= dict.fromkeys(on_paper, "addressed")
    before: dict[str, str] = {}
    if round_.follows is not None:
        before = {row.invitation_id: invitation_id(round_.follows, row.recipient_id) for row, _ in invited}
    told_on_paper = await left_by_message(connection, list(before.values()), "letter")
    others = [(row, event) for row, event in invited if row.invitation_id not in on_paper]
    for row, _ in others:
        if before.get(row.invitation_id) in told_on_paper:
            decided.end(row, DeliveryState.NOT_REACHABLE, "told_on_paper", now)
    return [(row, event) for row, event in others if before.get(row.invitation_id) not in told_on_paper]


def _choices(
    decided: Decided,
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
    decided: Decided, row: Row[Any], contacts: Sequence[Reach], former: Mapping[str, Told], now: datetime
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


async def _few_enough_texts(
    connection: AsyncConnection,
    decided: Decided,
    rules: Rules,
    round_: Round,
    chosen: Sequence[Chosen],
    now: datetime,
) -> list[Chosen]:
    """Leaves out the SMS beyond the model's number in one stage of a case. What is urgent is sent all the same."""
    numbers = {item.index for item in chosen if item.choice.channel == "sms"}
    if not numbers or is_urgent(round_):
        return list(chosen)
    had = await burden.texted(connection, round_, numbers)
    most = rules.burden.max_sms_per_person_per_case_stage
    kept = [item for item in chosen if item.choice.channel != "sms" or had[item.index] < most]
    reached = {item.row.invitation_id for item in kept}
    for item in chosen:
        if item.row.invitation_id not in reached:
            decided.end(item.row, DeliveryState.SUPPRESSED, "sms_cap", now)
    return kept


async def _keep_left(connection: AsyncConnection, decided: Decided) -> None:
    """An invitation that was revised after it left stays what it was, whatever its addresses came to since; but one
    that left for a dead address alone, or by a text that did not come through, has reached nobody.
    """
    left = await left_by_message(connection, [event.invitation_ids[0] for event in decided.events])
    nobody = [event.invitation_ids[0] for event in decided.events if event.code in (_DEAD_CONTACT, _UNDELIVERED)]
    left -= set(nobody) - await left_by_message(connection, nobody, reached=True)
    decided.states |= dict.fromkeys(left, "addressed")
    decided.events = [event for event in decided.events if event.invitation_ids[0] not in left]
