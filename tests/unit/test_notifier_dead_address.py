"""When an address is given up, and what a late word may change."""

from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from services.notifier.channels.port import Outcome, State
from services.notifier.policy.dead_address import Ended, gives_up
from services.notifier.policy.late import moves

FULL = Outcome(State.FAILED, "mailbox_full", suppress_after=3)
STATES = ("pending", "retry", "sending", "unknown", "sent", "delivered", "failed", "cancelled", "suppressed", "expired")


def full(matter: int) -> Ended:
    return Ended(f"round {matter}", "failed", "mailbox_full")


def test_an_address_where_nobody_is_is_given_up_at_once() -> None:
    assert gives_up(Outcome(State.FAILED, "no_such_address", suppress=True), [])


def test_a_full_mailbox_is_given_up_after_three_matters_in_a_row() -> None:
    assert not gives_up(FULL, [full(2), full(1)])
    assert gives_up(FULL, [full(3), full(2), full(1)])


def test_a_reminder_of_the_same_matter_does_not_count_again() -> None:
    assert not gives_up(FULL, [full(2), full(2), full(1)])


def test_what_came_through_in_between_ends_the_row() -> None:
    assert not gives_up(FULL, [full(3), full(2), Ended("round 0", "sent", "accepted"), full(1)])


def test_another_refusal_in_between_ends_the_row() -> None:
    assert not gives_up(FULL, [full(3), full(2), Ended("round 0", "failed", "policy"), full(1)])


@given(st.lists(st.builds(Ended, st.text(max_size=2), st.sampled_from(STATES), st.sampled_from(["policy", "x"]))))
def test_what_is_no_fault_of_the_address_never_gives_it_up(latest: list[Ended]) -> None:
    assert not gives_up(Outcome(State.FAILED, "policy"), latest)


def test_delivered_wins_over_all_that_may_have_left_and_is_never_overwritten() -> None:
    left = {"sending", "unknown", "retry", "sent", "failed"}
    assert {state for state in STATES if moves(state, "delivered")} == left
    assert not any(moves("delivered", said) for said in ("delivered", "failed", "sent"))


def test_the_same_word_twice_changes_nothing() -> None:
    said = ("delivered", "failed", "sent")
    assert not any(moves(word, word) for word in said)  # type: ignore[arg-type]


def test_what_surely_never_left_is_moved_by_no_late_word() -> None:
    never = ("pending", "cancelled", "suppressed", "expired")
    assert not any(moves(*pair) for pair in product(never, ("delivered", "failed", "sent")))  # type: ignore[arg-type]
