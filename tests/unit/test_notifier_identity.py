"""Numbers and addresses: equal things meet."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.notifier.numbers import message_id, new_number
from services.runtime.addresses import mobile, normal
from services.runtime.errors import Rejected


def test_message_ids_derive_and_numbers_fit_a_signed_column() -> None:
    assert message_id("r", "a", "first") == message_id("r", "a", "first") != message_id("r", "a", "reminder")
    assert all(0 <= new_number() < 2**63 for _ in range(100))


def test_one_mailbox_written_in_several_ways_has_one_index() -> None:
    forms = ["Anna@Åkeri.se", " anna@åkeri.SE ", "anna@xn--keri-poa.se"]
    indexed = {normal("email", form)[1] for form in forms}
    assert len(indexed) == 1
    assert indexed.pop().isascii()


@pytest.mark.parametrize(
    "form", ["070-174 06 05", "０７０-１７４ ０６ ０５", "\u202a+46 70\u2011174 06 05\u202c",
     "+46701740605", "0046701740605", "(070) 174 06 05", "+46 (0)70 1740605",
     "070–174 06 05", "tel:+46701740605", "00 46 70-174 06 05", "\u00a0070 1740605\n"],
)  # fmt: skip
def test_fc_048_one_telephone_written_in_several_ways_has_one_form(form: str) -> None:
    """FC-048."""
    assert normal("sms", form) == ("+46701740605", "+46701740605")


def test_fc_048_a_number_without_its_zero_is_swedish_only_where_its_source_says_so() -> None:
    """FC-048."""
    assert mobile("701740605", swedish=True) == "+46701740605"
    with pytest.raises(Rejected, match="bad_address"):
        mobile("701740605")


@pytest.mark.parametrize("several", ["0701740605/0701740606", "070-1740605 (Anna)", "07O-1740605", "46701740605"])
def test_fc_048_what_is_not_one_number_is_none(several: str) -> None:
    """FC-048: better nobody than a stranger."""
    with pytest.raises(Rejected, match="bad_address"):
        mobile(several)


@pytest.mark.parametrize(
    "other", ["08-465 004 00", "+46 10 123 45 67", "+47 900 00 000", "020-12 34 56", "+44 7400 123456"]
)
def test_a_number_that_takes_no_swedish_sms_is_refused(other: str) -> None:
    with pytest.raises(Rejected, match="not_mobile"):
        mobile(other)


@given(st.integers(10**8, 10**9 - 1))
def test_an_sms_goes_to_the_swedish_mobile_ranges_alone(national: int) -> None:
    try:
        number = mobile(f"+46{national}")
    except Rejected:
        return
    assert number.startswith("+467")


@given(st.sampled_from([70, 72, 73, 76, 79]), st.integers(0, 10**7 - 1))
def test_the_mobile_ranges_take_an_sms(area: int, rest: int) -> None:
    assert mobile(f"0{area}-{rest:07d}") == f"+46{area}{rest:07d}"


def test_fc_043_addresses_that_only_some_providers_take_for_one_are_two() -> None:
    """FC-043."""
    several = ["anna.b@exempel.se", "annab@exempel.se", "annab+x@exempel.se", "annab-x@exempel.se"]
    found = [normal("email", address) for address in several]
    assert [given for given, _ in found] == several
    assert len({indexed for _, indexed in found}) == len(several)


@pytest.mark.parametrize(("channel", "address"), [("email", "anna"), ("email", "a@b\r\nBcc: c@d"), ("sms", "12x")])
def test_a_bad_address_is_rejected_without_being_quoted(channel: str, address: str) -> None:
    with pytest.raises(Rejected) as caught:
        normal(channel, address)  # type: ignore[arg-type]
    assert address not in str(caught.value)
