"""Who is reminded, when, and at which address."""

from datetime import date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.round import EXAMPLE, Round
from services.notifier.policy.reminder import REST, Address, addresses, is_due, last_moment, may_follow
from services.notifier.policy.windows import ZONE

REMIND_AT = datetime(2025, 12, 1, 9, tzinfo=ZONE)
END = datetime(2025, 12, 6, tzinfo=ZONE)


def asking(**changes: Any) -> Round:
    return Round.model_validate({**EXAMPLE, "remind_at": REMIND_AT, **changes})


def planned(**changes: Any) -> Round:
    return asking(plan={**EXAMPLE["plan"], **changes})  # type: ignore[dict-item]


def test_nobody_is_reminded_before_the_round_says_so_or_after_the_last_day() -> None:
    assert not is_due(asking(), REMIND_AT - timedelta(seconds=1))
    assert is_due(asking(), REMIND_AT)
    assert is_due(asking(), END - timedelta(seconds=1))
    assert not is_due(asking(), END)


@pytest.mark.parametrize("state", ["held", "silent", "matching", "closed", "withdrawn"])
def test_a_round_that_is_not_open_reminds_nobody(state: str) -> None:
    assert not is_due(asking(state=state), REMIND_AT)


@pytest.mark.parametrize("purpose", ["inform", "feedback", "change"])
def test_only_a_round_that_asks_reminds(purpose: str) -> None:
    assert not is_due(asking(purpose=purpose), REMIND_AT)
    assert not is_due(planned(asks=False), REMIND_AT)


def test_a_round_whose_plan_has_no_reminder_and_one_without_an_end_remind_nobody() -> None:
    assert not is_due(planned(reminder=None), REMIND_AT)
    assert not is_due(asking(remind_at=None), REMIND_AT)
    assert not is_due(asking(respond_by=None, expires_at=None), REMIND_AT)


def test_the_last_moment_is_the_end_of_the_last_day_or_the_expiry_that_comes_sooner() -> None:
    assert last_moment(asking(expires_at=END + timedelta(days=3))) == END
    assert last_moment(asking(expires_at=REMIND_AT)) == REMIND_AT
    assert last_moment(asking(respond_by=None)) == END


@given(st.dates(date(2024, 1, 1), date(2027, 12, 31)), st.integers(-2000, 2000))
def test_whoever_is_reminded_can_still_answer(respond_by: date, minutes: int) -> None:
    last = last_moment(asking(respond_by=respond_by, expires_at=None))
    assert last is not None
    now = last + timedelta(minutes=minutes)
    due = is_due(asking(respond_by=respond_by, expires_at=None, remind_at=last - timedelta(days=1)), now)
    assert due == (last - timedelta(days=1) <= now < last)
    assert not due or now.astimezone(ZONE).date() <= respond_by


@pytest.mark.parametrize(
    ("state", "code", "followed"),
    [
        ("sent", "accepted", True),
        ("delivered", "ok", True),
        ("failed", "unknown_outcome", True),
        ("failed", "5.1.1", False),
        ("suppressed", "stop", False),
        ("expired", "expired", False),
        ("cancelled", "revoked", False),
        ("unknown", "sender_died", False),
        ("sending", "", False),
        ("pending", "", False),
        ("retry", "4.7.1", False),
    ],
)
def test_only_what_reached_an_address_or_may_have_is_followed_up(state: str, code: str, followed: bool) -> None:
    assert may_follow(state, code, REMIND_AT - REST, REMIND_AT) is followed
    assert not may_follow(state, code, None, REMIND_AT)


@given(st.integers(0, 10 * 24 * 60))
def test_nobody_is_reminded_of_what_came_less_than_two_days_ago(minutes: int) -> None:
    ago = timedelta(minutes=minutes)
    assert may_follow("sent", "accepted", REMIND_AT - ago, REMIND_AT) == (ago >= timedelta(days=2))


MAIL, OTHER, PHONE, NEW = (
    Address(channel, "sv", index, b"")
    for channel, index in (("email", "m"), ("email", "o"), ("sms", "p"), ("sms", "n"))
)


@pytest.mark.parametrize(
    ("wanted", "had", "phones", "reminded"),
    [
        ("email", [MAIL], [NEW], [MAIL]),
        ("email", [MAIL, OTHER, PHONE], [], [MAIL, OTHER]),
        ("email", [PHONE], [PHONE], [PHONE]),
        ("sms", [MAIL, PHONE], [PHONE, NEW], [PHONE]),
        ("sms", [MAIL], [NEW], [NEW]),
        ("sms", [MAIL], [], [MAIL]),
    ],
)
def test_a_reminder_goes_by_the_channel_of_the_plan_and_otherwise_where_the_question_went(
    wanted: str, had: list[Address], phones: list[Address], reminded: list[Address]
) -> None:
    assert list(addresses(wanted, had, phones)) == reminded


_ADDRESSES = st.lists(st.sampled_from([MAIL, OTHER, PHONE, NEW]), unique=True)


@given(st.sampled_from(["email", "sms"]), _ADDRESSES.filter(bool), _ADDRESSES)
def test_whoever_had_the_question_is_reminded_somewhere_and_by_one_channel(
    wanted: str, had: list[Address], phones: list[Address]
) -> None:
    found = addresses(wanted, had, [one for one in phones if one.channel == "sms"])
    assert found
    assert set(found) <= {*had, *phones}
    by_wanted = {one.channel for one in found} == {wanted}
    assert by_wanted or all(one.channel != wanted for one in had)
