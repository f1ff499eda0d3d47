"""What is known about a batch of messages at one look into the ledger, and why one of them must not leave now.

The sender looks twice: before it composes, and once more after *composed* is acknowledged.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.company import Company
from schemas.delivery import DeliveryState
from schemas.round import Round, RoundState
from services.notifier.ledger import grounds
from services.notifier.ledger.links import Link, links_on
from services.notifier.ledger.messages import DIGEST, NOTICE, Message, items_of
from services.notifier.ledger.notices import NoticeRow, notices_among
from services.notifier.ledger.open_rounds import ENDED_ROUNDS, undone_rounds
from services.notifier.policy.living import living
from services.notifier.policy.reminder import last_moment
from services.notifier.policy.suppression import UNUSABLE, About, Stop, stopped_by
from services.notifier.policy.timing import opening
from services.notifier.policy.windows import Mode

_LIVE: Final = frozenset({"addressed", "admitted"})
_REMINDED: Final = _LIVE | {"merged"}


@dataclass(frozen=True)
class Facts:
    """What is known at one look."""

    links: Mapping[str, list[Link]]
    rounds: Mapping[str, Round]
    stops: Mapping[str, list[Stop]]
    undone: frozenset[str]
    told: Mapping[str, datetime]
    """Of a change's and a reminder's messages: when the earlier one left for the same address."""
    notices: Mapping[str, NoticeRow]
    introduced: frozenset[str]
    """Addresses that a message has reached already: they know where their data comes from (GDPR art. 14)."""
    answered: frozenset[str]
    """Of the invitations on reminders: those that were answered."""
    items: Mapping[str, list[Message]]
    """Of a digest: the messages that it carries, one of each round."""

    def carried(self, message: Message) -> list[Link]:
        """The invitations on it; a reminder is for those alone that were not answered."""
        return [link for link in self.links.get(message.message_id, ()) if not self._is_answered(message, link)]

    def answered_on(self, message: Message) -> list[Link]:
        """The invitations on a reminder that were answered meanwhile."""
        return [link for link in self.links.get(message.message_id, ()) if self._is_answered(message, link)]

    def live(self, message: Message) -> list[Link]:
        """The invitations that it is sent for, those too that were revised since the intent and wait for addressing. A
        reminder may name one that only a page showed before.
        """
        states = _REMINDED if message.is_reminder else _LIVE
        return [link for link in self.carried(message) if link.state in states]

    def _is_answered(self, message: Message, link: Link) -> bool:
        return message.is_reminder and link.invitation_id in self.answered

    def words_of(self, message: Message) -> object:
        """What a message's words are made of: while this is the same, they need not be written anew."""
        if message.is_digest:
            return [self.words_of(item) for item in self.items[message.message_id]]
        round_ = self.rounds.get(message.round_id)
        return (
            message.round_id,
            round_ and round_.basis,
            [(link.invitation_id, link.body) for link in self.live(message)],
        )


@dataclass(frozen=True)
class Verdict:
    """Why a message must not leave now. Without a state it only waits, until a moment where that is known."""

    state: DeliveryState | None
    code: str
    until: datetime | None = None


async def look(connection: AsyncConnection, messages: Sequence[Message], before: Facts | None = None) -> Facts:
    """Reads what the ledger knows about these messages now. What only their words need is not read once more for
    messages that were written after the look `before`.
    """
    indexes = {message.address_index for message in messages}
    items = await items_of(connection, messages)
    all_ = [*messages, *(item for carried in items.values() for item in carried)]
    ids = {message.round_id for message in all_}
    rounds = await grounds.rounds(connection, ids)
    links = await links_on(connection, all_)
    reminded = {link.invitation_id for m in messages if m.is_reminder for link in links.get(m.message_id, ())}
    return Facts(
        items=items,
        links=links,
        rounds=rounds,
        told=before.told if before else await grounds.told_before(connection, messages, rounds),
        notices=before.notices if before else await notices_among(connection, messages),
        stops=await grounds.stops(connection, indexes),
        introduced=before.introduced if before else await grounds.introduced(connection, indexes),
        undone=frozenset(await undone_rounds(connection, ids)),
        answered=frozenset(await grounds.answered(connection, reminded)),
    )


async def companies_of(connection: AsyncConnection, messages: Sequence[Message], facts: Facts) -> Mapping[str, Company]:
    """The workplaces that the words of those not written yet are about."""
    fresh = [message for message in messages if message.body_encrypted is None]
    invitations = [link.invitation() for message in fresh for link in facts.live(message)]
    return await grounds.companies(connection, {place.workplace_id for i in invitations for place in i.workplaces})


def verdict(message: Message, facts: Facts, now: datetime, staff: frozenset[str] | None = None) -> Verdict | None:
    """Why this message must not leave at this moment, or None. In a rehearsal `staff` are the only addresses."""
    why = _RULES.get(message.kind, _of_invitations)(message, facts, now)
    if why is None and staff is not None and message.address_index not in staff:
        return Verdict(DeliveryState.SUPPRESSED, "rehearsal")
    return why


def gone(message: Message, facts: Facts, companies: Mapping[str, Company]) -> Verdict | None:
    """Whether all for whom it is have left the register since it was planned: it may have waited for a week. What is
    told of an earlier message is told to whoever had that one, and what was written once is sent as it is.
    """
    round_ = facts.rounds.get(message.round_id)
    live = facts.live(message)
    if not live or message.body_encrypted is not None or (round_ is not None and round_.follows is not None):
        return None
    if any(living(link.invitation(), companies) for link in live):
        return None
    return Verdict(DeliveryState.CANCELLED, "left_register")


def closed(message: Message, facts: Facts, now: datetime, windows: Mode) -> Verdict | None:
    """Whether the window that it was planned for has closed meanwhile: it was tried before, or its notifier or provider
    was down. A notice is waited for by its reader, at any hour.
    """
    if message.is_notice:
        return None
    opens = opening(facts.rounds.get(message.round_id), message.channel, windows, now)
    return Verdict(None, "window_closed", opens) if opens > now else None


def _of_invitations(message: Message, facts: Facts, now: datetime) -> Verdict | None:
    round_ = facts.rounds.get(message.round_id)
    live = facts.live(message)
    if not live:
        return Verdict(DeliveryState.CANCELLED, "answered" if facts.answered_on(message) else "revoked")
    if round_ is not None and round_.state.value in ENDED_ROUNDS:
        return Verdict(DeliveryState.CANCELLED, f"round_{round_.state.value}")
    if now >= message.expires_at or (message.is_reminder and round_ is not None and _is_over(round_, now)):
        return Verdict(DeliveryState.EXPIRED, "expired")
    if round_ is None or round_.state is not RoundState.OPEN or message.round_id in facts.undone:
        return Verdict(None, "round_not_open")
    if message.body_encrypted is None and any(link.invitation().basis.order > round_.basis.order for link in live):
        return Verdict(None, "older_round")
    about = About(round_.municipality, round_.case_key, round_.case_type)
    stops = facts.stops.get(message.address_index, ())
    stop = stopped_by(stops, about, lambda: (link.invitation() for link in live)) if stops else None
    return Verdict(DeliveryState.SUPPRESSED, stop.kind) if stop else None


def _is_over(round_: Round, now: datetime) -> bool:
    last = last_moment(round_)
    return last is not None and now >= last


def _of_digest(message: Message, facts: Facts, now: datetime) -> Verdict | None:
    """What must not leave has been left off already; of one that is repeated the bytes stay as they are."""
    verdicts = [_of_invitations(item, facts, now) for item in facts.items.get(message.message_id, ())]
    if not verdicts:
        return Verdict(DeliveryState.CANCELLED, "empty")
    return None if None in verdicts else verdicts[0]


def _of_notice(message: Message, facts: Facts, now: datetime) -> Verdict | None:
    """The reader asked for it: only its expiry and an address that is dead or erased keep it."""
    if now >= message.expires_at:
        return Verdict(DeliveryState.EXPIRED, "expired")
    stop = next((stop for stop in facts.stops.get(message.address_index, ()) if stop.kind in UNUSABLE), None)
    return Verdict(DeliveryState.SUPPRESSED, stop.kind) if stop else None


_RULES: Final = {NOTICE: _of_notice, DIGEST: _of_digest}
"""The kinds that are not about one round's invitations."""
