"""What was done with a dead letter, as it is written behind it and read again."""

from datetime import UTC, datetime

import pytest

from services.demo.board import Board
from services.ops.dead_letters import Letter
from services.ops.outcomes import BadAccount, Done, account, file, outcome
from services.runtime.dead_letters import headers, is_outcome
from services.runtime.errors import Rejected
from services.runtime.records import Record

NOW = datetime(2026, 11, 25, 8, tzinfo=UTC)


def letter(offset: int, partition: int = 0) -> Record:
    original = Record("cases", 1, 7, b"k", b"{}", (("dlq_outcome", b"discarded"),), 0)
    why = tuple(headers(original, Rejected("bad_json", "send JSON"), "matcher"))
    return Record("cases.dlq", partition, offset, b"k", b"{}", why, 0)


def mark(of: Record, offset: int, done: Done = Done.REPLAYED, by: str = "berit") -> Record:
    posting = outcome(Letter(of), account(done, by, ""), NOW, None).posting(Letter(of).address)
    assert (posting.topic, posting.partition) == (of.topic, of.partition)
    return Record(of.topic, of.partition, offset, posting.key, posting.value, posting.headers, 0)


def test_a_letter_is_open_until_a_mark_in_its_own_partition_names_its_offset() -> None:
    first, second, elsewhere = letter(0, partition=1), letter(1, partition=1), letter(0)
    filed = file([first, second, mark(first, 2), elsewhere])
    assert [(str(item.letter.address), item.outcome and item.outcome.done) for item in filed] == [
        ("cases.dlq/1/0", "replayed"), ("cases.dlq/1/1", None), ("cases.dlq/0/0", None),
    ]  # fmt: skip


def test_of_two_marks_the_first_counts() -> None:
    one = letter(0)
    (filed,) = file([one, mark(one, 1, by="berit"), mark(one, 2, Done.DISCARDED, by="bo")])
    assert filed.outcome
    assert (filed.outcome.done, filed.outcome.by) == (Done.REPLAYED, "berit")


def test_a_mark_that_cannot_be_read_leaves_its_letter_open() -> None:
    strange = Record("cases.dlq", 0, 1, None, b"{", (("dlq_outcome", b"x"),), 0)
    (filed,) = file([letter(0), strange])
    assert filed.outcome is None


def test_a_producer_cannot_pass_its_record_off_as_a_mark() -> None:
    assert not is_outcome(letter(0))


@pytest.mark.parametrize("because", ["asked by anna@exempel.example", "it is 19121212-1212's", "x" * 201])
def test_what_is_said_of_why_is_short_and_names_no_person(because: str) -> None:
    with pytest.raises(BadAccount, match="--because"):
        account(Done.DISCARDED, "berit", because)


async def test_the_demo_counts_letters_and_not_what_was_done_with_them() -> None:
    board = Board()
    one = letter(0)
    await board.apply([one, mark(one, 1)])
    assert len(board.dead_letters) == 1
