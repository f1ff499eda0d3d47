"""What ops tells of: open dead letters, and verdicts as metrics and as lines when they change."""

from collections.abc import MutableMapping
from typing import Any

import pytest
from prometheus_client import REGISTRY

from services.ops.dead_letters import Address
from services.ops.lag import History
from services.ops.outcomes import Done, Outcome
from services.ops.watch import LagWatch, OpenLetters
from services.runtime.clock import SystemClock
from services.runtime.records import Record
from services.runtime.topic_admin import LagRow

pytestmark = pytest.mark.anyio


def metric(name: str, **labels: str) -> float | None:
    return REGISTRY.get_sample_value(name, labels)


def letter(offset: int, topic: str = "cases.dlq") -> Record:
    return Record(topic, 0, offset, b"k", b"v", (("dlq_reason", b"broken_json"),), 0)


def done(offset: int, about: int, topic: str = "cases.dlq") -> Record:
    outcome = Outcome(done=Done.DISCARDED, by="drift", because="prov", letter=about, at=SystemClock().now())
    posting = outcome.posting(Address(topic, 0, about))
    return Record(topic, 0, offset, posting.key, posting.value, tuple(posting.headers), 0)


async def test_a_letter_waits_until_something_was_done_with_it() -> None:
    letters = OpenLetters()
    await letters.apply([letter(0), letter(1)])
    assert metric("nardialog_open_dead_letters", topic="cases.dlq") == 2
    await letters.apply([done(2, about=0), letter(3)])
    assert metric("nardialog_open_dead_letters", topic="cases.dlq") == 2
    await letters.apply([done(4, about=1), done(5, about=3)])
    assert metric("nardialog_open_dead_letters", topic="cases.dlq") == 0


def row(committed: int, end: int) -> LagRow:
    return LagRow("matcher", "cases", 0, committed, log_start=0, end=end, members=1)


def test_a_reader_that_stands_still_is_told_of_once_and_a_group_that_is_gone_no_more(
    logged: list[MutableMapping[str, Any]],
) -> None:
    watch, history = LagWatch(lambda: ([], {}), 1), History()
    for _ in range(12):
        watch.tell(history.readers([row(5, 9)], {("cases", 0, 5): 30.0}))
    labels: dict[str, Any] = {"topic": "cases", "group": "matcher"}
    assert metric("nardialog_lag_records", **labels) == 4
    assert metric("nardialog_lag_seconds", **labels) == 30
    assert metric("nardialog_lag_verdict", **labels) == 5
    assert [line["verdict"] for line in logged] == ["stands still"]
    watch.tell(history.readers([], {}))
    assert metric("nardialog_lag_records", **labels) is None
