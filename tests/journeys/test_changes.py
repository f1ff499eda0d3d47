"""A case that was sent and is withdrawn: those who were written to are told once, by the same way, and nobody else."""

from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default

import pytest

from schemas.case import CaseState
from schemas.round import Purpose, RoundState
from schemas.topics import CASES
from tests.journeys.installation import Installation, a_case, row

pytestmark = pytest.mark.anyio

MAILS = [f"info@exempel{n}.example" for n in (1, 2, 3)]
PHONE = "+46701740605"
ROWS = [*(row(n, email=email) for n, email in enumerate(MAILS, 1)), row(11, phone=PHONE), row(21)]
LATE = row(31, email="sen@exempel31.example")


async def test_a_withdrawal_is_told_once_to_each_address_that_was_written_to_and_to_no_other(
    installation: Installation,
) -> None:
    world = installation
    await world.start()
    await world.matcher()
    notifier = await world.notifier()
    await world.import_register(ROWS)
    await world.send_case(a_case("A 1"), CASES)
    await world.until(lambda: len(world.ends()) == len(ROWS), "everybody of the first round ended")
    asked = set(world.ends())
    assert sorted(world.ends().values()) == [("not_reachable", "no_contact"), *[("sent", "accepted")] * 4]

    await world.send_case(a_case("A 1", version=2, state=CaseState.WITHDRAWN), CASES)
    await world.until(lambda: len(world.ends()) == 2 * len(ROWS), "everybody of the withdrawal ended")
    await world.settled(notifier)
    [change] = [round_ for round_ in world.rounds().values() if round_.purpose is Purpose.CHANGE]
    assert (change.change, change.state) == ("withdrawn", RoundState.OPEN)
    ends = [end for identity, end in world.ends().items() if identity not in asked]
    assert sorted(ends) == [("not_reachable", "no_contact"), *[("sent", "accepted")] * 4]
    assert sorted(world.accepted().values()) == [1] * 8
    subjects = [_subject(mail.raw) for mail in world.smtp.accepted if mail.recipients == (MAILS[0],)]
    assert subjects[0].startswith("Prov A 1 – påverkas ni?")
    assert subjects[1:] == ["Ärendet är återkallat: Prov A 1"]
    texts = [sms.text for sms in world.sms.accepted if sms.to == PHONE]
    assert ["Ärendet är återkallat: Prov A 1" in text for text in texts] == [False, True]

    await world.import_register([*ROWS, LATE])
    await world.send_case(a_case("A 2"), CASES)
    await world.until(lambda: len(world.ends()) == 3 * len(ROWS) + 1, "everybody of the next case ended")
    await world.settled(notifier)
    late = [address for address, _ in world.accepted() if address == "sen@exempel31.example"]
    assert len(late) == 1
    assert not world.dead()


def _subject(raw: bytes) -> str:
    mail = message_from_bytes(raw, policy=default)
    assert isinstance(mail, EmailMessage)
    return str(mail["Subject"])
