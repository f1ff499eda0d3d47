"""A notifier without Kafka, on one ledger: events go straight to its handlers, and what it sends and says is kept."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import select

from schemas.company import COMPANY_CHANGED, Company
from schemas.company import EXAMPLE as COMPANY
from schemas.contact import CONTACT_CHANGED, Contact
from schemas.contact import EXAMPLE as CONTACT
from schemas.delivery import Delivery
from schemas.identity import contact_id, derived, invitation_id
from schemas.invitation import EXAMPLE as INVITATION
from schemas.invitation import INVITATION_CHANGED, Invitation
from schemas.response import EXAMPLE as RESPONSE
from schemas.response import RESPONSE_RECORDED, Response
from schemas.round import EXAMPLE as ROUND
from schemas.round import ROUND_CHANGED, Round
from schemas.suppression import SUPPRESSION_CHANGED, Suppression
from schemas.types import Event
from services.notifier.addressing import Addressing
from services.notifier.admission import Admission
from services.notifier.app import sender_for
from services.notifier.channels.memory import MemoryChannel
from services.notifier.channels.port import Channel, Outcome
from services.notifier.channels.port import Outgoing as Sent
from services.notifier.composing import Asked, DigestItem, Draft
from services.notifier.feeders import AnswerFeed, CompanyFeed, ContactFeed, RoundFeed, SubscriptionFeed
from services.notifier.ledger.events import Outbox, Topics
from services.notifier.ledger.tables import INVITATIONS, MESSAGES, POSITIONS
from services.notifier.notices import Notices
from services.notifier.outcomes.return_path import ReturnPaths
from services.notifier.policy.timing import Rules
from services.notifier.refusal_stop import RefusalStop
from services.notifier.reminding import Reminding
from services.notifier.sender import Sender, SenderOptions
from services.notifier.sms_budget import SmsBudget
from services.notifier.stops import SuppressionFeed
from services.runtime.clock import ManualClock
from services.runtime.errors import Rejected, Transient
from services.runtime.parsing import outgoing
from services.runtime.records import Outgoing, Record
from services.runtime.sealing import Opener, Seal, Vault, key_pair, new_key
from services.runtime.store.database import Database
from services.runtime.store.feeding import Feed, Feeder
from tests.transitions import unstated, watch
from tests.unbounded import BURDEN

MONDAY = datetime.fromisoformat("2025-11-10T10:00:00+01:00")
PRIVATE, PUBLIC = key_pair()
VAULT, INDEX = new_key(), new_key()
ROUND_ID = str(ROUND["round_id"])
UNBOUNDED = Rules(BURDEN, "working_hours")


class Kept:
    """A publisher that keeps, or fails when told to."""

    def __init__(self) -> None:
        self.records: list[Outgoing] = []
        self.down = False

    async def publish(self, records: Sequence[Outgoing]) -> None:
        if self.down:
            raise Transient("no broker")
        self.records += records


class Still:
    """Tables that are caught up; `then` happens at the next look but one, once."""

    def __init__(self) -> None:
        self.looks = 0
        self.at: dict[int, Any] = {}

    async def caught_up(self) -> None:
        self.looks += 1
        if (happens := self.at.pop(self.looks, None)) is not None:
            await happens()


class Plain:
    """Composes the invitations' ids, and the moment, so that composing twice shows."""

    def __init__(self, version: str = "plain") -> None:
        self.version = version

    def compose(
        self, draft: Draft, round_: Round, invitations: Sequence[Invitation], companies: Mapping[str, Company]
    ) -> bytes:
        ids = [invitation.invitation_id for invitation in invitations]
        places = [place.workplace_id for invitation in invitations for place in invitation.workplaces]
        told_at = draft.told_at.astimezone(MONDAY.tzinfo).isoformat() if draft.told_at else None
        made: dict[str, object] = {"ids": ids, "at": draft.at.isoformat(), "places": places, "told_at": told_at}
        made |= {"title": round_.texts.title, "introduce": draft.introduce, "rehearsal": draft.rehearsal}
        return json.dumps(made).encode()

    def remind(
        self, draft: Draft, round_: Round, invitations: Sequence[Invitation], companies: Mapping[str, Company]
    ) -> bytes:
        made: dict[str, object] = json.loads(self.compose(draft, round_, invitations, companies))
        return json.dumps({**made, "reminds": True}).encode()

    def digest(self, draft: Draft, items: Sequence[DigestItem], more: int, companies: Mapping[str, Company]) -> bytes:
        made = [json.loads(self.compose(draft, item.round_, item.invitations, companies)) for item in items]
        return json.dumps({"items": made, "more": more, "gathered": draft.gathered}).encode()

    def notice(self, draft: Draft, asked: Asked) -> bytes:
        title = asked.round_.texts.title if asked.round_ else None
        made = {"kind": asked.kind, "path": asked.path, "about": asked.about_number, "title": title}
        return json.dumps({**made, "parameters": dict(asked.parameters)}).encode()


class House:
    """A notifier without Kafka: events go straight to its handlers."""

    receipt_key: bytes | None = None
    month_cap: Decimal | None = None

    def __init__(self, url: str, rules: Rules = UNBOUNDED) -> None:
        self.url = url
        self.rules = rules
        self.clock = ManualClock(MONDAY)
        self.published = Kept()
        self.tables = Still()
        self.email = MemoryChannel("email")
        self.sms = MemoryChannel("sms", can_be_asked=True)
        self.providers: Sequence[Channel] = (self.sms,)
        self.dead: list[Rejected] = []
        self.offset = 0
        self.database = Database(url)
        self.outbox = Outbox(self.database, self.published, Topics())
        feeds: dict[str, Feed] = {
            "rounds": RoundFeed(),
            "companies": CompanyFeed(),
            "contacts": ContactFeed(Opener({"k1": PRIVATE}), Vault(VAULT), INDEX, self.clock),
            "suppressions": SuppressionFeed(self.outbox, INDEX),
            "subscriptions": SubscriptionFeed(),
            "responses": AnswerFeed(),
        }
        self.feeder = Feeder(self.database, POSITIONS, feeds, self._dead_letter)
        self.admission = Admission(self.database, self.outbox, self.clock, self._dead_letter)
        self.notices = Notices(
            self.database, Opener({"k1": PRIVATE}), Vault(VAULT), INDEX, self.clock, self._dead_letter
        )
        self.sender = self.new_sender()

    def new_sender(
        self,
        database: Database | None = None,
        options: SenderOptions | None = None,
        return_paths: ReturnPaths | None = None,
        staff: frozenset[str] | None = None,
        refusals: RefusalStop | None = None,
        composer: Plain | None = None,
        vault: Vault | None = None,
    ) -> Sender:
        ledger = database or self.database
        outbox = self.outbox if database is None else Outbox(ledger, self.published, Topics())
        hold = timedelta(seconds=600)
        sms_budget = SmsBudget(self.month_cap)
        addressing = Addressing(ledger, outbox, self.rules, hold=hold, sms_budget=sms_budget)
        channels = (self.email, *self.providers)
        return sender_for(
            ledger,
            outbox,
            addressing,
            Reminding(ledger, self.rules),
            self.tables,
            channels,
            composer or Plain(),
            vault or Vault(VAULT),
            self.clock,
            options,
            index_key=INDEX,
            return_paths=return_paths,
            staff=staff,
            receipt_key=self.receipt_key,
            refusals=refusals,
            sms_budget=sms_budget,
        )

    async def _dead_letter(self, record: Record, error: Rejected) -> None:
        self.dead.append(error)

    def record(self, topic: str, key: str, event: Event | None, type: str) -> Record:
        self.offset += 1
        if event is None:
            return Record(topic, 0, self.offset, key.encode(), None, (), 0)
        made = outgoing(topic, key, event, type=type, id=f"e{self.offset}", source="/test", time=self.clock.now())
        headers = tuple((name, text.encode()) for name, text in made.headers.items())
        return Record(topic, 0, self.offset, key.encode(), made.value, headers, 0)

    async def round(self, **changes: Any) -> None:
        event = Round.model_validate({**ROUND, "counts": {"invitations": 1}, **changes})
        await self.feeder.apply([self.record("rounds", event.round_id, event, ROUND_CHANGED)])

    async def company(self, workplace: str, recipient: str, **changes: Any) -> None:
        given = {**COMPANY, "workplace_id": workplace, "recipient_id": recipient, **changes}
        await self.feeder.apply([self.record("companies", workplace, Company.model_validate(given), COMPANY_CHANGED)])

    async def contact(
        self,
        recipient: str,
        address: str,
        channel: str = "email",
        workplace: str | None = None,
        *,
        source: str = "register",
        role: str = "register",
    ) -> str:
        identity = contact_id(source, recipient, workplace, role, channel)
        sealed = Seal("k1", PUBLIC).seal(json.dumps({"address": address}).encode()).model_dump()
        given = {"contact_id": identity, "recipient_id": recipient, "workplace_id": workplace, "channel": channel}
        given |= {"source": source, "role": role}
        event = Contact.model_validate({**CONTACT, **given, "sealed": sealed})
        await self.feeder.apply([self.record("contacts", identity, event, CONTACT_CHANGED)])
        return identity

    async def invite(self, recipient: str, workplace: str, **changes: Any) -> str:
        identity = invitation_id(ROUND_ID, recipient)
        places: list[dict[str, Any]] = [{**INVITATION["workplaces"][0], "workplace_id": workplace}]  # type: ignore[index]
        given = {"invitation_id": identity, "recipient_id": recipient, "workplaces": places}
        event = Invitation.model_validate({**INVITATION, **given, **changes})
        await self.admission.handle([self.record("invitations", event.case_key, event, INVITATION_CHANGED)])
        return identity

    async def answer(self, invitation: str, **changes: Any) -> None:
        given = {"response_id": derived("response", invitation), "invitation_id": invitation, "round_id": ROUND_ID}
        event = Response.model_validate({**RESPONSE, **given, "at": self.clock.now(), **changes})
        await self.feeder.apply([self.record("responses", event.case_key, event, RESPONSE_RECORDED)])

    async def stop_all(self, **changes: Any) -> None:
        event = Suppression.model_validate(
            {"municipality": "0162", "suppression_id": "s1", "kind": "stop", "scope": "all", "at": MONDAY, **changes}
        )
        await self.feeder.apply([self.record("suppressions", event.suppression_id, event, SUPPRESSION_CHANGED)])

    def suppressions(self) -> list[Suppression]:
        """What was published for the address."""
        return [
            Suppression.model_validate_json(record.value or b"")
            for record in self.published.records
            if record.topic == "suppressions"
        ]

    async def reachable(self, recipient: str = "r1", address: str = "anna@exempel.test") -> str:
        """A company with a contact and an invitation."""
        await self.company(f"w-{recipient}", recipient)
        await self.contact(recipient, address)
        return await self.invite(recipient, f"w-{recipient}")

    def told(self) -> list[Delivery]:
        return [
            Delivery.model_validate_json(record.value or b"")
            for record in self.published.records
            if record.topic == "deliveries"
        ]

    def states(self) -> list[str]:
        return [event.state.value for event in self.told()]

    async def messages(self) -> Sequence[Any]:
        async with self.database.transaction() as connection:
            return (await connection.execute(select(MESSAGES).order_by(MESSAGES.c.created_at))).all()

    async def invitation_states(self) -> Counter[str]:
        async with self.database.transaction() as connection:
            return Counter((await connection.execute(select(INVITATIONS.c.state))).scalars())


@pytest.fixture
async def house(ledger_url: str) -> AsyncIterator[House]:
    made = House(ledger_url)
    watched = "sqlite" in ledger_url
    if watched:
        await watch(made.database)
    yield made
    assert not watched or await unstated(made.database) == set()
    await made.database.close()


class Announcing(MemoryChannel):
    """Says when it took the first message."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.took = asyncio.Event()

    async def send(self, message: Sent) -> Outcome:
        outcome = await super().send(message)
        self.took.set()
        return outcome


class Dies(BaseException):
    """The process is gone."""


def words(sent: Sent) -> list[str]:
    """The workplaces that the bytes were made of."""
    return list(json.loads(sent.body)["places"])


def places(*names: str) -> list[dict[str, Any]]:
    """These workplaces, as an invitation names them."""
    return [{**INVITATION["workplaces"][0], "workplace_id": name} for name in names]  # type: ignore[index]
