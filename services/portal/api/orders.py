"""The route `POST /orders`: what officials decide about a case's rounds, said by the system that they work in.

As for cases, refusals come before the work that they save: who calls, what is sent, what is wrong with it, whether the
key has such a case, and last what stands against the order as things are (409). Nobody is asked here as at a terminal:
a release names the set that was shown instead, and a set that has changed since is looked at again.
"""

import asyncio
from collections.abc import Sequence
from typing import Annotated, Final, Literal

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, Field, ValidationError
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.complaints import Complaint, of_shape
from schemas.dialogue import RELEASE, Dialogue
from schemas.round import Outcome, Round
from schemas.types import CaseKey, Hash, Key, Line, OurId, Text, Value
from services.portal.api import bodies
from services.portal.api.callers import caller, portal_of
from services.portal.api.problems import problem
from services.portal.api.repeats import IdempotencyKey, Receipt, Repeatable, Repeats
from services.portal.api.routes import ON_ACCEPTED, problems
from services.portal.api.standing import standing_of
from services.portal.api.taking import take
from services.portal.api_keys import ApiKey, Scope
from services.portal.case_orders import stands
from services.portal.orders import Matter, Order, Prepared, Refused, prepared
from services.portal.portal import Portal
from services.portal.store.tables import DIALOGUES, ROUNDS

MOST_BYTES: Final = 200_000
"""An order is a few texts."""
EXAMPLE: Final = {"order": "remind", "case": "0162/exempel/EX-2", "by": "näringslivskontoret"}
BODY: Final = {
    "requestBody": {
        "description": "One order.",
        "required": True,
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Ordering"}, "example": EXAMPLE}},
    }
}

router = APIRouter(prefix="/orders", tags=["orders"])


class Ordering(Value):
    """What is ordered about a case's round."""

    order: Literal["release", "undo", "remind", "feedback", "correct", "add", "remove", "unlist"]
    """Send what is held; hold it back again; remind those who have not answered; tell what came of it; tell what was
    wrong; invite workplaces whatever the rings say, or not, or leave them to the rings again.
    """
    case: CaseKey
    """municipality/source/case id, or an id that is your only."""
    by: Annotated[Line, Field(min_length=1)]
    """Who decides: a role or function, not a person."""
    round: OurId | None = None
    """The round, where the case has several that may be meant."""
    reason: Line = ""
    set_hash: Hash | None = None
    """Of a release, which needs it: the set that was shown, as the case's status gives it."""
    workplaces: Annotated[list[Key], Field(max_length=500)] = []
    """Of add, remove and unlist: ids in the register."""
    outcome: Outcome | None = None
    """Of feedback: what businesses said, what is taken with it, what could not be met and why."""
    text: Text = ""
    """Of correct: what was wrong, and what is right."""
    text_en: Text = ""


class Ordered(BaseModel):
    """The broker has the decision."""

    case: str = Field(description="The case's key: municipality/source/case id.")
    decision: int = Field(description="Its number among the decisions on the case.")
    event_id: str = Field(description="The id of its event on the topic `dialogues`.")
    status_url: str = Field(description="Where the case's status is.")


def _orders_of(request: Request) -> "Orders":
    found: Orders = request.app.state.orders
    return found


@router.post(
    "",
    status_code=202,
    responses={
        202: {"description": "The broker has acknowledged it.", "headers": ON_ACCEPTED},
        **problems(400, 401, 403, 404, 409, 413, 415, 422, 503),
    },
    openapi_extra=BODY,
)
async def order(
    request: Request,
    response: Response,
    portal: Annotated[Portal, Depends(portal_of)],
    orders: Annotated["Orders", Depends(_orders_of)],
    key: Annotated[ApiKey, Depends(caller(Scope.DECIDE))],
    idempotency_key: IdempotencyKey = None,
) -> Ordered:
    """Release, undo, remind, feed back, correct, or list workplaces. Without an Idempotency-Key twice is two orders."""
    taken = await take(
        request,
        response,
        portal,
        key,
        idempotency_key,
        most_bytes=MOST_BYTES,
        read=_read,
        carry_out=lambda wanted, again: orders.carry_out(wanted, key, again),
    )
    receipt = taken.receipt
    return Ordered(
        case=receipt.case_key, decision=receipt.version, event_id=receipt.event_id, status_url=taken.status_url
    )


def _read(body: bytes) -> Ordering:
    """Raises a problem: 400, 422."""
    bodies.decoded(body)
    try:
        return Ordering.model_validate_json(body)
    except ValidationError as error:
        raise _invalid(of_shape(error, body)) from None


def _invalid(faults: Sequence[Complaint]) -> Exception:
    return problem(
        422, "invalid-order", "The order breaks rules", f"{len(faults)} fault(s): correct them and send it again.",
        faults=faults,
    )  # fmt: skip


class Orders:
    """Carries orders out, one at a time: a decision's number is the next on its case."""

    def __init__(self, portal: Portal) -> None:
        self._portal = portal
        self._repeats = Repeats(portal)
        self._one_at_a_time = asyncio.Lock()

    async def carry_out(self, wanted: Ordering, key: ApiKey, again: Repeatable | None) -> Receipt:
        """Returns when the broker has the decision, and it stands. Raises a problem (404, 409, 422), or `Transient`."""
        async with self._one_at_a_time:
            await self._portal.caught_up()
            made = self._prepared(wanted, await self._matter(wanted.case, key))
            for group in made.steps:
                await self._portal.publish(group)
            await self._portal.caught_up()
            receipt = Receipt(made.decided.key, made.decided.number, made.steps[-1][-1].headers["ce_id"])
            async with self._portal.database.transaction() as connection:
                if not stands(made.decided, await _decisions(connection, made.decided.key)):
                    raise _refusal("decided-at-once", "Somebody decided on it at the same moment: look again.")
                await self._repeats.keep(connection, again, receipt)
        return receipt

    async def _matter(self, asked: str, key: ApiKey) -> Matter:
        async with self._portal.database.transaction() as connection:
            found = await standing_of(connection, asked, key)
            if found is None:
                raise problem(
                    404, "no-such-case", "No such case", "Name municipality/source/case id of a case that was sent."
                )
            rows = await connection.execute(select(ROUNDS.c.body).where(ROUNDS.c.case_key == found.case))
            rounds = [Round.model_validate_json(row.body, extra="ignore") for row in rows]
            return Matter(found.case, rounds, await _decisions(connection, found.case), found.version)

    def _prepared(self, wanted: Ordering, about: Matter) -> Prepared:
        if wanted.order == RELEASE and wanted.set_hash is None:
            raise _invalid([Complaint("no_set", "a release names the set that was shown; add set_hash", "/set_hash")])
        ordered = Order(
            wanted.order, wanted.by, wanted.round, wanted.reason, wanted.set_hash, tuple(wanted.workplaces),
            wanted.outcome, wanted.text, wanted.text_en,
        )  # fmt: skip
        try:
            return prepared(ordered, about, self._portal.settings.kafka, self._portal.clock.now())
        except Refused as refused:
            if refused.words:
                raise _invalid([Complaint(refused.code, str(refused))]) from None
            raise _refusal(refused.code.replace("_", "-"), str(refused)) from None


async def _decisions(connection: AsyncConnection, case_key: str) -> Dialogue | None:
    row = (await connection.execute(select(DIALOGUES.c.body).where(DIALOGUES.c.case_key == case_key))).first()
    return Dialogue.model_validate_json(row.body, extra="ignore") if row else None


def _refusal(kind: str, detail: str) -> Exception:
    return problem(409, kind, "Not as things are", detail)
