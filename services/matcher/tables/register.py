"""The register at its last complete import.

Rows of an import are staged until its marker has been seen on every partition and are then taken all at once: half a
register is never matched. A row of an import that a later one has overtaken changes nothing, whenever it arrives.
Erasures (tombstones) are the exception and hold at once.
"""

import asyncio
from collections.abc import Sequence

from schemas.company import COMPANY_CHANGED, IMPORT_COMPLETED, Company, ImportCompleted
from services.matcher.dialogue.working_days import local_day
from services.matcher.tables.records import event_in
from services.matcher.workplaces import EMPTY, Snapshot, Workplace, changed
from services.runtime.logs import logger
from services.runtime.records import Record


class RegisterTable:
    """The register, from `companies`."""

    def __init__(self) -> None:
        self._register = EMPTY
        self._changes: dict[str, Workplace | None] = {}
        """What this batch says of the register besides imports: rows that came late, and None for what is erased."""
        self._staged: dict[str, tuple[int, Workplace]] = {}
        """Rows that wait for their import's marker, with its number."""
        self._markers: dict[str, dict[int, ImportCompleted]] = {}

    @property
    def import_number(self) -> int:
        """The last complete import; 0 before the first."""
        return self._register.import_number

    def snapshot(self) -> Snapshot | None:
        """The register as columns; None before the first complete import."""
        return self._register if self.import_number else None

    def begin(self, register: Snapshot) -> None:
        """Begins with a register that was read before, instead of with nothing."""
        self._register = register

    def settled(self) -> Snapshot | None:
        """The register, unless there is none yet or some of a later import is here: that is not in its columns."""
        known = self.import_number
        later = any(m.import_number > known for seen in self._markers.values() for m in seen.values())
        return None if self._staged or self._changes or later else self.snapshot()

    async def apply(self, records: Sequence[Record]) -> None:
        """Takes a batch of the topic."""
        for record in records:
            if record.value is None:
                self._erase((record.key or b"").decode(errors="replace"))
                continue
            event = event_in(
                record, {COMPANY_CHANGED: Company, IMPORT_COMPLETED: ImportCompleted}, "se.nardialog.company."
            )
            if isinstance(event, Company):
                self._take(event)
            elif isinstance(event, ImportCompleted):
                await self._mark(event)
        await self._change()

    def _erase(self, workplace_id: str) -> None:
        self._staged.pop(workplace_id, None)
        self._changes[workplace_id] = None

    def _take(self, company: Company) -> None:
        row, number = Workplace.of(company), company.import_number
        if number > self.import_number:
            if self._staged.get(row.workplace_id, (0, row))[0] <= number:
                self._staged[row.workplace_id] = (number, row)
        elif not (0 < number < self.import_number and self._register.row(row.workplace_id) is not None):
            self._changes[row.workplace_id] = row
            self._staged.pop(row.workplace_id, None)

    async def _mark(self, marker: ImportCompleted) -> None:
        seen = self._markers.setdefault(marker.import_id, {})
        seen[marker.partition] = marker
        if len(seen) < marker.partitions or marker.import_number <= self.import_number:
            return
        complete = [row for number, row in self._staged.values() if number <= marker.import_number]
        self._changes |= {row.workplace_id: row for row in complete}
        await self._change(marker)
        self._staged = {key: row for key, row in self._staged.items() if row[0] > marker.import_number}
        self._markers = {marker.import_id: seen}
        logger().info("register complete", import_number=marker.import_number, rows=self._register.count)

    async def _change(self, marker: ImportCompleted | None = None) -> None:
        """Puts the changes in the register. Erasing is cheap; all else makes new columns, beside the work."""
        rows = [row for row in self._changes.values() if row is not None]
        gone = [key for key, row in self._changes.items() if row is None]
        known = self._register
        if marker is None and not rows:
            self._register = known.without(gone)
        else:
            self._register = await asyncio.to_thread(
                changed, known, rows, frozenset(gone),
                import_number=marker.import_number if marker else known.import_number,
                register_date=local_day(marker.completed_at) if marker else known.register_date,
                register_version=marker.content_hash if marker else known.register_version,
            )  # fmt: skip
        self._changes = {}
