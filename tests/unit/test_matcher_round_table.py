"""The table of rounds knows its own records when they come back, however soon, and no others for its own."""

import pytest

from schemas.envelope import Envelope
from schemas.round import EXAMPLE, ROUND_CHANGED, Round
from services.matcher.tables.rounds import RoundTable, said
from services.runtime.errors import Transient
from services.runtime.parsing import encoded
from services.runtime.records import Record

pytestmark = pytest.mark.anyio
FIRST = Round.model_validate(EXAMPLE)
NEXT = FIRST.model_copy(update={"basis": FIRST.basis.model_copy(update={"case_version": 7})})


def record(item: Round) -> Record:
    headers = Envelope(id=said(item), source="prov", type=ROUND_CHANGED).headers()
    raw = tuple((name, text.encode()) for name, text in headers.items())
    return Record("rounds", 0, 0, item.round_id.encode(), encoded(item), raw, 0)


async def test_what_comes_back_before_it_is_acknowledged_is_known_and_is_not_taken_for_ours_twice() -> None:
    table = RoundTable()
    with table.written([FIRST]):
        await table.apply([record(FIRST)])
        assert table.get(FIRST.round_id) is FIRST
    with table.written([NEXT]):
        pass
    await table.apply([record(NEXT)])
    assert (table.get(FIRST.round_id), table.overwritten) == (NEXT, {})
    await table.apply([record(FIRST)])  # another instance's, that had lost the partition
    assert (table.get(FIRST.round_id), table.overwritten) == (NEXT, {FIRST.round_id: FIRST.case_key})


async def test_what_is_written_twice_comes_back_twice() -> None:
    table = RoundTable()
    for _ in range(2):
        with table.written([FIRST]):
            pass
    with table.written([NEXT]):
        pass
    await table.apply([record(FIRST), record(FIRST)])
    assert table.overwritten == {}
    await table.apply([record(FIRST)])
    assert table.overwritten == {FIRST.round_id: FIRST.case_key}


async def test_where_writing_failed_what_comes_is_read() -> None:
    table = RoundTable()
    with pytest.raises(Transient), table.written([FIRST]):
        raise Transient("not acknowledged")
    assert table.get(FIRST.round_id) is None
    await table.apply([record(FIRST)])
    assert table.get(FIRST.round_id) == FIRST
