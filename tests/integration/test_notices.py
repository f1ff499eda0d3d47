"""Notices: sent at once and once, to an address that no topic shows, by the same ledger as invitations."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from schemas.delivery import DeliveryState
from schemas.notice import EXAMPLE, NOTICE_REQUESTED, Notice
from schemas.topics import ALL_TOPICS
from services.notifier.app import build
from services.notifier.channels.port import Outcome, State
from services.notifier.ledger import pauses
from services.notifier.ledger.tables import MIGRATIONS, NOTICES
from services.notifier.notices import Notices
from services.notifier.sender import SenderOptions
from services.runtime.clock import SystemClock
from services.runtime.local_kafka import LocalKafka
from services.runtime.parsing import outgoing
from services.runtime.records import Outgoing, Record
from services.runtime.sealing import Opener, Seal, Vault
from services.runtime.store.database import Database, migrate
from services.runtime.tables import TableReader
from services.runtime.topic_admin import TopicAdmin
from tests.notifier_house import INDEX, MONDAY, PRIVATE, PUBLIC, ROUND_ID, VAULT, Announcing, Dies, House, Plain, house
from tests.notifier_wired import wired_settings

pytestmark = pytest.mark.anyio
__all__ = ["house"]

EXPIRES = MONDAY + timedelta(hours=48)
TYPED = "Inge@Exempel.test"
PATH = "/bekrafta/hemligt"


def sealed(address: str = TYPED, path: str = PATH) -> dict[str, Any]:
    return Seal("k1", PUBLIC).seal(json.dumps({"address": address, "path": path}).encode()).model_dump()


async def ask(house: House, **changes: Any) -> None:
    """A confirmation, with its address and link sealed."""
    given = {"kind": "confirm", "message_number": None, "sealed": sealed(), "parameters": {"area": "Mörby"}}
    await hand(house, {**EXAMPLE, **given, "at": MONDAY, "expires_at": EXPIRES, **changes})


async def receipt(house: House, number: int, **changes: Any) -> None:
    """A receipt to the address of a message."""
    given = {"message_number": number, "at": MONDAY, "expires_at": EXPIRES}
    await hand(house, {**EXAMPLE, "notice_id": "n2", **given, **changes})


async def hand(house: House, given: dict[str, Any]) -> None:
    event = Notice.model_validate(given)
    await house.notices.handle([house.record("notices", event.recipient_id, event, NOTICE_REQUESTED)])


async def rows(house: House) -> int:
    async with house.database.transaction() as connection:
        return len((await connection.execute(select(NOTICES))).all())


async def test_a_notice_goes_at_once_on_a_saturday_night_and_while_sending_is_paused(house: House) -> None:
    house.clock.moment = MONDAY + timedelta(days=5, hours=15)
    async with house.database.transaction() as connection:
        await pauses.pause(connection, "mail relay is moved", house.clock.moment)
    await ask(house, expires_at=house.clock.moment + timedelta(hours=48))
    await house.sender.turn()
    [sent] = house.email.accepted
    assert sent.address == "Inge@exempel.test"
    assert json.loads(sent.body)["path"] == PATH
    told = house.told()[-1]
    assert (told.kind, told.state, told.invitation_ids, told.round_ids) == ("notice", DeliveryState.SENT, [], [])
    assert told.recipient_ids == [EXAMPLE["recipient_id"]]


async def test_paused_sending_still_holds_the_invitations_beside_a_notice(house: House) -> None:
    await house.round()
    await house.reachable()
    async with house.database.transaction() as connection:
        await pauses.pause(connection, "mail relay is moved", MONDAY)
    await ask(house)
    await house.sender.turn()
    assert [json.loads(sent.body).get("kind") for sent in house.email.accepted] == ["confirm"]


async def test_a_notice_asked_for_twice_is_sent_once(house: House) -> None:
    await ask(house)
    await ask(house)
    await house.sender.turn()
    await ask(house)
    await house.sender.turn()
    assert len(house.email.accepted) == 1
    assert house.states() == ["composed", "sent"]
    assert await rows(house) == 0


async def test_a_notice_past_its_expiry_is_not_sent(house: House) -> None:
    await ask(house, expires_at=MONDAY + timedelta(seconds=1))
    house.clock.moment += timedelta(seconds=1)
    await house.sender.turn()
    assert not house.email.accepted
    assert house.states() == ["expired"]


async def test_a_receipt_goes_to_the_address_of_the_message_that_it_names(house: House) -> None:
    await house.round()
    await house.reachable()
    await house.sender.turn()
    [message] = await house.messages()
    await receipt(house, message.number)
    await house.sender.turn()
    assert house.email.accepted[-1].address == "anna@exempel.test"
    said = json.loads(house.email.accepted[-1].body)
    assert (said["about"], said["title"]) == (message.number, "Stockholmsvägen byggs om")


async def test_a_receipt_may_name_its_round_since_a_digest_has_several(house: House) -> None:
    await house.round()
    await house.reachable()
    await house.sender.turn()
    [message] = await house.messages()
    await house.round(round_id="e" * 32, texts={"title": "Ny taxa"})
    await receipt(house, message.number, parameters={"title": "T", "round": "e" * 32})
    await house.sender.turn()
    assert json.loads(house.email.accepted[-1].body)["title"] == "Ny taxa"


async def test_a_receipt_of_an_answer_to_an_sms_is_an_sms(house: House) -> None:
    await house.round()
    await house.company("w-r1", "r1")
    await house.contact("r1", "+46700000000", "sms")
    await house.invite("r1", "w-r1")
    await house.sender.turn()
    [message] = await house.messages()
    await receipt(house, message.number)
    await house.sender.turn()
    assert [sent.address for sent in house.sms.accepted] == ["+46700000000", "+46700000000"]


@pytest.mark.parametrize("number", [4711, 2**63, 2**64 - 1])
async def test_a_number_that_the_ledger_does_not_know_is_a_dead_letter(house: House, number: int) -> None:
    await receipt(house, number)
    assert [error.reason for error in house.dead] == ["no_such_message"]


async def test_a_stop_does_not_stop_what_its_owner_asks_for(house: House) -> None:
    await house.round()
    await house.reachable()
    await house.sender.turn()
    [message] = await house.messages()
    await house.stop_all(message_number=message.number)
    await receipt(house, message.number, kind="stopped", parameters={"scope": "all"})
    await house.sender.turn()
    assert json.loads(house.email.accepted[-1].body)["kind"] == "stopped"


@pytest.mark.parametrize("kind", ["bounce", "erased"])
async def test_nothing_is_sent_to_a_dead_or_erased_address_not_even_a_notice(house: House, kind: str) -> None:
    await house.round()
    await house.reachable("r1", TYPED)
    await house.sender.turn()
    [message] = await house.messages()
    await house.stop_all(kind=kind, address_index=message.address_index)
    await ask(house)
    await receipt(house, message.number)
    await house.sender.turn()
    assert len(house.email.accepted) == 1
    assert [(event.state.value, event.code) for event in house.told()[2:]] == [("suppressed", kind)] * 2


async def test_an_unknown_kind_is_skipped_and_what_cannot_be_read_is_put_aside_without_its_value(house: House) -> None:
    await ask(house, kind="of_tomorrow")
    assert not house.dead
    broken = house.record("notices", "r", Notice.model_validate(EXAMPLE), NOTICE_REQUESTED)
    await house.notices.handle([replace(broken, value=b'{"address": "inge@exempel.test"}')])
    [error] = house.dead
    assert (error.reason, error.drop_value) == ("wrong_shape", True)
    await house.sender.turn()
    assert not house.email.accepted


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"sealed": {"key_version": "k9", "box": "c2VhbGVk"}}, "unreadable_seal"),
        ({"sealed": sealed("not an address")}, "bad_address"),
        ({"sealed": sealed(path="https://ond.example")}, "wrong_shape"),
        ({"sealed": None, "message_number": 1}, "no_link"),
    ],
)
async def test_a_notice_that_cannot_be_sent_is_a_dead_letter_that_keeps_only_what_is_sealed(
    house: House, changes: dict[str, Any], reason: str
) -> None:
    await ask(house, **changes)
    [error] = house.dead
    assert (error.reason, error.drop_value) == (reason, False)
    assert not any(secret in str(error) for secret in ("not an address", "ond.example", TYPED))


async def test_neither_address_nor_link_lies_readable_in_the_ledger_and_after_the_end_not_at_all(house: House) -> None:
    await ask(house)
    async with house.database.transaction() as connection:
        [waiting] = (await connection.execute(select(NOTICES))).all()
    [message] = await house.messages()
    assert b"hemligt" not in waiting.path_encrypted
    assert b"Inge" not in message.address_encrypted
    await house.sender.turn()
    [message] = await house.messages()
    assert (message.address_encrypted, message.body_encrypted) == (b"", None)
    assert await rows(house) == 0
    published = b"".join(record.value or b"" for record in house.published.records)
    assert b"hemligt" not in published
    assert b"nge@" not in published


async def test_a_crash_while_a_notice_is_called_is_resent_once_with_the_same_bytes(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await ask(house)
    take = house.email.send

    async def die(message: Any) -> Outcome:
        await take(message)
        raise Dies

    monkeypatch.setattr(house.email, "send", die)
    with pytest.raises(Dies):
        await house.sender.turn()
    monkeypatch.undo()
    house.clock.moment += timedelta(seconds=121)
    heir = house.new_sender()
    await heir.turn()
    await heir.turn()
    first, second = house.email.accepted
    assert (first.body, first.message_id) == (second.body, second.message_id)
    assert house.states() == ["composed", "unknown", "composed", "sent"]
    assert house.told()[-1].resent_unknown


async def test_a_notice_that_was_not_accepted_is_tried_again_and_refused_for_good_it_has_failed(house: House) -> None:
    await ask(house)
    house.email.will(Outcome(State.RETRY, "greylisted"), Outcome(State.FAILED, "mailbox_gone"))
    await house.sender.turn()
    house.clock.moment += timedelta(minutes=5)
    await house.sender.turn()
    assert house.states() == ["composed", "retry", "composed", "failed"]
    assert await rows(house) == 0


async def test_a_withdrawn_round_does_not_take_a_receipt_with_it(house: House) -> None:
    await house.round()
    await house.reachable()
    await house.sender.turn()
    [message] = await house.messages()
    await house.round(state="withdrawn")
    await house.stop_all(kind="withdrawn", scope="round", round_id=ROUND_ID, basis={"case_version": 9})
    await receipt(house, message.number)
    await house.sender.turn()
    assert len(house.email.accepted) == 2


async def test_the_wired_notifier_sends_a_notice_from_kafka_and_keeps_what_it_cannot_read_sealed_or_not_at_all(
    kafka: LocalKafka, topic_prefix: str, tmp_path: Path
) -> None:
    settings = wired_settings(kafka, topic_prefix, tmp_path)
    with TopicAdmin(kafka.bootstrap) as admin:
        topics = [replace(topic, name=topic_prefix + topic.name) for topic in ALL_TOPICS]
        admin.create(topics, partitions=2, replication=1)
    dead: list[Record] = []
    arrived = asyncio.Event()

    async def see(records: Sequence[Record]) -> None:
        dead.extend(records)
        if len(dead) == 2:
            arrived.set()

    reader = TableReader(settings.kafka, [topic_prefix + "notices.dlq"], see)
    await reader.start()
    email = Announcing("email")
    app = build(settings, SystemClock(), channels=[email], composer=Plain())
    await app.start()
    try:
        await app.broker.publish(_asked(topic_prefix))
        await asyncio.wait_for(email.took.wait(), 30)
        await asyncio.wait_for(arrived.wait(), 30)
    finally:
        await app.stop()
        await reader.stop()
    assert [sent.address for sent in email.accepted] == ["Inge@exempel.test"]
    reasons = {dict(record.headers)["dlq_reason"]: record.value for record in dead}
    assert reasons[b"wrong_shape"] == b""
    assert b"sealed" in (reasons[b"unreadable_seal"] or b"")
    assert not any(b"nge@" in (record.value or b"") for record in dead)


def _asked(prefix: str) -> list[Outgoing]:
    """Two that cannot be read, and behind them one that can."""
    now = SystemClock().now()
    given = {**EXAMPLE, "kind": "confirm", "message_number": None, "at": now, "expires_at": now + timedelta(hours=48)}
    good = Notice.model_validate({**given, "sealed": sealed()})
    unreadable = Notice.model_validate({**given, "sealed": {"key_version": "k9", "box": "c2VhbGVk"}})
    records = [
        outgoing(f"{prefix}notices", "r", event, type=NOTICE_REQUESTED, id="n", source="/test", time=now)
        for event in (good, unreadable, good)
    ]
    return [replace(records[0], value=b'{"address": "inge@exempel.test"}'), *records[1:]]


async def test_two_notifiers_on_one_ledger_send_each_notice_once(postgres_url: str) -> None:
    house = House(postgres_url)
    await migrate(house.database, MIGRATIONS)
    other = Database(postgres_url)
    second = Notices(other, Opener({"k1": PRIVATE}), Vault(VAULT), INDEX, house.clock, house._dead_letter)
    given = {**EXAMPLE, "kind": "confirm", "message_number": None, "at": MONDAY, "expires_at": EXPIRES}
    events = [
        Notice.model_validate({**given, "notice_id": f"n{number}", "sealed": sealed(f"a{number}@exempel.test")})
        for number in range(30)
    ]
    records = [house.record("notices", "r", event, NOTICE_REQUESTED) for event in events]
    await asyncio.gather(house.notices.handle(records), second.handle(records))  # one died before it committed
    options = SenderOptions(batch=7)
    senders = [house.new_sender(options=options), house.new_sender(other, options)]
    for _ in range(6):
        await asyncio.gather(*(sender.turn() for sender in senders))
    assert sorted(sent.address for sent in house.email.accepted) == sorted(f"a{n}@exempel.test" for n in range(30))
    assert await rows(house) == 0
    await other.close()
    await house.database.close()
