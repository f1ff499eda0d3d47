"""How a provider that says "too fast" is given fewer, and when refusals by policy stop a channel."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from services.notifier.policy.pace import Pace
from services.notifier.policy.refusals import LEAST, Refusals

NOON = datetime(2025, 11, 10, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def hurried(count: int = 100) -> Pace:
    """A provider that was given so many in a minute, and then complained."""
    pace = Pace()
    for _ in range(count):
        pace.given(NOON)
    pace.too_fast(NOON)
    return pace


def test_nothing_limits_a_provider_that_never_complained() -> None:
    pace = Pace()
    for _ in range(10_000):
        pace.given(NOON)
    assert pace.allowance(NOON) is None


def test_after_a_complaint_it_gets_half_of_that_minute_and_this_minute_nothing_more() -> None:
    pace = hurried()
    assert pace.allowance(NOON) == 0
    assert pace.allowance(NOON + MINUTE) == 50
    pace.given(NOON + MINUTE)
    assert pace.allowance(NOON + MINUTE) == 49


def test_the_complaints_of_one_minute_are_one() -> None:
    pace = hurried()
    for _ in range(10):
        pace.too_fast(NOON)
    assert pace.allowance(NOON + MINUTE) == 50


def test_a_second_complaint_halves_again() -> None:
    pace = hurried()
    pace.too_fast(NOON + MINUTE)
    assert pace.allowance(NOON + 2 * MINUTE) == 25


def test_a_minute_that_begins_with_the_complaint_looks_at_the_one_before() -> None:
    pace = Pace()
    for _ in range(80):
        pace.given(NOON)
    pace.too_fast(NOON + MINUTE)
    assert pace.allowance(NOON + 2 * MINUTE) == 40


def test_each_quiet_minute_gives_a_quarter_more_until_it_is_free_again() -> None:
    pace = hurried()
    assert [pace.allowance(NOON + n * MINUTE) for n in (1, 2, 3)] == [50, 62, 78]
    assert pace.allowance(NOON + 8 * MINUTE) is None


@given(st.lists(st.tuples(st.integers(0, 300), st.sampled_from(["given", "too_fast", "asked"])), max_size=60))
def test_it_is_always_given_something_in_the_next_minute(story: list[tuple[int, str]]) -> None:
    pace, now = Pace(), NOON
    for seconds, what in story:
        now += timedelta(seconds=seconds)
        if what == "asked":
            allowed = pace.allowance(now)
            assert allowed is None or allowed >= 0
        else:
            getattr(pace, what)(now)
    later = pace.allowance(now + MINUTE)
    assert later is None or later >= 1


def test_a_few_refusals_among_many_stop_nothing() -> None:
    refusals = Refusals(20)
    assert not any(refusals.too_many(refused=number % 5 == 4) for number in range(400))


def test_more_than_the_share_stops_and_then_the_counting_begins_anew() -> None:
    refusals = Refusals(20)
    assert [refusals.too_many(refused=True) for _ in range(LEAST)] == [False] * (LEAST - 1) + [True]
    assert [refusals.too_many(refused=True) for _ in range(LEAST)] == [False] * (LEAST - 1) + [True]


@given(st.lists(st.booleans(), max_size=300))
def test_what_was_taken_never_stops_a_channel_and_nought_percent_never_does(outcomes: list[bool]) -> None:
    refusals, never = Refusals(20), Refusals(0)
    for refused in outcomes:
        assert not (refusals.too_many(refused=refused) and not refused)
        assert not never.too_many(refused=refused)
