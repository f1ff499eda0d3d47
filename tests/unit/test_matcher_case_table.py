"""The table of cases reads ahead of who handles them, and asks the door once for both."""

from typing import Any

import pytest

from schemas.case import Case
from services.matcher.tables.cases import CaseTable
from services.runtime.errors import Rejected
from services.runtime.parsing import encoded
from services.runtime.records import Record
from tests.matcher_cases import content
from tests.matcher_offline import MODEL

pytestmark = pytest.mark.anyio
HEADERS = (
    ("ce_specversion", b"1.0"),
    ("ce_id", b"1"),
    ("ce_source", b"prov"),
    ("ce_type", b"se.nardialog.case.changed.v1"),
    ("ce_time", b"2026-11-25T08:00:00Z"),
)


def record(offset: int, *, partition: int = 0, **changes: Any) -> Record:
    case = Case.model_validate(content(**changes))
    return Record("cases", partition, offset, case.key.encode(), encoded(case), HEADERS, 0)


async def test_of_two_records_of_one_version_each_gives_its_own_case() -> None:
    table = CaseTable(MODEL, anywhere=False)
    first, second = record(5, title="Ett"), record(6, title="Två")
    await table.apply([first, second])
    for given, title in ((first, "Ett"), (second, "Två"), (first, "Ett")):
        parsed = table.accept(given)
        assert parsed is not None
        table.put(parsed.event, edited=False)
        assert (parsed.event.title, parsed.record, parsed.envelope.id) == (title, given, "1")


async def test_a_record_that_the_table_has_not_read_is_taken_by_the_door_as_well() -> None:
    table = CaseTable(MODEL, anywhere=False)
    await table.apply([record(5, title="Ett")])
    for other in (record(7, title="Tre"), record(5, partition=1, title="Tre")):
        parsed = table.accept(other)
        assert parsed is not None
        assert parsed.event.title == "Tre"


async def test_what_the_door_refuses_is_refused_whoever_asks() -> None:
    table, wrong = CaseTable(MODEL, anywhere=False), record(5, stage="finns-inte")
    await table.apply([wrong])
    with pytest.raises(Rejected, match="no such stage"):
        table.accept(wrong)
