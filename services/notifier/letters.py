"""Letters on paper to those whom no other address reaches: the letter list of a case, exported.

An exported letter has left: its invitation is *addressed*, the message is *sent* by the channel `letter` with its own
number, and an address that turns up later changes nothing. What stands on it is kept, so that exporting again gives the
same letters with the same numbers. A stop said at a letter's page holds for its recipient's next letters. Whether it
was posted is the municipality's to see to: nobody tells us.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any, Final, Protocol

from sqlalchemy import Row, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.company import Company
from schemas.delivery import DeliveryState
from schemas.identity import invitation_id
from schemas.invitation import Invitation
from schemas.round import Round, RoundState
from services.notifier.composing import Draft
from services.notifier.ledger import deliveries, grounds, lookup, pauses
from services.notifier.ledger.events import Outbox
from services.notifier.ledger.links import links_on
from services.notifier.ledger.messages import FIRST, Message, message_of
from services.notifier.ledger.open_rounds import undone_rounds
from services.notifier.ledger.tables import INVITATIONS, MESSAGE_INVITATIONS, MESSAGES
from services.notifier.numbers import message_id, new_letter_number
from services.notifier.planning import cost
from services.notifier.policy.suppression import About, stopped_by
from services.rendering.paper import Paper, Postal, again, kept
from services.runtime.clock import Clock
from services.runtime.errors import Rejected
from services.runtime.sealing import Vault, blind_index
from services.runtime.store.database import Database, micros, upsert

CHANNEL: Final = "letter"


class PaperWriter(Protocol):
    """Makes what stands on a letter."""

    @property
    def version(self) -> str:
        """Of the words and templates."""
        ...

    def paper(
        self, draft: Draft, round_: Round, invitation: Invitation, companies: Mapping[str, Company], to: Postal
    ) -> Paper:
        """Pure."""
        ...


@dataclass(frozen=True, slots=True)
class Exported:
    """One letter. `at` is when it was exported first."""

    message_id: str
    invitation_id: str
    round: Round
    at: datetime
    fresh: bool
    paper: Paper


@dataclass
class Export:
    """What one export came to: the letters, and how many have none, by reason."""

    letters: list[Exported] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)


class Letters:
    """The letter lists of one ledger."""

    def __init__(
        self,
        database: Database,
        outbox: Outbox,
        writer: PaperWriter,
        vault: Vault,
        clock: Clock,
        *,
        index_key: bytes,
        rehearsal: bool = False,
    ) -> None:
        self._database = database
        self._outbox = outbox
        self._writer = writer
        self._vault = vault
        self._clock = clock
        self._index_key = index_key
        self._rehearsal = rehearsal

    async def export(self, case: str) -> Export:
        """All letters of a case's open rounds, those of earlier exports too. Raises `Rejected`."""
        made, now = Export(), self._clock.now()
        async with self._database.transaction() as connection:
            if any(pause.holds(CHANNEL) for pause in await pauses.standing(connection)):
                raise Rejected("paused", "sending is paused: see `nardialog sending status`")
            rounds = [r for r in await lookup.rounds_of(connection, case) if r.state is RoundState.OPEN]
            undone = await undone_rounds(connection, [r.round_id for r in rounds])
            for round_ in rounds:
                if round_.round_id not in undone:
                    made.letters += await self._exported_before(connection, round_, now)
                    made.letters += await self._fresh(connection, round_, now, made.left_out)
        made.letters.sort(key=lambda letter: (letter.paper.address, letter.message_id))
        return made

    async def _exported_before(self, connection: AsyncConnection, round_: Round, now: datetime) -> list[Exported]:
        """Those whose invitation still stands."""
        rows = await connection.execute(
            select(MESSAGES)
            .where(MESSAGES.c.round_id == round_.round_id, MESSAGES.c.channel == CHANNEL)
            .where(MESSAGES.c.state == "sent", MESSAGES.c.expires_at > micros(now))
            .order_by(MESSAGES.c.message_id)
        )
        messages = [message_of(row) for row in rows]
        linked = await links_on(connection, messages)
        return [
            self._exported(message, link.invitation_id, round_, fresh=False)
            for message in messages
            for link in linked.get(message.message_id, ())
            if link.state != DeliveryState.CANCELLED.value
        ]

    def _exported(self, message: Message, invitation: str, round_: Round, *, fresh: bool) -> Exported:
        at = message.intent_at or message.created_at
        stands = again(self._vault.decrypt(message.body_encrypted or b""))
        return Exported(message.message_id, invitation, round_, at, fresh, stands)

    async def _fresh(
        self, connection: AsyncConnection, round_: Round, now: datetime, left_out: Counter[str]
    ) -> list[Exported]:
        """Exports whom nothing else reaches. Their rows are locked: a contact that comes now finds them addressed."""
        rows = (
            await connection.execute(
                select(INVITATIONS)
                .where(INVITATIONS.c.round_id == round_.round_id, INVITATIONS.c.state == "not_reachable")
                .where(INVITATIONS.c.expires_at > micros(now))
                .order_by(INVITATIONS.c.invitation_id)
                .with_for_update()
            )
        ).all()
        invited = [(row, Invitation.model_validate_json(row.body, extra="ignore")) for row in rows]
        known = await grounds.companies(connection, {p.workplace_id for _, event in invited for p in event.workplaces})
        indexes = {row.invitation_id: blind_index(self._index_key, CHANNEL, row.recipient_id) for row in rows}
        stops = await grounds.stops(connection, indexes.values())
        told = await _told_on_paper(connection, round_, [row.recipient_id for row in rows], now)
        about = About(round_.municipality, round_.case_key, round_.case_type)
        made = []
        for row, event in invited:
            index, to = indexes[row.invitation_id], _where(event, known)
            if event.basis.order > round_.basis.order:
                left_out["older_round"] += 1  # the round's newer record is on its way
            elif told is not None and row.recipient_id not in told:
                left_out["never_told"] += 1
            elif stopped_by(stops.get(index, ()), about, partial(tuple, (event,))):
                left_out["suppressed"] += 1
            elif to is None:
                left_out["no_visiting_address"] += 1
            else:
                made.append((row, await self._message(connection, round_, row, event, known, index, to, now)))
        await self._tell([message for _, message in made], connection, now)
        return [self._exported(message, row.invitation_id, round_, fresh=True) for row, message in made]

    async def _message(
        self,
        connection: AsyncConnection,
        round_: Round,
        row: Row[Any],
        event: Invitation,
        known: Mapping[str, Company],
        index: str,
        to: Postal,
        now: datetime,
    ) -> Message:
        id_ = message_id(round_.round_id, index, FIRST)
        number = await _free_number(connection)
        draft = Draft(id_, number, CHANNEL, "sv", "", now, rehearsal=self._rehearsal)
        stands = self._writer.paper(draft, round_, event, known, to)
        asks, minutes = cost(round_)
        values = {
            "message_id": id_,
            "number": number,
            "round_id": round_.round_id,
            "address_index": index,
            "kind": FIRST,
            "channel": CHANNEL,
            "municipality": round_.municipality,
            "language": "sv",
            "state": "sent",
            "urgent": False,
            "due": micros(now),
            "attempts": 0,
            "unknowns": 0,
            "resent_unknown": 0,
            "intent_at": micros(now),
            "sent_at": micros(now),
            "address_encrypted": b"",
            "body_encrypted": self._vault.encrypt(kept(stands)),
            "provider_ref": "",
            "code": "exported",
            "asks": asks,
            "minutes": minutes,
            "template_version": self._writer.version,
            "created_at": micros(now),
            "expires_at": row.expires_at,
        }
        await upsert(connection, MESSAGES, [values])
        link = {"message_id": id_, "invitation_id": row.invitation_id}
        await upsert(connection, MESSAGE_INVITATIONS, [link], keep=True)
        await connection.execute(
            update(INVITATIONS).where(INVITATIONS.c.invitation_id == row.invitation_id).values(state="addressed")
        )
        made = await connection.execute(select(MESSAGES).where(MESSAGES.c.message_id == id_))
        return message_of(made.one())

    async def _tell(self, messages: Sequence[Message], connection: AsyncConnection, now: datetime) -> None:
        for state, code in ((DeliveryState.COMPOSED, "ok"), (DeliveryState.SENT, "exported")):
            await deliveries.tell(connection, self._outbox, messages, state, code, now)


async def _told_on_paper(
    connection: AsyncConnection, round_: Round, recipients: Sequence[str], now: datetime
) -> set[str] | None:
    """Of a round that follows another: the recipients for whom a letter of that one was exported before this export:
    what is exported now says how it is now.
    """
    if round_.follows is None:
        return None
    earlier = {invitation_id(round_.follows, recipient): recipient for recipient in recipients}
    rows = await connection.execute(
        select(MESSAGE_INVITATIONS.c.invitation_id)
        .join(MESSAGES, MESSAGES.c.message_id == MESSAGE_INVITATIONS.c.message_id)
        .where(MESSAGES.c.round_id == round_.follows, MESSAGES.c.channel == CHANNEL)
        .where(MESSAGES.c.intent_at < micros(now))
    )
    return {earlier[found] for found in rows.scalars() if found in earlier}


async def _free_number(connection: AsyncConnection) -> int:
    """Letters' numbers are small: one that is taken is drawn again."""
    while True:
        number = new_letter_number()
        if await connection.scalar(select(MESSAGES.c.number).where(MESSAGES.c.number == number)) is None:
            return number


def _where(event: Invitation, known: Mapping[str, Company]) -> Postal | None:
    """The visiting address of the nearest invited workplace that the register has one for."""
    nearest = sorted(event.workplaces, key=lambda place: (place.distance_m or 0.0, place.workplace_id))
    for place in nearest:
        company = known.get(place.workplace_id)
        if company is not None and company.status == "active" and company.street and company.town:
            return Postal(company.name, company.street, company.postcode, company.town)
    return None
