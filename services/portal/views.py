"""What the portal shows, read from topics into its store: cases, rounds, invitations, companies, messages, stops.

A record that does not fit is another service's to put aside, the topic's first reader; here it is skipped and counted,
so that one fault is one dead letter. Only `deliveries`, which nobody else reads into a table, is put aside here.
Of a case that became confidential nothing is kept but that it is.
"""

import json
from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.applicant import is_person
from schemas.case import CASE_CHANGED, Case, may_be_confidential
from schemas.company import COMPANY_CHANGED, IMPORT_COMPLETED, MARKER_PREFIX, Company, ImportCompleted
from schemas.delivery import DELIVERY_RECORDED, Delivery, DeliveryState
from schemas.dialogue import DIALOGUE_CHANGED, Dialogue
from schemas.invitation import INVITATION_CHANGED, Invitation
from schemas.response import RESPONSE_RECORDED, Response
from schemas.round import ROUND_CHANGED, Round
from schemas.subscription import CASE_FOLLOWED, SUBSCRIPTION_CHANGED, Following, Subscription
from schemas.suppression import SUPPRESSION_CHANGED, Suppression
from schemas.types import Event
from services.portal.store.tables import (
    CASES,
    COMPANIES,
    DELIVERIES,
    DIALOGUES,
    INVITATIONS,
    MESSAGE_INVITATIONS,
    MESSAGES,
    OUTCOMES,
    RESPONSES,
    ROUNDS,
    SUBSCRIPTIONS,
    SUPPRESSIONS,
)
from services.runtime.parsing import parse
from services.runtime.records import Record
from services.runtime.store.database import micros, upsert
from services.runtime.store.feeding import NEWER, Feed, Row, keyed_event, record_key

GROUP: Final = "portal-tables"
"""Named in dead letters; table readers have no group of their own."""
CONFIDENTIAL: Final = "confidential"
"""State of a case of which nothing is kept."""
_LAST: Final = 2**62
"""Version of a confidential case that does not say its own: nothing older is shown again."""


class CaseFeed(Feed):
    """`cases`: the newest version of each."""

    table = CASES

    def row(self, record: Record) -> Row | None:
        if may_be_confidential(record.value or b""):
            return _hidden(record)
        event: Case | None = keyed_event(record, {CASE_CHANGED: Case}, "se.nardialog.case.", "key")
        if event is None:
            return None
        return {
            "case_key": event.key,
            "version": event.version,
            "municipality": event.municipality,
            "source": event.source,
            "case_id": event.case_id,
            "diary_number": event.diary_number,
            "state": event.state.value,
            "body": event.model_dump_json(exclude_none=True, exclude={"applicant"} if is_person(event) else None),
        }


def _hidden(record: Record) -> Row:
    try:
        said = json.loads(record.value or b"")
        version = said["version"] if isinstance(said["version"], int) and 0 < said["version"] < _LAST else _LAST
    except (ValueError, KeyError, TypeError, RecursionError):
        version = _LAST
    return {
        "case_key": record_key(record)[:210],
        "version": version,
        "municipality": "",
        "source": "",
        "case_id": "",
        "diary_number": "",
        "state": CONFIDENTIAL,
        "body": "{}",
    }


class RoundFeed(Feed):
    """`rounds`: the newest record of each; its one owner in the matcher orders them by basis."""

    table = ROUNDS

    def row(self, record: Record) -> Row | None:
        event: Round | None = keyed_event(record, {ROUND_CHANGED: Round}, "se.nardialog.round.", "round_id")
        if event is None:
            return None
        return {
            "round_id": event.round_id,
            "case_key": event.case_key,
            "state": event.state.value,
            "purpose": event.purpose.value,
            "body": event.model_dump_json(exclude_none=True),
        }


class DialogueFeed(Feed):
    """`dialogues`: the newest of each, which holds all decisions before it."""

    table = DIALOGUES

    def row(self, record: Record) -> Row | None:
        event: Dialogue | None = keyed_event(record, {DIALOGUE_CHANGED: Dialogue}, "se.nardialog.dialogue.", "key")
        if event is None:
            return None
        return {"case_key": event.key, "number": event.number, "body": event.model_dump_json(exclude_none=True)}


class InvitationFeed(Feed):
    """`invitations`: the highest revision of each."""

    table = INVITATIONS

    def row(self, record: Record) -> Row | None:
        event = _event(record, INVITATION_CHANGED, Invitation)
        if event is None:
            return None
        return {
            "invitation_id": event.invitation_id,
            "revision": event.revision,
            "state": event.state.value,
            "round_id": event.round_id,
            "recipient_id": event.recipient_id,
            "body": event.model_dump_json(exclude_none=True),
        }


class CompanyFeed(Feed):
    """`companies`: public register facts. Import markers are skipped."""

    table = COMPANIES

    def row(self, record: Record) -> Row | None:
        if record_key(record).startswith(MARKER_PREFIX):
            return None
        types: dict[str, type[Event]] = {COMPANY_CHANGED: Company, IMPORT_COMPLETED: ImportCompleted}
        event: Company | None = keyed_event(record, types, "se.nardialog.company.", "workplace_id")
        if event is None:
            return None
        return {
            "workplace_id": event.workplace_id,
            "recipient_id": event.recipient_id,
            "municipality": event.municipality,
            "status": event.status,
            "name": event.name,
            "body": event.model_dump_json(exclude_none=True),
        }


class DeliveryFeed(Feed):
    """`deliveries`: which invitations each message carries, and what became of each invitation."""

    table = DELIVERIES

    def row(self, record: Record) -> Row | None:
        event = _event(record, DELIVERY_RECORDED, Delivery)
        if event is None:
            return None
        number = None if event.message_number is None else str(event.message_number)
        return {
            "delivery_id": event.delivery_id,
            "message_number": number,
            "state": event.state.value,
            "at": micros(event.at),
            "event": event,
        }

    async def applied(self, connection: AsyncConnection, rows: Sequence[Row]) -> None:
        events: list[Delivery] = [row["event"] for row in rows]
        await upsert(connection, MESSAGES, _latest(_messages(events), "number"))
        await upsert(connection, MESSAGE_INVITATIONS, _carried(events), keep=True)
        outcomes = sorted(_outcomes(events), key=lambda row: row["at"])
        await upsert(connection, OUTCOMES, _latest(outcomes, "invitation_id"), newer=OUTCOMES.info[NEWER])


def _messages(events: Sequence[Delivery]) -> list[Row]:
    return [
        {
            "number": str(event.message_number),
            "message_id": event.message_id or "",
            "municipality": event.municipality,
            "channel": event.channel or "email",
            "kind": event.kind,
        }
        for event in events
        if event.message_number is not None
    ]


def _carried(events: Sequence[Delivery]) -> list[Row]:
    pairs: dict[tuple[str, str], bool] = {}
    for event in events:
        for invitation in event.invitation_ids if event.message_number is not None else ():
            pairs.setdefault((str(event.message_number), invitation), event.state is DeliveryState.MERGED)
    return [{"number": number, "invitation_id": item, "late": late} for (number, item), late in pairs.items()]


def _outcomes(events: Sequence[Delivery]) -> list[Row]:
    """A message carries invitations of one round, or, a digest, of several: then the round is left out. What became of
    a reminder changes nothing in that the invitation was sent.
    """
    return [
        {
            "invitation_id": invitation,
            "round_id": event.round_ids[0] if len(event.round_ids) == 1 else "",
            "state": event.state.value,
            "at": micros(event.at),
        }
        for event in events
        for invitation in event.invitation_ids
        if event.kind != "reminder"
    ]


def _latest(rows: Sequence[Row], key: str) -> list[Row]:
    """One row of each key, the last: a statement may not change a row twice."""
    return list({row[key]: row for row in rows}.values())


class SuppressionFeed(Feed):
    """`suppressions`: what is stopped, shown where it was stopped."""

    table = SUPPRESSIONS

    def row(self, record: Record) -> Row | None:
        types: dict[str, type[Event]] = {SUPPRESSION_CHANGED: Suppression}
        event: Suppression | None = keyed_event(record, types, "se.nardialog.suppression.", "suppression_id")
        if event is None:
            return None
        return {
            "suppression_id": event.suppression_id,
            "kind": event.kind,
            "scope": event.scope,
            "municipality": event.municipality,
            "message_number": None if event.message_number is None else str(event.message_number),
            "round_id": event.round_id,
            "case_key": event.case_key,
            "case_type": event.case_type,
            "lifted": event.lifted,
        }


class ResponseFeed(Feed):
    """`responses`: answers that another way brought in, and our own, should the store have been lost."""

    table = RESPONSES

    def row(self, record: Record) -> Row | None:
        event = _event(record, RESPONSE_RECORDED, Response)
        return None if event is None else response_row(event)


class SubscriptionFeed(Feed):
    """`subscriptions`: what each subscriber follows, for its own list, and who follows a case."""

    table = SUBSCRIPTIONS

    def row(self, record: Record) -> Row | None:
        types: dict[str, type[Event]] = {SUBSCRIPTION_CHANGED: Subscription, CASE_FOLLOWED: Following}
        event: Subscription | Following | None = keyed_event(
            record, types, "se.nardialog.subscription.", "subscription_id"
        )
        if event is None:
            return None
        return {
            "subscription_id": event.subscription_id,
            "recipient_id": event.recipient_id,
            "body": event.model_dump_json(exclude_none=True),
            "case_key": event.case_key if isinstance(event, Following) else None,
        }


def response_row(event: Response) -> Row:
    """An answer as it is stored."""
    return {
        "response_id": event.response_id,
        "invitation_id": event.invitation_id,
        "round_id": event.round_id,
        "message_number": None if event.message_number is None else str(event.message_number),
        "answer": event.answer,
        "sequence": event.sequence,
        "reference": event.reference,
        "at": micros(event.at),
        "body": event.model_dump_json(exclude_none=True),
    }


def _event(record: Record, kind: str, model: type[Event]) -> Any:
    """The event of a topic whose key is wider than the event."""
    parsed = parse(record, {kind: model}, kind.rsplit(".", 2)[0] + ".")
    return None if parsed is None else parsed.event


PUT_ASIDE: Final = frozenset({"deliveries"})
"""Topics whose bad records become dead letters here."""
