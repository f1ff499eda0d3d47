"""Numbers and addresses: equal things meet."""

import pytest

from services.notifier.numbers import message_id, new_number
from services.runtime.addresses import normal
from services.runtime.errors import Rejected


def test_message_ids_derive_and_numbers_fit_a_signed_column() -> None:
    assert message_id("r", "a", "first") == message_id("r", "a", "first") != message_id("r", "a", "reminder")
    assert all(0 <= new_number() < 2**63 for _ in range(100))


def test_one_mailbox_written_in_several_ways_has_one_index() -> None:
    forms = ["Anna@Åkeri.se", " anna@åkeri.SE ", "anna@xn--keri-poa.se"]
    indexed = {normal("email", form)[1] for form in forms}
    assert len(indexed) == 1
    assert indexed.pop().isascii()


def test_one_telephone_written_in_several_ways_has_one_form() -> None:
    assert {normal("sms", form)[0] for form in ("070-000 00 00", "+46 70 000 00 00", "0046700000000")} == {
        "+46700000000"
    }


@pytest.mark.parametrize(("channel", "address"), [("email", "anna"), ("email", "a@b\r\nBcc: c@d"), ("sms", "12x")])
def test_a_bad_address_is_rejected_without_being_quoted(channel: str, address: str) -> None:
    with pytest.raises(Rejected) as caught:
        normal(channel, address)  # type: ignore[arg-type]
    assert address not in str(caught.value)
