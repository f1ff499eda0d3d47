"""Facts that the sender needs, kept in the ledger: rounds, companies, contacts, answers, what subscribers wish;
suppressions in `stops`.

Addresses are opened and at once encrypted again with the ledger's own key. How a record takes effect once, and never
after a newer one: `services.runtime.store.feeding`.
"""

from collections.abc import Sequence
from typing import Final

from pydantic import ValidationError
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.company import COMPANY_CHANGED, IMPORT_COMPLETED, MARKER_PREFIX, Company, ImportCompleted
from schemas.contact import CONTACT_CHANGED, Address, Contact
from schemas.response import RESPONSE_RECORDED, Response
from schemas.round import ROUND_CHANGED, Round
from schemas.subscription import SUBSCRIPTION_CHANGED, Subscription
from schemas.types import Event
from services.notifier.ledger.tables import (
    ANSWERS,
    COMPANIES,
    CONTACTS,
    INVITATIONS,
    ROUNDS,
    SUBSCRIPTIONS,
    sortable,
)
from services.runtime.addresses import normal
from services.runtime.clock import Clock
from services.runtime.errors import Rejected
from services.runtime.parsing import parse
from services.runtime.records import Record
from services.runtime.sealing import Opener, Vault, blind_index
from services.runtime.store.database import micros
from services.runtime.store.feeding import Feed, Row, keyed_event, record_key

GROUP: Final = "notifier-tables"
"""Named in dead letters; table readers have no group of their own."""


class RoundFeed(Feed):
    """`rounds`: the newest record of each; one with a lower basis than what is known never takes its place."""

    table = ROUNDS

    def row(self, record: Record) -> Row | None:
        event: Round | None = keyed_event(record, {ROUND_CHANGED: Round}, "se.nardialog.round.", "round_id")
        if event is None:
            return None
        return {
            "round_id": event.round_id,
            "state": event.state.value,
            "basis": sortable(event.basis),
            "remind_at": micros(event.remind_at) if event.remind_at else None,
            "body": event.model_dump_json(),
        }


class CompanyFeed(Feed):
    """`companies`. Import markers are skipped: the notifier needs no complete imports."""

    table = COMPANIES

    def row(self, record: Record) -> Row | None:
        types: dict[str, type[Event]] = {COMPANY_CHANGED: Company, IMPORT_COMPLETED: ImportCompleted}
        if record_key(record).startswith(MARKER_PREFIX):
            parse(record, types, "se.nardialog.company.")  # one that cannot be read leaves an import incomplete
            return None
        event: Company | None = keyed_event(record, types, "se.nardialog.company.", "workplace_id")
        if event is None:
            return None
        return {
            "workplace_id": event.workplace_id,
            "recipient_id": event.recipient_id,
            "status": event.status,
            "body": event.model_dump_json(exclude_none=True),
        }


class ContactFeed(Feed):
    """`contacts`: opened, checked, encrypted, indexed. A contact that comes before expiry reopens *not reachable*.

    What is no contact with a sealed box may be an address in the clear: its dead letter keeps no value.
    """

    table = CONTACTS

    def __init__(self, opener: Opener, vault: Vault, index_key: bytes, clock: Clock) -> None:
        self._opener = opener
        self._vault = vault
        self._index_key = index_key
        self._clock = clock

    def row(self, record: Record) -> Row | None:
        types: dict[str, type[Event]] = {CONTACT_CHANGED: Contact}
        try:
            event: Contact | None = keyed_event(record, types, "se.nardialog.contact.", "contact_id")
        except Rejected as error:
            raise Rejected(error.reason, error.detail, error.pointer, drop_value=True) from None
        if event is None:
            return None
        try:
            inside = Address.model_validate_json(self._opener.open(event.sealed))
        except ValidationError:
            raise Rejected(
                "wrong_shape", "what is sealed is not an address; seal the Address schema", "/sealed"
            ) from None
        address, indexed = normal(event.channel, inside.address)
        return {
            "contact_id": event.contact_id,
            "recipient_id": event.recipient_id,
            "workplace_id": event.workplace_id,
            "channel": event.channel,
            "role": event.role,
            "language": event.language,
            "address_encrypted": self._vault.encrypt(address.encode()),
            "address_index": blind_index(self._index_key, event.channel, indexed),
        }

    async def applied(self, connection: AsyncConnection, rows: Sequence[Row]) -> None:
        recipients = sorted({row["recipient_id"] for row in rows})
        now = micros(self._clock.now())
        for start in range(0, len(recipients), 500):
            await connection.execute(
                update(INVITATIONS)
                .where(INVITATIONS.c.recipient_id.in_(recipients[start : start + 500]))
                .where(INVITATIONS.c.state == "not_reachable", INVITATIONS.c.expires_at > now)
                .values(state="admitted")
            )


class SubscriptionFeed(Feed):
    """`subscriptions`: how often each subscriber wants to hear. Who follows a case as it answered hears at once."""

    table = SUBSCRIPTIONS

    def row(self, record: Record) -> Row | None:
        types: dict[str, type[Event]] = {SUBSCRIPTION_CHANGED: Subscription}
        event: Subscription | None = keyed_event(record, types, "se.nardialog.subscription.", "subscription_id")
        if event is None:
            return None
        return {"subscription_id": event.subscription_id, "frequency": event.frequency}


class AnswerFeed(Feed):
    """`responses`: that an invitation was answered, in whatever way and with whatever words."""

    table = ANSWERS

    def row(self, record: Record) -> Row | None:
        parsed = parse(record, {RESPONSE_RECORDED: Response}, "se.nardialog.response.")
        if parsed is None:
            return None
        answer = parsed.event
        return {"invitation_id": answer.invitation_id, "round_id": answer.round_id, "at": micros(answer.at)}
