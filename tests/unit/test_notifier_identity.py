"""Numbers, tokens and addresses: equal things meet, and nobody else can make ours."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.notifier.addresses import normal
from services.notifier.numbers import message_id, mint, new_number, verify
from services.runtime.errors import Rejected

KEY, OLD = b"k" * 32, b"o" * 32


@given(st.integers(0, 2**63 - 1))
def test_a_token_is_22_characters_and_gives_its_number_back(number: int) -> None:
    token = mint(number, KEY)
    assert len(token) == 22
    assert verify(token, [KEY]) == number


def test_an_old_key_still_verifies_and_another_does_not() -> None:
    assert verify(mint(7, OLD), [KEY, OLD]) == 7
    assert verify(mint(7, OLD), [KEY]) is None


@given(st.text(max_size=30))
def test_no_other_text_is_a_token(text: str) -> None:
    assert verify(text, [KEY]) is None


@given(st.integers(0, 21), st.sampled_from("ABCxyz019-_"))
def test_no_character_of_a_token_can_be_changed(place: int, character: str) -> None:
    token = mint(123456789, KEY)
    changed = token[:place] + character + token[place + 1 :]
    assert verify(changed, [KEY]) == (123456789 if changed == token else None)


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
