"""What an operator asks the ledger: which messages there are, and everything about one. No address is shown."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Row, Select, and_, exists, false, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.round import Round
from services.notifier.ledger import steps
from services.notifier.ledger.steps import Step
from services.notifier.ledger.tables import INVITATIONS, MESSAGE_INVITATIONS, MESSAGES, ROUNDS
from services.notifier.policy.field_words import OF_THE_ADDRESS, PASSES, PERMANENT, TECHNICAL, TEMPORARY, states, word
from services.runtime.errors import Rejected
from services.runtime.store.database import moment_of


@dataclass(frozen=True, slots=True)
class Listed:
    """A message, or an invitation that led to none."""

    message_id: str | None
    number: int | None
    invitation_id: str | None
    round_id: str
    kind: str | None
    channel: str | None
    state: str
    reason: str
    attempts: int
    since: datetime


@dataclass(frozen=True, slots=True)
class Filters:
    """Which are asked for; what is None does not narrow. `rounds` are those of a case."""

    rounds: Sequence[str] | None = None
    state: str | None = None
    channel: str | None = None
    limit: int = 50


@dataclass(frozen=True)
class Found:
    """A message or an invitation with its history."""

    messages: Sequence[Row[Any]]
    invitations: Sequence[Row[Any]]
    steps: Sequence[Step]


_UNLINKED: Final = ~exists().where(MESSAGE_INVITATIONS.c.invitation_id == INVITATIONS.c.invitation_id)
_FAILED_BY_WORD: Final = {
    TEMPORARY: MESSAGES.c.code.in_(PASSES),
    PERMANENT: MESSAGES.c.code.in_(OF_THE_ADDRESS),
    TECHNICAL: MESSAGES.c.code.not_in(PASSES | OF_THE_ADDRESS),
}


async def listed(connection: AsyncConnection, wanted: Filters) -> list[Listed]:
    """The newest first. A state is asked for by its word, or as the ledger has it."""
    found = [_of_message(row) for row in await connection.execute(_messages(wanted))]
    if wanted.channel is None:
        found += [_of_invitation(row) for row in await connection.execute(_without_message(wanted))]
    return sorted(found, key=lambda item: item.since, reverse=True)[: wanted.limit]


async def rounds_of(connection: AsyncConnection, case: str) -> list[Round]:
    """The rounds of a case, by its key or, where only one case has it, by its id. Raises `Rejected`."""
    rows = (await connection.execute(select(ROUNDS.c.body).order_by(ROUNDS.c.round_id))).scalars()
    rounds = [Round.model_validate_json(body, extra="ignore") for body in rows if case in body]
    found = [round_ for round_ in rounds if case in (round_.case_key, round_.case_id)]
    keys = sorted({round_.case_key for round_ in found})
    if not keys:
        raise Rejected("no_such_case", f"the ledger has no round of a case '{case}': see `nardialog case list`")
    if len(keys) > 1 and case not in keys:
        raise Rejected("ambiguous_case", f"several cases have the id '{case}': say one of {', '.join(keys)}")
    return found


async def find(connection: AsyncConnection, asked: str) -> Found:
    """By a message's id or number, or by an invitation's id. Raises `Rejected` where there is none."""
    by_number = [MESSAGES.c.number == int(asked)] if asked.isascii() and asked.isdigit() and int(asked) < 2**63 else []
    on = select(MESSAGE_INVITATIONS.c.message_id).where(MESSAGE_INVITATIONS.c.invitation_id == asked)
    wanted = or_(MESSAGES.c.message_id == asked, MESSAGES.c.message_id.in_(on), *by_number)
    in_order = select(MESSAGES).where(wanted).order_by(MESSAGES.c.created_at, MESSAGES.c.message_id)
    messages = (await connection.execute(in_order)).all()
    itself = select(INVITATIONS).where(INVITATIONS.c.invitation_id == asked)
    invitations = (await connection.execute(itself)).all() or await _carried(connection, messages)
    if not messages and not invitations:
        raise Rejected("no_such_message", f"no message or invitation is '{asked}': see `nardialog deliveries list`")
    about = [row.message_id for row in messages] + [row.invitation_id for row in invitations]
    return Found(messages, invitations, await steps.history(connection, about))


async def _carried(connection: AsyncConnection, messages: Sequence[Row[Any]]) -> Sequence[Row[Any]]:
    ids = [row.message_id for row in messages]
    on = select(MESSAGE_INVITATIONS.c.invitation_id).where(MESSAGE_INVITATIONS.c.message_id.in_(ids))
    carried = select(INVITATIONS).where(INVITATIONS.c.invitation_id.in_(on)).order_by(INVITATIONS.c.invitation_id)
    return (await connection.execute(carried)).all()


def _messages(wanted: Filters) -> Select[Any]:
    statement = select(MESSAGES).order_by(MESSAGES.c.created_at.desc(), MESSAGES.c.message_id).limit(wanted.limit)
    if wanted.rounds is not None:
        of_case = select(INVITATIONS.c.invitation_id).where(INVITATIONS.c.round_id.in_(wanted.rounds))
        carrying = select(MESSAGE_INVITATIONS.c.message_id).where(MESSAGE_INVITATIONS.c.invitation_id.in_(of_case))
        statement = statement.where(MESSAGES.c.message_id.in_(carrying))
    if wanted.channel is not None:
        statement = statement.where(MESSAGES.c.channel == wanted.channel)
    if wanted.state is None:
        return statement
    failed = and_(MESSAGES.c.state == "failed", _FAILED_BY_WORD.get(wanted.state, false()))
    return statement.where(or_(MESSAGES.c.state.in_(states(wanted.state)), failed))


def _without_message(wanted: Filters) -> Select[Any]:
    newest = INVITATIONS.c.admitted_at.desc()
    statement = select(INVITATIONS).where(_UNLINKED).order_by(newest, INVITATIONS.c.invitation_id).limit(wanted.limit)
    if wanted.rounds is not None:
        statement = statement.where(INVITATIONS.c.round_id.in_(wanted.rounds))
    if wanted.state is not None:
        statement = statement.where(INVITATIONS.c.state.in_(states(wanted.state)))
    return statement


def _of_message(row: Row[Any]) -> Listed:
    return Listed(
        message_id=row.message_id,
        number=row.number,
        invitation_id=None,
        round_id=row.round_id,
        kind=row.kind,
        channel=row.channel,
        state=word(row.state, row.code),
        reason=row.code,
        attempts=row.attempts,
        since=moment_of(row.created_at),
    )


def _of_invitation(row: Row[Any]) -> Listed:
    return Listed(
        message_id=None,
        number=None,
        invitation_id=row.invitation_id,
        round_id=row.round_id,
        kind=None,
        channel=None,
        state=word(row.state, ""),
        reason="",
        attempts=0,
        since=moment_of(row.admitted_at),
    )
