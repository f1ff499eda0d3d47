"""How much is claimed for a channel at once."""

from hypothesis import given
from hypothesis import strategies as st

from services.notifier.stride import Stride


def test_a_channel_is_given_what_it_takes_in_three_seconds() -> None:
    stride = Stride(least=20, most=500)
    stride.took(100, 1.5)
    assert stride.claim == 200


def test_a_slow_channel_is_given_enough_to_keep_its_calls_busy_and_a_fast_one_no_more_than_the_limit() -> None:
    stride = Stride(least=20, most=500)
    stride.took(100, 100.0)
    assert stride.claim == 20
    stride.took(20, 0.001)
    assert stride.claim == 500


def test_the_few_messages_of_a_quiet_day_say_nothing_of_the_channel() -> None:
    stride = Stride(least=20, most=500)
    stride.took(1, 2.0)
    assert stride.claim == 100


@given(st.lists(st.tuples(st.integers(0, 2000), st.floats(0, 1e6))), st.integers(1, 1000))
def test_a_claim_never_exceeds_what_may_be_unknown_after_a_crash(took: list[tuple[int, float]], most: int) -> None:
    stride = Stride(least=20, most=most)
    for messages, seconds in took:
        stride.took(messages, seconds)
        assert 1 <= stride.claim <= most
