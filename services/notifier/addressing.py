"""From invitations to messages: one per address and round, with every invitation that leads to that address.

A round is addressed whole, in one transaction that holds its row: no address's message can be claimed while half of its
invitations are on it. What leads to no message ends in a named state with an event. An invitation that comes when its
address's message has left is *merged*: it is shown on that message's page.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Row, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.delivery import DeliveryState
from schemas.invitation import Invitation
from schemas.round import Round
from services.notifier.decided import Decided, ending_of, set_states, write
from services.notifier.gathering import gather
from services.notifier.joining import to_messages
from services.notifier.ledger import grounds
from services.notifier.ledger.addressing_turn import alone
from services.notifier.ledger.events import Outbox
from services.notifier.ledger.open_rounds import undone_rounds
from services.notifier.ledger.tables import INVITATIONS, ROUNDS
from services.notifier.ledger.what_left import left_by_message
from services.notifier.policy.attention import is_exempt, is_urgent
from services.notifier.policy.readiness import Readiness, readiness
from services.notifier.policy.timing import Rules
from services.notifier.sms_budget import SmsBudget
from services.notifier.whom import choose_addresses
from services.runtime.store.database import Database, micros

_MOST: Final = 20_000
"""Invitations addressed in one transaction; a larger round goes in several."""


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
        left = await left_by_message(connection, [row.invitation_id for row in rows])
        ended = [row for row in rows if row.invitation_id not in left]
        await set_states(
            connection, {row.invitation_id: state.value for row in ended} | dict.fromkeys(left, "addressed")
        )
        await self._outbox.deliveries(connection, [ending_of(row, state, code, now) for row in ended])

    async def _address(
        self, connection: AsyncConnection, round_: Round, rows: Sequence[Row[Any]], now: datetime
    ) -> None:
        invited = [(row, Invitation.model_validate_json(row.body, extra="ignore")) for row in rows]
        invited = [(row, event) for row, event in invited if event.basis.order <= round_.basis.order]
        decided = Decided()
        reached = await choose_addresses(connection, decided, self._rules, self._sms_budget, round_, invited, now)
        await to_messages(connection, decided, self._rules, round_, reached, now)
        await write(connection, self._outbox, decided, now)


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


def _first(round_: Round) -> tuple[bool, bool]:
    """What is urgent is addressed first, then what is exempt: the budget that is left is for the others."""
    return not is_urgent(round_), not is_exempt(round_, ())
