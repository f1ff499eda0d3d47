"""The ledger's states in the field's words, and what may be tried again."""

import re
from pathlib import Path

import pytest

from services.notifier.channels import smtp_replies, twilio_codes
from services.notifier.channels.port import State
from services.notifier.policy.field_words import (
    KNOWN,
    OF_THE_ADDRESS,
    PASSES,
    PERMANENT,
    TECHNICAL,
    TEMPORARY,
    may_be_tried_again,
    states,
    word,
)
from tests.transitions import stated

RULES = [*(rule.outcome for rule in smtp_replies._RULES), *twilio_codes._OUTCOMES.values()]


@pytest.mark.parametrize(
    ("state", "code", "said"),
    [
        ("sent", "accepted", "sent"), ("retry", "greylisted", TEMPORARY), ("failed", "mailbox_full", TEMPORARY),
        ("failed", "no_such_address", PERMANENT), ("failed", "compose_failed", TECHNICAL),
        ("failed", "a_code_of_tomorrow", TECHNICAL), ("not_reachable", "", "not reachable"), ("unknown", "", "unknown"),
    ],
)  # fmt: skip
def test_a_state_has_the_fields_word(state: str, code: str, said: str) -> None:
    assert word(state, code) == said


def test_an_address_that_is_suppressed_is_a_permanent_failure_and_an_alarm_of_ours_is_not() -> None:
    failed = [outcome for outcome in RULES if outcome.state is State.FAILED]
    assert {word("failed", outcome.code) for outcome in failed if outcome.suppress} == {PERMANENT}
    assert {word("failed", outcome.code) for outcome in failed if outcome.alarm} == {TECHNICAL}
    passing = [outcome for outcome in RULES if outcome.state is State.RETRY and not outcome.alarm]
    assert {word("failed", outcome.code) for outcome in passing} == {TEMPORARY}


def test_what_may_have_been_taken_is_not_tried_again() -> None:
    assert not may_be_tried_again("failed", "unknown_outcome")
    assert not may_be_tried_again("failed", "no_such_address")
    assert not may_be_tried_again("sent", "accepted")
    assert may_be_tried_again("failed", "compose_failed")


def test_a_word_and_the_ledgers_own_name_find_the_same_states() -> None:
    assert states("not reachable") == {"not reachable", "not_reachable"}
    assert states("not_reachable") == {"not_reachable"}
    assert (states("held"), states("waiting"), states("retry")) == ({"held", "waiting"}, {"admitted"}, {"retry"})
    assert states("pending") == {"pending", "put_back"}


def test_every_code_of_the_address_is_one_that_a_channel_says() -> None:
    said = "\n".join(path.read_text() for path in Path(smtp_replies.__file__).parent.glob("*.py"))
    assert [code for code in OF_THE_ADDRESS | PASSES if not re.search(f'"{code}"', said)] == []


def test_every_state_that_a_message_has_can_be_asked_for() -> None:
    assert stated().keys() <= KNOWN
    assert "nope" not in KNOWN
