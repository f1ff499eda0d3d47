"""The cases, as their topic has them."""

from collections.abc import Sequence

from schemas.case import Case
from schemas.envelope import decode
from schemas.model import DialogueModel
from services.matcher.door import accept, is_edited
from services.runtime.errors import Rejected
from services.runtime.parsing import Parsed
from services.runtime.records import Record


class CaseTable:
    """The latest state of every case, and whether it came with the mark that asks for a look."""

    def __init__(self, model: DialogueModel, *, anywhere: bool) -> None:
        self._model = model
        self._anywhere = anywhere
        self._cases: dict[str, tuple[Case, bool]] = {}
        self._read: dict[str, tuple[int, int, Case]] = {}
        self._earlier: dict[str, dict[tuple[str, int], Case]] = {}

    async def apply(self, records: Sequence[Record]) -> None:
        """Takes a batch of the topic; what the door refuses is not here, its subscriber sets it aside."""
        for record in records:
            if record.value is None:
                for table in (self._cases, self._earlier, self._read):
                    table.pop((record.key or b"").decode(errors="replace"), None)
                continue
            try:
                parsed = accept(record, self._model, anywhere=self._anywhere)
            except Rejected:
                continue
            if parsed is not None:
                self._read[parsed.event.key] = (record.partition, record.offset, parsed.event)
                self.put(parsed.event, edited=is_edited(parsed))

    def accept(self, record: Record) -> Parsed[Case] | None:
        """What the door says of a record. The table reads ahead of us, so it was mostly asked of this one already."""
        partition, offset, case = self._read.get((record.key or b"").decode(errors="replace"), (-1, -1, None))
        if case is not None and (partition, offset) == (record.partition, record.offset):
            return Parsed(record, decode(record.headers), case)
        return accept(record, self._model, anywhere=self._anywhere)

    def put(self, case: Case, *, edited: bool) -> None:
        """Keeps a case unless a later version is known. A version that was once marked stays marked. One that comes
        after a later version is kept beside it where it is of another stage: that may still have to be opened.
        """
        known, marked = self._cases.get(case.key, (None, False))
        if known is None or known.version < case.version:
            self._cases[case.key] = (case, edited)
        elif known.version == case.version:
            self._cases[case.key] = (case, edited or marked)
        elif (case.stage, case.occurrence) != (known.stage, known.occurrence):
            stages = self._earlier.setdefault(case.key, {})
            before = stages.get((case.stage, case.occurrence))
            if before is None or before.version <= case.version:
                stages[case.stage, case.occurrence] = case

    def earlier(self, key: str) -> list[Case]:
        """Versions that came after a later one, one for each stage that was not that one's."""
        return list(self._earlier.get(key, {}).values())

    def get(self, key: str) -> Case | None:
        """A case."""
        return self._cases.get(key, (None, False))[0]

    def edited(self, case: Case) -> bool:
        """Whether this version of a case was marked."""
        known, marked = self._cases.get(case.key, (None, False))
        return marked and known is not None and known.version == case.version

    def known(self) -> list[str]:
        """All case keys, in order."""
        return sorted(self._cases)
