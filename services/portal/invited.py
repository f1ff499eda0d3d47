"""What a message carries: its invitations by round, with what the mail said and what was answered so far."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, TypeVar

from pydantic import BaseModel
from sqlalchemy import Row, Select, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.company import Company
from schemas.delivery import DeliveryState
from schemas.identity import invitation_id
from schemas.invitation import Invitation
from schemas.response import Response
from schemas.round import Round
from services.portal.came import what_came
from services.portal.standing import Verdict, standing
from services.portal.store.tables import (
    COMPANIES,
    DELIVERIES,
    INVITATIONS,
    MESSAGE_INVITATIONS,
    MESSAGES,
    RESPONSES,
    ROUNDS,
)
from services.rendering import asking
from services.rendering.why import Workplace
from services.runtime.store.database import moment_of

M = TypeVar("M", bound=BaseModel)
_PAGE = 500


@dataclass(frozen=True)
class Invited:
    """One invitation as its page shows it. `late`: it came after the message had left."""

    invitation: Invitation
    name: str
    verdict: Verdict
    late: bool
    answer: Response | None

    @property
    def id(self) -> str:
        """The invitation's id."""
        return self.invitation.invitation_id


@dataclass(frozen=True)
class Group:
    """The invitations of one round."""

    round: Round
    invited: tuple[Invited, ...]
    told_at: datetime | None = None
    """Of a change: when the message that it is about left."""
    came: Round | None = None
    """What came of it, once that has been told."""


@dataclass(frozen=True)
class Carried:
    """A message as the portal knows it."""

    number: int
    municipality: str
    channel: str
    groups: tuple[Group, ...]
    facts: Mapping[str, Workplace]
    chosen: bool = False
    """Whether one of its several rounds was chosen."""

    @property
    def invited(self) -> tuple[Invited, ...]:
        """All its invitations."""
        return tuple(invited for group in self.groups for invited in group.invited)

    def about(self, choice: str) -> "Carried":
        """The same with the one round whose id begins so; with all of them where none does, or more than one."""
        found = tuple(group for group in self.groups if group.round.round_id.startswith(choice))
        return replace(self, groups=found, chosen=len(self.groups) > 1) if choice and len(found) == 1 else self


async def carried(connection: AsyncConnection, number: int, now: datetime) -> Carried | None:
    """What a message carries, or None while it, or all that it names, has not been read yet."""
    message = (await connection.execute(select(MESSAGES).where(MESSAGES.c.number == str(number)))).one_or_none()
    if message is None:
        return None
    linked = select(MESSAGE_INVITATIONS.c.late, INVITATIONS.c.body).join(
        INVITATIONS, INVITATIONS.c.invitation_id == MESSAGE_INVITATIONS.c.invitation_id
    )
    found = await connection.execute(
        linked.where(MESSAGE_INVITATIONS.c.number == str(number)).order_by(INVITATIONS.c.invitation_id)
    )
    invitations = [(row.late, _read(Invitation, row.body)) for row in found]
    rounds = {
        row.round_id: _read(Round, row.body)
        for row in await _by(connection, select(ROUNDS), ROUNDS.c.round_id, (i.round_id for _, i in invitations))
    }
    if not any(invitation.round_id in rounds for _, invitation in invitations):
        return None
    facts = await facts_of(connection, [invitation for _, invitation in invitations])
    answers = await last_answers(connection, [invitation.invitation_id for _, invitation in invitations])
    groups: dict[str, list[Invited]] = {}
    for late, item in invitations:
        if (round_ := rounds.get(item.round_id)) is not None:
            verdict = standing(round_, item, now)
            shown = Invited(item, _name(item, facts), verdict, late, answers.get(item.invitation_id))
            groups.setdefault(item.round_id, []).append(shown)
    came = await what_came(connection, rounds.values())
    made = [
        Group(
            rounds[key],
            tuple(sorted(members, key=_order)),
            await _told_at(connection, rounds[key], members),
            came.get(key),
        )
        for key, members in groups.items()
    ]
    made.sort(key=lambda group: asking.order(group.round))
    return Carried(number, message.municipality, message.channel, tuple(made), facts)


async def _told_at(connection: AsyncConnection, round_: Round, members: Sequence[Invited]) -> datetime | None:
    """When the first message of the round that this one follows left for these recipients, as the notifier counts."""
    if round_.follows is None:
        return None
    earlier = {invitation_id(round_.follows, member.invitation.recipient_id) for member in members}
    numbers = select(MESSAGE_INVITATIONS.c.number).where(MESSAGE_INVITATIONS.c.invitation_id.in_(sorted(earlier)))
    composed = select(func.min(DELIVERIES.c.at)).where(
        DELIVERIES.c.message_number.in_(numbers), DELIVERIES.c.state == DeliveryState.COMPOSED.value
    )
    at = await connection.scalar(composed)
    return None if at is None else moment_of(at)


def _order(invited: Invited) -> tuple[bool, str, str]:
    return invited.late, invited.name.casefold(), invited.id


def _name(invitation: Invitation, facts: Mapping[str, Workplace]) -> str:
    """The recipient, by the first of its workplaces that the register names."""
    ids = sorted(place.workplace_id for place in invitation.workplaces)
    return next((facts[key].name for key in ids if key in facts and facts[key].name), "")


async def facts_of(connection: AsyncConnection, invitations: Sequence[Invitation]) -> dict[str, Workplace]:
    """What the register says of the invited workplaces."""
    ids = (place.workplace_id for invitation in invitations for place in invitation.workplaces)
    rows = await _by(connection, select(COMPANIES), COMPANIES.c.workplace_id, ids)
    companies = [_read(Company, row.body) for row in rows]
    return {
        company.workplace_id: Workplace(
            company.workplace_id, company.name, company.street, tuple(industry.code for industry in company.sni)
        )
        for company in companies
    }


async def last_answers(connection: AsyncConnection, invitation_ids: Sequence[str]) -> dict[str, Response]:
    """The answer that counts, of each invitation that has one."""
    ordered = select(RESPONSES).order_by(RESPONSES.c.sequence, RESPONSES.c.at)
    rows = await _by(connection, ordered, RESPONSES.c.invitation_id, invitation_ids)
    return {row.invitation_id: _read(Response, row.body) for row in rows}


async def _by(connection: AsyncConnection, statement: Select[Any], column: Any, keys: Iterable[str]) -> list[Row[Any]]:
    """Rows whose column is one of many keys: a database takes only so many at once."""
    rows: list[Row[Any]] = []
    wanted = sorted(set(keys))
    for start in range(0, len(wanted), _PAGE):
        rows += (await connection.execute(statement.where(column.in_(wanted[start : start + _PAGE])))).all()
    return rows


def _read(model: type[M], body: str) -> M:
    return model.model_validate_json(body, extra="ignore")
