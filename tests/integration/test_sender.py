"""Sending from the ledger, on both databases: once to each address, never to whom it must not, and told in the end."""

import asyncio
import base64
import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from schemas.company import COMPANY_CHANGED, Company
from schemas.company import EXAMPLE as COMPANY
from schemas.contact import CONTACT_CHANGED, Contact
from schemas.contact import EXAMPLE as CONTACT
from schemas.delivery import Delivery, DeliveryState
from schemas.identity import contact_id, derived, invitation_id
from schemas.invitation import EXAMPLE as INVITATION
from schemas.invitation import INVITATION_CHANGED, Invitation
from schemas.response import EXAMPLE as RESPONSE
from schemas.response import RESPONSE_RECORDED, Response
from schemas.round import EXAMPLE as ROUND
from schemas.round import ROUND_CHANGED, Round
from schemas.suppression import SUPPRESSION_CHANGED, Suppression
from schemas.topics import ALL_TOPICS
from schemas.types import Event
from services.notifier.addressing import Addressing
from services.notifier.admission import Admission
from services.notifier.app import build, sender_for
from services.notifier.channels.memory import MemoryChannel
from services.notifier.channels.port import Channel, Outcome, State
from services.notifier.channels.port import Outgoing as Sent
from services.notifier.composing import Asked, DigestItem, Draft
from services.notifier.feeders import AnswerFeed, CompanyFeed, ContactFeed, RoundFeed, SubscriptionFeed
from services.notifier.ledger import pauses
from services.notifier.ledger.events import Outbox, Topics
from services.notifier.ledger.tables import INVITATIONS, MESSAGES, MIGRATIONS, POSITIONS
from services.notifier.notices import Notices
from services.notifier.outcomes.return_path import ReturnPaths
from services.notifier.policy.timing import Rules
from services.notifier.refusal_stop import RefusalStop
from services.notifier.reminding import Reminding
from services.notifier.sender import Sender, SenderOptions
from services.notifier.settings import NotifierOptions, NotifierSettings
from services.notifier.sms_budget import SmsBudget
from services.notifier.stops import SuppressionFeed
from services.runtime.clock import ManualClock, SystemClock
from services.runtime.errors import Rejected, Transient
from services.runtime.installation import ModelSettings
from services.runtime.local_kafka import LocalKafka
from services.runtime.parsing import outgoing
from services.runtime.records import Outgoing, Record
from services.runtime.sealing import Opener, Seal, Vault, key_pair, new_key
from services.runtime.settings import HealthSettings, KafkaSettings
from services.runtime.store.database import Database, migrate
from services.runtime.store.feeding import Feed, Feeder
from services.runtime.topic_admin import TopicAdmin
from tests.returned_mails import report
from tests.transitions import unstated, watch
from tests.unbounded import BURDEN, model_file

pytestmark = pytest.mark.anyio

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


async def test_one_message_carries_all_invitations_that_lead_to_an_address(house: House) -> None:
    await house.round(counts={"invitations": 2})
    one = await house.reachable("r1", "Anna@Exempel.test")
    two = await house.reachable("r2", "anna@exempel.test")
    await house.sender.turn()
    [sent] = house.email.accepted
    assert set(json.loads(sent.body)["ids"]) == {one, two}
    assert house.states() == ["composed", "sent"]
    assert set(house.told()[-1].invitation_ids) == {one, two}


async def test_each_mail_has_a_return_path_that_leads_back_to_it(house: House) -> None:
    paths = ReturnPaths("studs@kommun.example", [INDEX])
    house.sender = house.new_sender(return_paths=paths)
    await house.round()
    await house.reachable()
    await house.sender.turn()
    [message] = await house.messages()
    assert [paths.number_in(sent.return_path) for sent in house.email.accepted] == [message.number]


async def test_nothing_is_addressed_before_all_of_the_round_is_admitted_or_the_grace_is_over(house: House) -> None:
    await house.round(counts={"invitations": 2}, opened_at=MONDAY - timedelta(seconds=600))
    await house.reachable()
    await house.sender.turn()
    assert not house.email.accepted
    house.clock.moment += timedelta(seconds=61)
    await house.sender.turn()
    assert len(house.email.accepted) == 1


async def test_those_that_were_revoked_are_not_counted_among_those_that_are_waited_for(house: House) -> None:
    await house.round(opened_at=MONDAY - timedelta(seconds=600), counts={"invitations": 2})
    await house.reachable("r0", "bo@exempel.test")
    await house.invite("r0", "w-r0", revision=2, state="revoked")
    one = await house.reachable("r1")
    await house.sender.turn()
    assert not house.email.accepted
    two = await house.reachable("r2")
    await house.sender.turn()
    assert set(json.loads(house.email.accepted[0].body)["ids"]) == {one, two}


async def test_nothing_leaves_in_the_hold(house: House) -> None:
    await house.round(opened_at=MONDAY)
    await house.reachable()
    await house.sender.turn()
    assert not house.email.accepted
    house.clock.moment += timedelta(seconds=600)
    await house.sender.turn()
    assert len(house.email.accepted) == 1


async def test_an_invitation_that_comes_after_its_address_was_written_to_is_merged(house: House) -> None:
    await house.round()
    await house.reachable("r1")
    await house.sender.turn()
    late = await house.reachable("r2")
    await house.sender.turn()
    assert len(house.email.accepted) == 1
    assert house.told()[-1].state is DeliveryState.MERGED
    assert house.told()[-1].invitation_ids == [late]


async def test_a_replay_sends_nothing_again(house: House) -> None:
    await house.round()
    await house.reachable()
    await house.sender.turn()
    await house.invite("r1", "w-r1")
    await house.sender.turn()
    assert len(house.email.accepted) == 1
    assert house.states() == ["composed", "sent"]


async def test_a_stop_made_at_a_page_stops_the_next_message_to_that_address(house: House) -> None:
    await house.round()
    await house.reachable()
    await house.sender.turn()
    [message] = await house.messages()
    await house.stop_all(message_number=message.number)
    await house.round(round_id="second")
    await house.invite("r1", "w-r1", round_id="second", invitation_id="i2")
    await house.sender.turn()
    assert len(house.email.accepted) == 1
    assert house.told()[-1].state is DeliveryState.SUPPRESSED
    assert house.told()[-1].invitation_ids == ["i2"]


async def written_to(house: House) -> int:
    """The number of a message that left."""
    await house.round()
    await house.reachable()
    await house.sender.turn()
    [message] = await house.messages()
    return int(message.number)


async def is_stopped(house: House, round_id: str = "second", **changes: Any) -> bool:
    """Whether the next round's message to that address is suppressed."""
    before = len(house.email.accepted)
    await house.round(round_id=round_id, **changes)
    await house.invite("r1", "w-r1", round_id=round_id, invitation_id=f"i-{round_id}")
    await house.sender.turn()
    assert len(house.email.accepted) - before == (house.told()[-1].state is not DeliveryState.SUPPRESSED)
    return house.told()[-1].state is DeliveryState.SUPPRESSED


async def test_a_stop_made_at_a_page_is_said_again_by_address_so_that_a_new_ledger_meets_it(
    house: House, tmp_path: Path
) -> None:
    await house.stop_all(message_number=await written_to(house))
    await house.sender.turn()
    [said] = house.suppressions()
    assert (said.scope, said.message_number, said.lifted) == ("all", None, False)
    assert said.suppression_id != "s1"
    other = House(f"sqlite+aiosqlite:///{tmp_path}/restored.db")
    await migrate(other.database, MIGRATIONS)
    await other.stop_all(**said.model_dump(exclude_none=True))
    await other.company("w-r1", "r1")
    await other.contact("r1", "Anna@exempel.test", workplace="w-r1")
    assert await is_stopped(other)
    await other.database.close()


async def test_undoing_a_stop_at_its_page_lifts_what_was_said_by_address(house: House) -> None:
    number = await written_to(house)
    later = MONDAY + timedelta(minutes=1)
    await house.stop_all(message_number=number)
    await house.stop_all(message_number=number, lifted=True, at=later)
    await house.sender.turn()
    assert [said.lifted for said in house.suppressions()] == [False, True]
    assert len({said.suppression_id for said in house.suppressions()}) == 1
    for said in house.suppressions():
        await house.stop_all(**said.model_dump(exclude_none=True))
    assert not await is_stopped(house)


async def test_a_stop_at_another_message_to_the_address_stays_when_one_is_undone(house: House) -> None:
    first = await written_to(house)
    assert not await is_stopped(house)
    [second] = [message.number for message in await house.messages() if message.number != first]
    await house.stop_all(message_number=first)
    await house.stop_all(message_number=second, suppression_id="s2")
    await house.stop_all(message_number=first, lifted=True, at=MONDAY + timedelta(minutes=1))
    await house.sender.turn()
    assert [said.lifted for said in house.suppressions()] == [False, False, False]
    assert await is_stopped(house, "third")
    await house.stop_all(message_number=second, suppression_id="s2", lifted=True, at=MONDAY + timedelta(minutes=2))
    await house.sender.turn()
    assert [said.lifted for said in house.suppressions()][-1]
    assert not await is_stopped(house, "fourth")


async def test_stops_of_two_kinds_at_one_address_do_not_take_each_others_place(house: House) -> None:
    number = await written_to(house)
    await house.stop_all(message_number=number, scope="kind", case_type="gatuarbete")
    await house.stop_all(message_number=number, scope="kind", case_type="detaljplan", suppression_id="s2")
    undone = {"scope": "kind", "case_type": "gatuarbete", "lifted": True, "at": MONDAY + timedelta(minutes=1)}
    await house.stop_all(message_number=number, **undone)
    assert not await is_stopped(house)
    assert await is_stopped(house, "third", case_type="detaljplan")


async def test_a_stop_that_no_database_can_hold_is_a_dead_letter_and_delays_none_behind_it(house: House) -> None:
    await house.stop_all(message_number=2**63)
    assert [error.reason for error in house.dead] == ["no_such_message"]
    await house.stop_all(message_number=await written_to(house))
    assert await is_stopped(house)


async def test_undoing_a_stop_does_not_wake_a_dead_address(house: House) -> None:
    await house.round()
    await house.reachable()
    house.email.will(Outcome(State.FAILED, "no_such_address", "550 5.1.1", suppress=True))
    await house.sender.turn()
    [bounce] = house.suppressions()
    await house.stop_all(**bounce.model_dump(exclude_none=True))
    [message] = await house.messages()
    await house.stop_all(message_number=message.number)
    await house.stop_all(message_number=message.number, lifted=True, at=MONDAY + timedelta(minutes=1))
    await house.round(round_id="again")
    await house.invite("r1", "w-r1", round_id="again", invitation_id="again")
    await house.sender.turn()
    assert not house.email.accepted
    assert (house.told()[-1].state, house.told()[-1].code) == (DeliveryState.NOT_REACHABLE, "dead_contact")


async def test_a_stop_between_composing_and_calling_is_obeyed(house: House) -> None:
    await house.round()
    await house.reachable()

    async def stop() -> None:
        [message] = await house.messages()
        assert message.state == "sending"
        await house.stop_all(message_number=message.number)

    house.tables.at[house.tables.looks + 3] = stop
    await house.sender.turn()
    assert not house.email.accepted
    assert house.states() == ["composed", "suppressed"]


async def test_an_undone_round_waits_and_goes_when_it_is_released_again(house: House) -> None:
    await house.round()
    await house.reachable()
    await house.stop_all(kind="undone", scope="round", round_id=ROUND_ID, basis=ROUND["basis"])
    await house.sender.turn()
    assert not house.email.accepted
    await house.stop_all(kind="undone", scope="round", round_id=ROUND_ID, basis=ROUND["basis"], lifted=True)
    await house.sender.turn()
    assert len(house.email.accepted) == 1


async def test_a_release_with_a_higher_basis_is_not_held_by_the_undo_before_it(house: House) -> None:
    await house.round()
    await house.reachable()
    await house.stop_all(kind="undone", scope="round", round_id=ROUND_ID, basis={"case_version": 1, "decision": 9})
    await house.sender.turn()
    assert not house.email.accepted
    await house.round(basis={"case_version": 1, "decision": 10})
    await house.sender.turn()
    assert len(house.email.accepted) == 1


async def test_a_round_released_before_the_undo_was_read_is_not_held_by_it(house: House) -> None:
    await house.round(basis={"case_version": 1, "decision": 2})
    await house.reachable()
    await house.stop_all(kind="undone", scope="round", round_id=ROUND_ID, basis={"case_version": 1, "decision": 1})
    await house.sender.turn()
    assert len(house.email.accepted) == 1


async def test_a_round_is_held_that_was_undone_while_its_message_was_composed(house: House) -> None:
    await house.round()
    await house.reachable()

    async def undo() -> None:
        await house.stop_all(kind="undone", scope="round", round_id=ROUND_ID, basis=ROUND["basis"])

    house.tables.at[house.tables.looks + 3] = undo
    await house.sender.turn()
    assert not house.email.accepted
    assert house.states() == ["composed"]
    assert [message.state for message in await house.messages()] == ["pending"]


async def test_an_undo_that_comes_late_does_not_take_the_place_of_its_lifting(house: House) -> None:
    held = {"kind": "undone", "scope": "round", "round_id": ROUND_ID, "basis": ROUND["basis"]}
    await house.round()
    await house.reachable()
    await house.stop_all(**held, lifted=True, at=MONDAY + timedelta(seconds=1))
    await house.stop_all(**held)
    await house.sender.turn()
    assert len(house.email.accepted) == 1


async def test_a_round_with_a_lower_basis_does_not_take_the_place_of_a_newer_one(house: House) -> None:
    await house.round(basis={"case_version": 2}, state="withdrawn")
    await house.round(basis={"case_version": 1}, state="open")
    await house.reachable()
    await house.sender.turn()
    assert not house.email.accepted
    assert house.states() == ["cancelled"]


async def test_a_withdrawn_round_cancels_what_waits(house: House) -> None:
    await house.round()
    house.clock.moment = datetime.fromisoformat("2025-11-15T12:00:00+01:00")  # a Saturday
    await house.reachable("r1")
    await house.sender.turn()
    await house.round(state="withdrawn")
    await house.reachable("r2", "bo@exempel.test")
    house.clock.moment += timedelta(days=2)
    await house.sender.turn()
    assert not house.email.accepted
    assert house.states() == ["cancelled", "cancelled"]


async def test_a_message_waits_for_working_hours(house: House) -> None:
    await house.round()
    house.clock.moment = datetime.fromisoformat("2025-11-14T18:00:00+01:00")
    await house.reachable()
    await house.sender.turn()
    assert not house.email.accepted
    house.clock.moment = datetime.fromisoformat("2025-11-17T07:00:00+01:00")
    await house.sender.turn()
    assert len(house.email.accepted) == 1


async def test_an_invitation_past_its_expiry_ends_as_expired(house: House) -> None:
    await house.round()
    await house.company("w-r1", "r1")
    await house.contact("r1", "anna@exempel.test")
    await house.invite("r1", "w-r1", expires_at=MONDAY - timedelta(seconds=1))
    await house.sender.turn()
    assert house.states() == ["expired"]


async def test_a_message_past_its_expiry_ends_as_expired(house: House) -> None:
    await house.round()
    await house.reachable()
    house.email.will(Outcome(State.RETRY, "greylisted"))
    await house.sender.turn()
    house.clock.moment = datetime.fromisoformat("2025-12-08T10:00:00+01:00")
    await house.sender.turn()
    assert not house.email.accepted
    assert house.states() == ["composed", "retry", "expired"]


async def test_nobody_to_reach_is_said_and_a_later_contact_reopens(house: House) -> None:
    await house.round()
    await house.company("w-r1", "r1")
    await house.invite("r1", "w-r1")
    await house.sender.turn()
    assert house.states() == ["not_reachable"]
    await house.contact("r1", "anna@exempel.test")
    await house.sender.turn()
    assert house.states() == ["not_reachable", "composed", "sent"]


async def test_the_role_that_the_round_is_for_gets_it_and_else_whoever_is_there(house: House) -> None:
    await house.round(plan={**ROUND["plan"], "contact_roles": ["transport"]}, counts={"invitations": 2})  # type: ignore[dict-item]
    for recipient, role in (("r1", "transport"), ("r2", "ekonomi")):
        await house.company(f"w-{recipient}", recipient)
        await house.contact(recipient, f"{role}@{recipient}.test", workplace=f"w-{recipient}", role=role)
        await house.contact(recipient, f"info@{recipient}.test", workplace=f"w-{recipient}")
        await house.invite(recipient, f"w-{recipient}")
    await house.sender.turn()
    reached = sorted(sent.address for sent in house.email.accepted)
    assert reached == ["ekonomi@r2.test", "info@r2.test", "transport@r1.test"]


async def test_a_company_that_left_the_register_is_gone(house: House) -> None:
    await house.round()
    await house.company("w-r1", "r1", status="closed")
    await house.contact("r1", "anna@exempel.test")
    await house.invite("r1", "w-r1")
    await house.sender.turn()
    assert house.states() == ["gone"]


async def test_fc_087_a_company_that_was_erased_after_it_was_matched_is_not_written_to(house: House) -> None:
    await house.round()
    await house.reachable()
    await house.feeder.apply([house.record("companies", "w-r1", None, COMPANY_CHANGED)])
    await house.sender.turn()
    assert house.states() == ["gone"]


@pytest.mark.parametrize("how", ["erased", "closed"])
async def test_fc_087_a_company_that_left_while_its_message_waited_is_not_written_to(house: House, how: str) -> None:
    """FC-087: checked again at send time."""
    house.clock.moment = MONDAY.replace(hour=19)
    await house.round(opened_at=MONDAY)
    await house.reachable()
    await house.sender.turn()
    assert (await house.messages())[0].state == "pending"
    if how == "erased":
        await house.feeder.apply([house.record("companies", "w-r1", None, COMPANY_CHANGED)])
    else:
        await house.company("w-r1", "r1", status="closed")
    house.clock.moment += timedelta(hours=13)
    await house.sender.turn()
    assert house.email.accepted == []
    assert (house.told()[-1].state, house.told()[-1].code) == (DeliveryState.CANCELLED, "left_register")


async def test_a_revoked_invitation_is_cancelled_and_an_issued_one_after_it_reopened(house: House) -> None:
    await house.round(opened_at=MONDAY)
    await house.reachable()
    await house.invite("r1", "w-r1", revision=2, state="revoked")
    house.clock.moment += timedelta(seconds=700)
    await house.sender.turn()
    assert house.states() == ["cancelled"]
    await house.invite("r1", "w-r1", revision=3)
    await house.sender.turn()
    assert len(house.email.accepted) == 1


async def test_a_subscriber_is_reached_without_a_company_in_the_register_at_the_address_that_the_portal_sealed(
    house: House,
) -> None:
    await house.round()
    await house.contact("r1", "Inge@exempel.test", source="portal", role="subscriber")
    places = [{"workplace_id": "subscription-1", "reasons": [{"kind": "subscription", "subscription_id": "s1"}]}]
    invited = await house.invite("r1", "", workplaces=places)
    await house.sender.turn()
    [sent] = house.email.accepted
    assert (sent.address, json.loads(sent.body)["ids"]) == ("Inge@exempel.test", [invited])


async def test_a_subscriber_who_works_where_a_company_is_invited_gets_one_message_with_both(house: House) -> None:
    await house.round(counts={"invitations": 2})
    company = await house.reachable("r1", "inge@exempel.test")
    await house.contact("r2", "Inge@Exempel.test", source="portal", role="subscriber")
    places = [{"workplace_id": "w-r1", "reasons": [{"kind": "subscription", "subscription_id": "s1"}]}]
    subscriber = await house.invite("r2", "", workplaces=places)
    await house.sender.turn()
    [sent] = house.email.accepted
    assert set(json.loads(sent.body)["ids"]) == {company, subscriber}


async def change(house: House, recipient: str = "r1", **changes: Any) -> str:
    """A withdrawal of the round, told to one of those who were invited."""
    given = {"round_id": "change", "purpose": "change", "number": 1, "change": "withdrawn", "follows": ROUND_ID}
    await house.round(**{**given, **changes})
    await house.invite(recipient, f"w-{recipient}", round_id="change", invitation_id="c1", purpose="change")
    return "c1"


async def test_a_change_goes_to_the_address_that_the_earlier_message_reached_by_the_same_channel(house: House) -> None:
    await house.round()
    await house.company("w-r1", "r1")
    await house.contact("r1", "+46700000000", "sms")
    await house.invite("r1", "w-r1")
    await house.sender.turn()
    await house.contact("r1", "anna@exempel.test")
    await house.company("w-r1", "r1", status="closed")
    told = await change(house)
    await house.sender.turn()
    assert not house.email.accepted
    assert [json.loads(sent.body)["ids"] for sent in house.sms.accepted][1:] == [[told]]
    assert [json.loads(sent.body)["told_at"] for sent in house.sms.accepted] == [None, MONDAY.isoformat()]


async def test_a_change_is_one_message_to_an_address_however_many_were_invited_at_it(house: House) -> None:
    await house.round(counts={"invitations": 2})
    await house.reachable("r1")
    await house.reachable("r2")
    await house.sender.turn()
    await house.round(round_id="change", purpose="change", number=1, follows=ROUND_ID, counts={"invitations": 2})
    for recipient in ("r1", "r2"):
        changed = {"round_id": "change", "invitation_id": f"c-{recipient}", "purpose": "change"}
        await house.invite(recipient, f"w-{recipient}", **changed)
    await house.sender.turn()
    assert [json.loads(sent.body)["ids"] for sent in house.email.accepted][1:] == [["c-r1", "c-r2"]]


async def test_a_change_ends_as_never_told_where_the_earlier_message_never_left(house: House) -> None:
    await house.round()
    await house.reachable()
    house.email.will(Outcome(State.FAILED, "mailbox_gone"))
    await house.sender.turn()
    told = await change(house)
    await house.sender.turn()
    assert not house.email.accepted
    ended = house.told()[-1]
    assert (ended.state.value, ended.code, ended.invitation_ids) == ("cancelled", "never_told", [told])


async def test_a_change_of_a_round_withdrawn_before_anything_left_is_told_to_nobody(house: House) -> None:
    house.clock.moment = datetime.fromisoformat("2025-11-15T12:00:00+01:00")  # a Saturday
    await house.round()
    await house.reachable()
    await house.sender.turn()
    await house.round(state="withdrawn")
    await change(house)
    house.clock.moment += timedelta(days=2)
    await house.sender.turn()
    assert not house.email.accepted
    assert sorted((event.state.value, event.code) for event in house.told()) == [
        ("cancelled", "never_told"),
        ("cancelled", "round_ended"),
    ]


async def test_a_change_goes_where_the_earlier_outcome_stayed_unknown(house: House) -> None:
    await house.round()
    await house.reachable()
    house.email.will(Outcome(State.UNKNOWN, "connection_lost"), Outcome(State.UNKNOWN, "connection_lost"))
    for _ in range(3):
        await house.sender.turn()
    await change(house)
    await house.sender.turn()
    assert json.loads(house.email.accepted[-1].body)["ids"] == ["c1"]


async def test_a_change_waits_for_an_earlier_message_that_is_on_its_way(house: House) -> None:
    await house.round()
    await house.reachable()

    async def withdrawn() -> None:
        [message] = await house.messages()
        assert message.state == "sending"
        await change(house)
        await house.sender.plan()
        assert house.states() == ["composed"]

    house.tables.at[house.tables.looks + 3] = withdrawn
    for _ in range(2):
        await house.sender.turn()
    assert [json.loads(sent.body)["ids"] for sent in house.email.accepted][1:] == [["c1"]]


async def test_a_change_waits_for_an_earlier_message_until_its_round_is_as_new(house: House) -> None:
    house.clock.moment = datetime.fromisoformat("2025-11-15T12:00:00+01:00")  # a Saturday
    await house.round()
    await house.reachable()
    await house.sender.turn()
    newer = {**ROUND["basis"], "decision": 1}  # type: ignore[dict-item]
    await change(house, basis=newer, change="moved")
    await house.sender.turn()
    assert house.states() == []
    await house.round(basis=newer)
    await house.sender.turn()
    assert [event.code for event in house.told()] == ["never_told"]
    house.clock.moment += timedelta(days=2)
    await house.sender.turn()
    assert len(house.email.accepted) == 1


def words(sent: Sent) -> list[str]:
    """The workplaces that the bytes were made of."""
    return list(json.loads(sent.body)["places"])


def places(*names: str) -> list[dict[str, Any]]:
    return [{**INVITATION["workplaces"][0], "workplace_id": name} for name in names]  # type: ignore[index]


async def test_a_revision_before_the_message_leaves_is_what_it_says(house: House) -> None:
    await house.round(opened_at=MONDAY)
    await house.reachable()
    await house.company("w2", "r1")
    await house.sender.turn()
    await house.invite("r1", "w-r1", revision=2, state="revised", workplaces=places("w2"))
    house.clock.moment += timedelta(seconds=700)
    await house.sender.turn()
    assert [words(sent) for sent in house.email.accepted] == [["w2"]]
    assert house.states() == ["composed", "sent"]


async def test_a_revision_after_the_message_left_sends_and_tells_nothing_again(house: House) -> None:
    await house.round()
    await house.reachable()
    await house.sender.turn()
    await house.company("w-r1", "r1", status="closed")
    for revision, state in ((2, "revised"), (3, "revoked"), (4, "issued")):
        await house.invite("r1", "w-r1", revision=revision, state=state)
        await house.sender.turn()
    assert len(house.email.accepted) == 1
    assert house.states() == ["composed", "sent"]
    assert await house.invitation_states() == {"addressed": 1}


async def test_a_revision_that_leads_to_another_address_writes_to_that_one_and_not_again_to_the_first(
    house: House,
) -> None:
    await house.round()
    await house.company("w-r1", "r1")
    await house.contact("r1", "anna@exempel.test", workplace="w-r1")
    await house.invite("r1", "w-r1")
    await house.sender.turn()
    await house.company("w2", "r1")
    await house.contact("r1", "bo@exempel.test", workplace="w2")
    await house.invite("r1", "", revision=2, state="revised", workplaces=places("w-r1", "w2"))
    await house.sender.turn()
    assert [sent.address for sent in house.email.accepted] == ["anna@exempel.test", "bo@exempel.test"]
    assert house.states() == ["composed", "sent", "composed", "sent"]


async def test_a_revision_past_its_expiry_of_what_left_is_not_said_to_have_expired(house: House) -> None:
    await house.round()
    await house.reachable()
    await house.sender.turn()
    await house.invite("r1", "w-r1", revision=2, state="revised", expires_at=MONDAY - timedelta(seconds=1))
    await house.sender.turn()
    assert house.states() == ["composed", "sent"]


async def test_a_revision_of_a_message_that_was_not_accepted_is_what_the_next_try_says(house: House) -> None:
    await house.round()
    await house.reachable()
    await house.company("w2", "r1")
    house.email.will(Outcome(State.RETRY, "greylisted"))
    await house.sender.turn()
    await house.invite("r1", "w-r1", revision=2, state="revised", workplaces=places("w2"))
    await house.sender.turn()
    house.clock.moment += timedelta(minutes=5)
    await house.sender.turn()
    assert [words(sent) for sent in house.email.accepted] == [["w2"]]


@pytest.mark.parametrize("state", ["revised", "issued"])
async def test_a_revision_between_composing_and_calling_is_what_leaves(house: House, state: str) -> None:
    await house.round()
    await house.reachable()
    await house.company("w2", "r1")

    async def revise() -> None:
        [message] = await house.messages()
        assert message.state == "sending"
        await house.invite("r1", "w-r1", revision=2, state=state, workplaces=places("w2"))

    house.tables.at[house.tables.looks + 3] = revise
    for _ in range(3):
        await house.sender.turn()
    assert [words(sent) for sent in house.email.accepted] == [["w2"]]
    assert "cancelled" not in house.states()


async def test_a_round_that_changed_between_composing_and_calling_is_what_leaves(house: House) -> None:
    await house.round()
    await house.reachable()

    async def changed() -> None:
        texts = {**ROUND["texts"], "title": "Stockholmsvägen byggs inte om"}  # type: ignore[dict-item]
        await house.round(basis={"case_version": 2}, texts=texts)

    house.tables.at[house.tables.looks + 3] = changed
    await house.sender.turn()
    await house.sender.turn()
    assert [json.loads(sent.body)["title"] for sent in house.email.accepted] == ["Stockholmsvägen byggs inte om"]


async def test_one_of_two_revoked_between_composing_and_calling_is_not_on_what_leaves(house: House) -> None:
    await house.round(counts={"invitations": 2})
    await house.reachable("r1")
    kept = await house.reachable("r2")

    async def revoke() -> None:
        await house.invite("r1", "w-r1", revision=2, state="revoked")

    house.tables.at[house.tables.looks + 3] = revoke
    await house.sender.turn()
    await house.sender.turn()
    [sent] = house.email.accepted
    assert json.loads(sent.body)["ids"] == [kept]


async def test_a_message_whose_only_invitation_was_revoked_after_composing_is_reopened_when_it_is_issued(
    house: House,
) -> None:
    await house.round()
    await house.reachable()

    async def revoke() -> None:
        await house.invite("r1", "w-r1", revision=2, state="revoked")

    house.tables.at[house.tables.looks + 3] = revoke
    await house.sender.turn()
    assert not house.email.accepted
    assert house.states() == ["composed", "cancelled"]
    [before] = await house.messages()
    await house.invite("r1", "w-r1", revision=3)
    await house.sender.turn()
    assert len(house.email.accepted) == 1
    [after] = await house.messages()
    assert (after.number, after.state) == (before.number, "sent")


async def test_a_revision_after_an_unknown_outcome_leaves_the_bytes_as_they_were(house: House) -> None:
    await house.round()
    await house.reachable()
    await house.company("w2", "r1")
    house.email.will(Outcome(State.UNKNOWN, "connection_lost"))
    await house.sender.turn()
    await house.invite("r1", "w-r1", revision=2, state="revised", workplaces=places("w2"))
    await house.sender.deliver("email")
    first, second = house.email.accepted
    assert first.body == second.body


async def test_an_invitation_that_comes_while_its_address_is_being_called_waits_for_the_outcome(house: House) -> None:
    await house.round()
    await house.reachable("r1")

    async def another() -> None:
        await house.invite("r1", "w-r1", revision=2, state="revoked")
        await house.reachable("r2")
        await house.sender.plan()
        assert (await house.invitation_states())["admitted"] == 1

    house.tables.at[house.tables.looks + 3] = another
    await house.sender.turn()
    await house.sender.turn()
    [sent] = house.email.accepted
    assert json.loads(sent.body)["ids"] == [invitation_id(ROUND_ID, "r2")]


async def test_of_two_invitations_to_an_address_the_one_that_is_not_revoked_goes(house: House) -> None:
    await house.round(counts={"invitations": 2}, opened_at=MONDAY)
    await house.reachable("r1")
    kept = await house.reachable("r2")
    await house.sender.turn()
    await house.invite("r1", "w-r1", revision=2, state="revoked")
    house.clock.moment += timedelta(seconds=700)
    await house.sender.turn()
    [sent] = house.email.accepted
    assert json.loads(sent.body)["ids"] == [kept]


async def test_an_invitation_with_a_lower_basis_changes_nothing_whatever_its_revision(house: House) -> None:
    await house.round(basis={"case_version": 2})
    await house.company("w-r1", "r1")
    await house.contact("r1", "anna@exempel.test")
    await house.invite("r1", "w-r1", basis={"case_version": 2})
    await house.invite("r1", "w-r1", basis={"case_version": 1}, revision=2, state="revoked")
    await house.sender.turn()
    assert house.states() == ["composed", "sent"]


async def test_a_round_older_than_the_invitation_is_not_rendered_from(house: House) -> None:
    await house.round()
    await house.company("w-r1", "r1")
    await house.contact("r1", "anna@exempel.test")
    await house.invite("r1", "w-r1", basis={"case_version": 2})
    await house.sender.turn()
    assert not house.email.accepted
    await house.round(basis={"case_version": 2})
    await house.sender.turn()
    assert len(house.email.accepted) == 1


async def test_an_unknown_outcome_of_mail_is_resent_once_with_the_same_bytes(house: House) -> None:
    await house.round()
    await house.reachable()
    house.email.will(Outcome(State.UNKNOWN, "connection_lost"))
    await house.sender.turn()
    house.clock.moment += timedelta(seconds=30)
    await house.sender.turn()
    first, second = house.email.accepted
    assert (first.body, first.message_id) == (second.body, second.message_id)
    assert house.states() == ["composed", "unknown", "composed", "sent"]
    assert house.told()[-1].resent_unknown
    [message] = await house.messages()
    assert (message.state, message.resent_unknown) == ("sent", 1)


async def test_a_message_keeps_the_version_of_the_words_it_was_made_with_also_when_it_is_sent_again(
    house: House,
) -> None:
    await house.round()
    await house.reachable()
    house.email.will(Outcome(State.UNKNOWN, "connection_lost"))
    await house.sender.turn()
    house.sender = house.new_sender(composer=Plain("newer"))
    house.clock.moment += timedelta(seconds=30)
    await house.sender.turn()
    assert len(house.email.accepted) == 2
    assert [message.template_version for message in await house.messages()] == ["plain"]


async def test_a_second_unknown_outcome_ends_as_failed(house: House) -> None:
    await house.round()
    await house.reachable()
    house.email.will(Outcome(State.UNKNOWN, "connection_lost"), Outcome(State.UNKNOWN, "connection_lost"))
    for _ in range(4):
        await house.sender.turn()
    assert len(house.email.accepted) == 2
    assert house.states()[-1] == "failed"
    assert house.told()[-1].code == "unknown_outcome"


async def test_an_unknown_sms_is_looked_up_after_ten_minutes_and_not_resent_when_found(house: House) -> None:
    await house.round()
    await house.company("w-r1", "r1")
    await house.contact("r1", "070-000 00 00", "sms")
    await house.invite("r1", "w-r1")
    house.sms.will(Outcome(State.UNKNOWN, "gateway"))
    await house.sender.turn()
    await house.sender.turn()
    assert house.states() == ["composed", "unknown"]
    house.clock.moment += timedelta(minutes=10)
    await house.sender.turn()
    assert len(house.sms.accepted) == 1
    assert house.states() == ["composed", "unknown", "sent"]


async def test_an_unknown_sms_that_the_provider_does_not_know_is_resent(house: House) -> None:
    await house.round()
    await house.company("w-r1", "r1")
    await house.contact("r1", "+46700000000", "sms")
    await house.invite("r1", "w-r1")
    house.sms.will(Outcome(State.UNKNOWN, "gateway"), accept=False)
    await house.sender.turn()
    house.clock.moment += timedelta(minutes=10)
    await house.sender.turn()
    assert len(house.sms.accepted) == 1
    assert house.states() == ["composed", "unknown", "composed", "sent"]


class Dies(BaseException):
    """The process is gone."""


async def test_a_crash_between_intent_and_outcome_is_resent_once_when_the_lease_ends(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await house.round()
    await house.reachable()
    take = house.email.send

    async def die(message: Sent) -> Outcome:
        await take(message)
        raise Dies

    monkeypatch.setattr(house.email, "send", die)
    with pytest.raises(Dies):
        await house.sender.turn()
    monkeypatch.undo()
    heir = house.new_sender()
    await heir.turn()
    assert len(house.email.accepted) == 1
    house.clock.moment += timedelta(seconds=121)
    await heir.turn()
    await heir.turn()
    first, second = house.email.accepted
    assert first.body == second.body
    assert house.told()[-1].resent_unknown
    assert house.states() == ["composed", "unknown", "composed", "sent"]


async def test_a_broker_that_is_down_after_the_intent_makes_no_outcome_unknown(house: House) -> None:
    await house.round()
    await house.reachable()
    await house.sender.plan()
    house.published.down = True
    with pytest.raises(Transient):
        await house.sender.deliver("email")
    house.published.down = False
    assert not house.email.accepted
    await house.sender.turn()
    assert len(house.email.accepted) == 1
    assert "unknown" not in house.states()


async def test_what_was_claimed_behind_a_broker_that_is_down_does_not_wait_for_its_lease(house: House) -> None:
    await house.round(counts={"invitations": 6})
    for number in range(6):
        await house.reachable(f"r{number}", f"nr{number}@exempel.test")
    await house.sender.plan()
    house.published.down = True
    with pytest.raises(Transient):
        await house.sender.deliver("email")
    house.published.down = False
    await house.sender.turn()
    assert len(house.email.accepted) == 6


async def test_a_message_not_accepted_is_tried_again_later(house: House) -> None:
    await house.round()
    await house.reachable()
    house.email.will(Outcome(State.RETRY, "greylisted", "451 4.7.1"))
    await house.sender.turn()
    await house.sender.turn()
    assert not house.email.accepted
    house.clock.moment += timedelta(minutes=5)
    await house.sender.turn()
    assert house.states() == ["composed", "retry", "composed", "sent"]
    assert house.told()[-1].attempt == 2


async def test_a_channel_in_trouble_backs_off_and_the_other_goes_on(house: House) -> None:
    await house.round(counts={"invitations": 2})
    await house.reachable("r1")
    await house.company("w-r2", "r2")
    await house.contact("r2", "+46700000000", "sms")
    await house.invite("r2", "w-r2")
    house.email.will(Outcome(State.NOT_SENT, "refused"))
    await house.sender.turn()
    assert (len(house.email.accepted), len(house.sms.accepted)) == (0, 1)
    await house.sender.turn()
    assert not house.email.accepted
    house.clock.moment += timedelta(seconds=6)
    await house.sender.turn()
    assert len(house.email.accepted) == 1
    assert house.told()[-1].attempt == 1


async def test_a_dead_address_is_suppressed_for_all_rounds(house: House) -> None:
    await house.round()
    await house.reachable()
    house.email.will(Outcome(State.FAILED, "no_such_address", "550 5.1.1", suppress=True))
    await house.sender.turn()
    assert house.states() == ["composed", "failed"]
    [event] = house.suppressions()
    [message] = await house.messages()
    assert (event.kind, event.scope, event.address_index) == ("bounce", "all", message.address_index)


async def test_paused_sending_sends_nothing(house: House) -> None:
    from services.notifier.ledger import pauses

    await house.round()
    await house.reachable()
    async with house.database.transaction() as connection:
        await pauses.pause(connection, "mail relay is moved", MONDAY)
    await house.sender.turn()
    assert not house.email.accepted
    async with house.database.transaction() as connection:
        await pauses.resume(connection)
    await house.sender.turn()
    assert len(house.email.accepted) == 1


async def test_no_address_lies_readable_in_the_ledger(house: House) -> None:
    await house.round()
    await house.reachable("r1", "anna@exempel.test")
    await house.sender.turn()
    [message] = await house.messages()
    assert b"anna" not in message.address_encrypted
    assert b"ids" not in message.body_encrypted
    assert not any(b"anna" in (record.value or b"") for record in house.published.records)


async def test_an_erased_person_leaves_neither_address_nor_words_in_the_ledger(house: House) -> None:
    await house.round()
    await house.reachable()
    await house.sender.turn()
    [sent] = await house.messages()
    await house.round(round_id="second", opened_at=MONDAY - timedelta(seconds=590))
    await house.invite("r1", "w-r1", round_id="second", invitation_id="i2")
    await house.stop_all(kind="erased", address_index=sent.address_index)
    house.clock.moment += timedelta(seconds=20)
    await house.sender.turn()
    assert len(house.email.accepted) == 1
    assert {(row.address_encrypted, row.body_encrypted) for row in await house.messages()} == {(b"", None)}
    assert house.told()[-1].code == "erased"


async def test_two_notifiers_on_one_ledger_send_each_message_once(postgres_url: str) -> None:
    house = House(postgres_url)
    await migrate(house.database, MIGRATIONS)
    await house.round(counts={"invitations": 60})
    for number in range(60):
        await house.reachable(f"r{number}", f"a{number}@exempel.test")
    other = Database(postgres_url)
    options = SenderOptions(batch=7)
    senders = [house.new_sender(options=options), house.new_sender(other, options)]
    for _ in range(8):
        await asyncio.gather(*(sender.turn() for sender in senders))
    assert len(house.email.accepted) == 60
    assert len({message.address for message in house.email.accepted}) == 60
    await other.close()
    await house.database.close()


async def test_revoking_while_a_notifier_composes_is_either_obeyed_or_too_late_never_both(postgres_url: str) -> None:
    house = House(postgres_url)
    await migrate(house.database, MIGRATIONS)
    await house.round(counts={"invitations": 40})
    for number in range(40):
        await house.reachable(f"r{number}", f"a{number}@exempel.test")
    await house.sender.plan()

    async def revoke_all() -> None:
        for number in range(40):
            await house.invite(f"r{number}", f"w-r{number}", revision=2, state="revoked")

    await asyncio.gather(house.sender.deliver("email"), revoke_all())
    for _ in range(2):
        await house.sender.turn()
    left = {json.loads(sent.body)["ids"][0] for sent in house.email.accepted}
    told: dict[str, list[str]] = {}
    for event in house.told():
        for identity in event.invitation_ids:
            told.setdefault(identity, []).append(event.state.value)
    assert len(told) == 40
    for identity, states in told.items():
        assert ("sent" in states) == (identity in left)
        assert ("cancelled" in states) != (identity in left)
    await house.database.close()


async def test_a_lease_that_another_took_over_is_not_written_over(house: House) -> None:
    await house.round()
    await house.reachable()
    await house.sender.plan()

    async def stolen() -> None:
        async with house.database.transaction() as connection:
            await connection.execute(update(MESSAGES).values(lease_owner="another"))

    house.tables.at[house.tables.looks + 2] = stolen
    await house.sender.deliver("email")
    assert not house.email.accepted


async def test_too_many_refusals_by_policy_pause_the_channel_until_somebody_lifts_that(house: House) -> None:
    await house.round(counts={"invitations": 30})
    for number in range(30):
        await house.reachable(f"r{number}", f"a{number}@exempel.test")
    refused = Outcome(State.FAILED, "policy", "5.7.1", alarm=True)
    house.email.will(*[refused] * 22)
    house.sender = house.new_sender(options=SenderOptions(batch=22), refusals=RefusalStop(20))
    await house.sender.turn()
    await house.sender.turn()
    assert Counter(row.state for row in await house.messages()) == {"failed": 22, "pending": 8}
    assert not house.suppressions()
    async with house.database.transaction() as connection:
        [pause] = await pauses.standing(connection)
        assert (pause.channel, "5.7.x" in pause.reason) == ("email", True)
        await pauses.resume(connection)
    await house.sender.turn()
    assert Counter(row.state for row in await house.messages()) == {"failed": 22, "sent": 8}


async def test_a_provider_that_is_given_too_many_a_minute_gets_half_of_them_from_then_on(house: House) -> None:
    await house.round(counts={"invitations": 30})
    for number in range(30):
        await house.reachable(f"r{number}", f"a{number}@exempel.test")
    house.sender = house.new_sender(options=SenderOptions(batch=10, parallel=1))
    taken = Outcome(State.SENT, "accepted")
    house.email.will(*[taken] * 9, Outcome(State.NOT_SENT, "too_fast", retry_after=60.0))
    await house.sender.turn()
    assert len(house.email.accepted) == 9
    sent = []
    for _ in range(3):  # one that tries it, then what is left of that minute's five; then a quarter more a minute
        house.clock.moment += timedelta(seconds=61)
        before = len(house.email.accepted)
        for _ in range(4):
            await house.sender.turn()
        sent.append(len(house.email.accepted) - before)
    assert sent == [5, 6, 7]


class Announcing(MemoryChannel):
    """Says when it took the first message."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.took = asyncio.Event()

    async def send(self, message: Sent) -> Outcome:
        outcome = await super().send(message)
        self.took.set()
        return outcome


async def test_the_wired_notifier_takes_an_invitation_from_kafka_to_a_mail_and_reads_what_comes_back(
    kafka: LocalKafka, topic_prefix: str, tmp_path: Path
) -> None:
    settings = _settings(kafka, topic_prefix, tmp_path)
    maildir = tmp_path / "mail"
    topics = [replace(topic, name=topic_prefix + topic.name) for topic in ALL_TOPICS]
    with TopicAdmin(kafka.bootstrap) as admin:
        admin.create(topics, partitions=2, replication=1)
    clock, email = SystemClock(), Announcing("email")
    app = build(settings, clock, channels=[email], composer=Plain())
    await app.start()
    try:
        await app.broker.publish(_story(topic_prefix))
        await asyncio.wait_for(email.took.wait(), 30)
        (maildir / "new" / "1.host").write_bytes(report(to=email.accepted[0].return_path))
        async with asyncio.timeout(30):
            while not list(maildir.glob(".Handled/cur/*")):  # noqa: ASYNC110 - a folder tells nobody
                await asyncio.sleep(0.02)
    finally:
        await app.stop()
    async with Database(settings.notifier.database).transaction() as connection:
        assert (await connection.execute(select(MESSAGES.c.state))).scalars().all() == ["failed"]
    assert json.loads(email.accepted[0].body)["ids"] == [invitation_id(ROUND_ID, "r1")]
    again = build(settings, clock, channels=[second := MemoryChannel("email")], composer=Plain())
    await again.start()
    await again.stop()
    assert not second.accepted


def _settings(kafka: LocalKafka, topic_prefix: str, folder: Path) -> NotifierSettings:
    for name in ("cur", "new", "tmp"):
        (folder / "mail" / name).mkdir(parents=True)
    options = {
        "database": f"sqlite+aiosqlite:///{folder}/ledger.db",
        "smtp": {"verp": True, "envelope_from": "studs@kommun.example"},
        "returned": {"maildir": folder / "mail", "poll_seconds": 0.05},
        "token_key": base64.b64encode(new_key()).decode(),
        "vault_key": base64.b64encode(VAULT).decode(),
        "index_key": base64.b64encode(INDEX).decode(),
        "private_keys": {"k1": base64.b64encode(PRIVATE).decode()},
        "hold_seconds": 0,
        "windows": "always",
        "poll_seconds": 0.05,
    }
    return NotifierSettings(
        kafka=KafkaSettings(bootstrap=(kafka.bootstrap,), topic_prefix=topic_prefix),
        health=HealthSettings(port=None),
        model=ModelSettings(file=model_file(folder)),
        notifier=NotifierOptions.model_validate(options),
    )


def _story(prefix: str) -> list[Outgoing]:
    """A company, its contact, an open round and its one invitation; expiring long after today."""
    now = SystemClock().now()
    late = (now + timedelta(days=20)).isoformat()
    place = [{**INVITATION["workplaces"][0], "workplace_id": "w1"}]  # type: ignore[index]
    sealed = Seal("k1", PUBLIC).seal(b'{"address": "anna@exempel.test"}').model_dump()
    identity = invitation_id(ROUND_ID, "r1")
    invited = {"invitation_id": identity, "recipient_id": "r1", "workplaces": place, "expires_at": late}
    events: list[tuple[str, str, Event, str]] = [
        (
            "companies",
            "w1",
            Company.model_validate({**COMPANY, "workplace_id": "w1", "recipient_id": "r1"}),
            COMPANY_CHANGED,
        ),
        (
            "contacts",
            "c1",
            Contact.model_validate(
                {**CONTACT, "contact_id": "c1", "recipient_id": "r1", "workplace_id": None, "sealed": sealed}
            ),
            CONTACT_CHANGED,
        ),
        (
            "rounds",
            ROUND_ID,
            Round.model_validate({**ROUND, "expires_at": late, "counts": {"invitations": 1}}),
            ROUND_CHANGED,
        ),
        ("invitations", "0162/exempel/EX-2", Invitation.model_validate({**INVITATION, **invited}), INVITATION_CHANGED),
    ]
    return [
        outgoing(prefix + topic, key, event, type=type_, id=f"e-{topic}", source="/test", time=now)
        for topic, key, event, type_ in events
    ]


class _InTheMidst(MemoryChannel):
    """Somebody does something when so many messages have been taken."""

    def __init__(self, after: int, does: Callable[[], Awaitable[None]]) -> None:
        super().__init__("email")
        self._after = after
        self._does = does

    async def send(self, message: Sent) -> Outcome:
        outcome = await super().send(message)
        if len(self.accepted) == self._after:
            await self._does()
        return outcome


async def test_an_urgent_round_that_comes_while_a_large_one_is_sent_goes_before_the_rest_of_it(house: House) -> None:
    async def urgent() -> None:
        plan = {**ROUND["plan"], "urgent": True}  # type: ignore[dict-item]
        await house.round(round_id="urgent", plan=plan)
        await house.invite("r39", "w-r39", round_id="urgent", invitation_id="hurry")

    await house.round(counts={"invitations": 40})
    for number in range(40):
        await house.reachable(f"r{number}", f"nr{number}@exempel.test")
    house.email = _InTheMidst(3, urgent)
    sender = house.new_sender(options=SenderOptions(batch=8, parallel=2))
    while await sender.turn():
        pass
    order = [json.loads(message.body)["ids"] for message in house.email.accepted]
    assert len(order) == 41
    assert order.index(["hurry"]) < 20
