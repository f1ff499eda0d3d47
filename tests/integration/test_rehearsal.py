"""A rehearsal writes to own staff alone, says so, and leaves nothing that passes for told."""

import base64
import json
from collections.abc import Sequence

import pytest
from pydantic import SecretStr

from services.notifier.app import NotifierApp, build
from services.notifier.channels.memory import MemoryChannel
from services.notifier.channels.port import Outgoing, State
from services.notifier.rehearsal import StaffOnly, check_topics, claim_ledger, staff_indexes
from services.notifier.settings import NotifierOptions, NotifierSettings
from services.runtime.errors import Fault
from services.runtime.settings import KafkaSettings
from tests.integration.test_notices import ask
from tests.notifier_house import INDEX, MONDAY, House, Plain, house

pytestmark = pytest.mark.anyio
__all__ = ["house"]
STAFF = ["Provare@Kommun.test", "070-174 06 05"]


def rehearse(house: House) -> None:
    house.sender = house.new_sender(staff=staff_indexes(STAFF, INDEX))


async def test_only_own_staff_get_a_message_and_it_says_that_it_is_a_rehearsal(house: House) -> None:
    rehearse(house)
    await house.round(counts={"invitations": 3})
    await house.reachable("r1", "provare@kommun.test")
    await house.reachable("r2", "anna@exempel.test")
    await house.company("w-r3", "r3")
    await house.contact("r3", "+46701740605", "sms")
    await house.invite("r3", "w-r3")
    await house.sender.turn()
    [mail], [sms] = house.email.accepted, house.sms.accepted
    assert (mail.address, sms.address) == ("provare@kommun.test", "+46701740605")
    assert json.loads(mail.body)["rehearsal"]
    [kept] = [event for event in house.told() if event.state.value == "suppressed"]
    assert kept.code == "rehearsal"
    assert len(kept.invitation_ids) == 1


async def test_not_even_what_somebody_asks_for_goes_to_others(house: House) -> None:
    rehearse(house)
    await ask(house)
    await house.sender.turn()
    assert not house.email.accepted
    assert [(event.kind, event.state.value, event.code) for event in house.told()] == [
        ("notice", "suppressed", "rehearsal")
    ]


async def test_a_real_message_says_nothing_of_rehearsals(house: House) -> None:
    await house.round()
    await house.reachable()
    await house.sender.turn()
    assert json.loads(house.email.accepted[0].body)["rehearsal"] is False


async def test_a_ledger_that_has_rehearsed_is_never_real(house: House) -> None:
    await claim_ledger(house.database, MONDAY, rehearsal=True)
    await claim_ledger(house.database, MONDAY, rehearsal=True)
    with pytest.raises(Fault, match="has rehearsed"):
        await claim_ledger(house.database, MONDAY, rehearsal=False)


async def test_a_real_ledger_is_never_rehearsed_on(house: House) -> None:
    await claim_ledger(house.database, MONDAY, rehearsal=False)
    await house.reachable()
    with pytest.raises(Fault, match="is real"):
        await claim_ledger(house.database, MONDAY, rehearsal=True)
    await claim_ledger(house.database, MONDAY, rehearsal=False)


def test_a_rehearsal_needs_topics_of_its_own() -> None:
    with pytest.raises(Fault, match="TOPIC_PREFIX"):
        check_topics("")
    check_topics("ovning-")


def test_what_is_no_address_is_refused_without_being_quoted() -> None:
    with pytest.raises(Fault) as refused:
        staff_indexes(["provare@kommun.test", "hemlig"], INDEX)
    assert "hemlig" not in str(refused.value)
    assert staff_indexes([], INDEX) is None


async def test_a_channel_hands_nothing_to_others_whatever_asks_it_to() -> None:
    kept = MemoryChannel()
    staff = staff_indexes(STAFF, INDEX)
    assert staff is not None
    channel = StaffOnly(kept, staff, INDEX)
    for address in ("anna@exempel.test", "no address", "PROVARE@kommun.test"):
        await channel.send(Outgoing("m1", address, b"", "m1", MONDAY))
    assert [sent.address for sent in kept.accepted] == ["PROVARE@kommun.test"]
    refused = await channel.send(Outgoing("m1", "anna@exempel.test", b"", "m1", MONDAY))
    assert (refused.state, refused.code) == (State.FAILED, "rehearsal")


def app_of(house: House, rehearsal: Sequence[str], prefix: str) -> NotifierApp:
    """A wired notifier on this ledger; there is no broker."""
    keys = {f"{name}_key": SecretStr(base64.b64encode(INDEX).decode()) for name in ("vault", "index", "token")}
    options = NotifierOptions(database=house.url, rehearsal=tuple(rehearsal), **keys)
    kafka = KafkaSettings(bootstrap=("127.0.0.1:1",), topic_prefix=prefix)
    settings = NotifierSettings(notifier=options, kafka=kafka)
    return build(settings, house.clock, channels=[MemoryChannel()], composer=Plain())


async def test_a_notifier_refuses_to_rehearse_on_the_real_topics_and_a_rehearsed_ledger_to_be_real(
    house: House,
) -> None:
    with pytest.raises(Fault, match="TOPIC_PREFIX"):
        await app_of(house, STAFF, "").start()
    await claim_ledger(house.database, MONDAY, rehearsal=True)
    with pytest.raises(Fault, match="has rehearsed"):
        await app_of(house, [], "").start()
