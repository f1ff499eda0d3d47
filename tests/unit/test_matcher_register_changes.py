"""The register changes while cases come: what is gone is gone at once, what moved is in one place, older never wins."""

from collections.abc import Sequence

import numpy as np
import shapely

from schemas.company import (
    COMPANY_CHANGED,
    EXAMPLE,
    IMPORT_COMPLETED,
    MARKER_EXAMPLE,
    MARKER_PREFIX,
    Company,
    ImportCompleted,
)
from schemas.topics import COMPANIES
from schemas.types import Event, moment
from services.matcher.geometry import Part, project
from services.matcher.tables.register import RegisterTable
from services.runtime.parsing import outgoing
from services.runtime.records import Outgoing, Record

MORBY, DJURSHOLM = (18.0365, 59.3985), (18.0850, 59.3990)
NOW = moment("2027-02-01T08:00:00+01:00")


class Topic:
    """The companies topic of one partition, and the table that reads it."""

    def __init__(self) -> None:
        self.table = RegisterTable()
        self._offset = 0

    async def says(self, *records: Outgoing) -> None:
        read = []
        for item in records:
            headers = tuple((name, text.encode()) for name, text in item.headers.items())
            read.append(Record(COMPANIES.name, 0, self._offset, item.key.encode(), item.value, headers, 0))
            self._offset += 1
        await self.table.apply(read)

    async def imported(self, number: int, *companies: Company) -> None:
        await self.says(*(row(one, number) for one in companies), marker(number))

    def near(self, place: tuple[float, float], metres: float = 500) -> list[str]:
        register = self.table.snapshot()
        assert register is not None
        degrees = shapely.Point(place)
        rows, _ = register.near(Part("site", project(degrees), degrees), metres, None)
        return [register.workplace_id(row) for row in np.asarray(rows).tolist()]

    def status(self, workplace_id: str) -> str | None:
        register = self.table.snapshot()
        assert register is not None
        found = register.row(workplace_id)
        return None if found is None else register.status_of(found)


def workplace(workplace_id: str = "90000002", place: tuple[float, float] = MORBY, status: str = "active") -> Company:
    return Company.model_validate(
        EXAMPLE | {"workplace_id": workplace_id, "lon": place[0], "lat": place[1], "status": status}
    )


def row(company: Company, number: int) -> Outgoing:
    return record(company.workplace_id, company.model_copy(update={"import_number": number}), COMPANY_CHANGED, number)


def marker(number: int) -> Outgoing:
    content = MARKER_EXAMPLE | {"import_number": number, "import_id": str(number), "partitions": 1}
    return record(f"{MARKER_PREFIX}0", ImportCompleted.model_validate(content), IMPORT_COMPLETED, number)


def record(key: str, event: Event, type_: str, number: int) -> Outgoing:
    return outgoing(COMPANIES.name, key, event, type=type_, id=f"{key}/{number}", source="test", time=NOW)


async def test_fc_087_an_erased_workplace_is_in_no_answer_at_once() -> None:
    topic = Topic()
    await topic.imported(1, workplace(), workplace("90000003"))
    await topic.says(Outgoing(COMPANIES.name, "90000002", None))
    assert topic.near(MORBY) == ["90000003"]
    assert topic.status("90000002") is None


async def test_fc_087_an_erasure_in_the_middle_of_an_import_does_not_bring_its_other_rows_forward() -> None:
    topic = Topic()
    await topic.imported(1, workplace(), workplace("90000003"))
    await topic.says(row(workplace("90000004"), 2), Outgoing(COMPANIES.name, "90000002", None))
    assert topic.near(MORBY) == ["90000003"]
    await topic.says(marker(2))
    assert topic.near(MORBY) == ["90000003", "90000004"]


async def test_fc_088_a_workplace_that_moved_is_found_where_it_is_and_never_where_it_was() -> None:
    topic = Topic()
    await topic.imported(1, workplace())
    assert (topic.near(MORBY), topic.near(DJURSHOLM)) == (["90000002"], [])
    await topic.says(row(workplace(place=DJURSHOLM), 2))
    assert (topic.near(MORBY), topic.near(DJURSHOLM)) == (["90000002"], [])
    await topic.says(marker(2))
    assert (topic.near(MORBY), topic.near(DJURSHOLM)) == ([], ["90000002"])
    assert topic.near(MORBY, 5000) == ["90000002"]


async def test_fc_089_a_workplace_that_opens_between_two_closings_is_open_meanwhile_and_in_the_end() -> None:
    topic = Topic()
    seen = []
    for number, status in enumerate(("closed", "active", "closed", "active"), 1):
        await topic.imported(number, workplace(status=status))
        seen.append(topic.status("90000002"))
    assert seen == ["closed", "active", "closed", "active"]


async def test_fc_089_the_state_follows_the_registers_version_and_not_the_order_of_arrival() -> None:
    topic = Topic()
    states: Sequence[str] = ("closed", "active", "closed", "active")
    for number, status in enumerate(states, 1):
        await topic.imported(number, workplace(status=status))
    for number, status in enumerate(states[:3], 1):
        await topic.says(row(workplace(status=status), number))
        assert topic.status("90000002") == "active"
    await topic.says(row(workplace(status="vacant"), 6), row(workplace(status="closed"), 5), marker(6))
    assert topic.status("90000002") == "vacant"
