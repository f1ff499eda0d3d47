"""Cases, their rounds and the decisions on them, read from the topics to their ends: what a command needs to know now.

Reading is as tolerant as the matcher's: what it sets aside is not a case's state here either.
"""

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from schemas import case_rules
from schemas.case import CASE_CHANGED, Case
from schemas.dialogue import DIALOGUE_CHANGED, Dialogue
from schemas.model import DialogueModel
from schemas.round import ROUND_CHANGED, Round
from schemas.topics import CASES, DIALOGUES, ROUNDS
from schemas.types import Event
from services.runtime.errors import Permanent, Rejected
from services.runtime.parsing import parse
from services.runtime.records import Record
from services.runtime.settings import KafkaSettings
from services.runtime.tables import TableReader

TYPES: dict[str, type[Event]] = {CASE_CHANGED: Case, ROUND_CHANGED: Round, DIALOGUE_CHANGED: Dialogue}

_LATEST: Final = datetime.max.replace(tzinfo=UTC)


@dataclass
class CaseBook:
    """What is known of every case, as of the last `caught_up`."""

    model: DialogueModel
    anywhere: bool = False
    cases: dict[str, Case] = field(default_factory=dict)
    rounds: dict[str, Round] = field(default_factory=dict)
    decisions: dict[str, Dialogue] = field(default_factory=dict)

    async def apply(self, records: Sequence[Record]) -> None:
        """Takes a batch of any of the topics."""
        for record in records:
            if record.value is None:
                self._forget(record)
                continue
            try:
                parsed = parse(record, TYPES, "se.nardialog.")
            except Rejected:
                continue
            if parsed is not None:
                self._take(parsed.event, (record.key or b"").decode(errors="replace"))

    def of_case(self, key: str) -> list[Round]:
        """A case's rounds, in the order in which they were opened."""
        return in_order(item for item in self.rounds.values() if item.case_key == key)

    def key_of(self, asked: str) -> str:
        """The key of the case that is meant: by its key, or by a case id that only one has. Raises `Permanent`."""
        keys = {*self.cases, *(item.case_key for item in self.rounds.values())}
        if asked in keys:
            return asked
        found = sorted(key for key in keys if key.split("/", 2)[2] == asked)
        if len(found) == 1:
            return found[0]
        if found:
            raise Permanent(f"{len(found)} cases are called so: say which of {', '.join(found)}")
        raise Permanent("no such case is known: see `nardialog case list`, or give municipality/source/case id")

    def _take(self, event: Event, key: str) -> None:
        if isinstance(event, Case):
            known = self.cases.get(event.key)
            if key == event.key and not (known and known.version > event.version) and self._is_taken(event):
                self.cases[event.key] = event
        elif isinstance(event, Round):
            before = self.rounds.get(event.round_id)
            if not (before and before.basis.order > event.basis.order):
                self.rounds[event.round_id] = event
        elif isinstance(event, Dialogue):
            decided = self.decisions.get(event.key)
            if not (decided and decided.number > event.number):
                self.decisions[event.key] = event

    def _is_taken(self, case: Case) -> bool:
        return not any(case_rules.complaints(case, self.model, anywhere=self.anywhere))

    def _forget(self, record: Record) -> None:
        key = (record.key or b"").decode(errors="replace")
        for table in (self.cases, self.rounds, self.decisions):
            table.pop(key, None)


@asynccontextmanager
async def reading(book: CaseBook, kafka: KafkaSettings) -> AsyncIterator[TableReader]:
    """The book filled from the topics, and a reader whose `caught_up` fills it again."""
    reader = TableReader(kafka, [kafka.topic(topic) for topic in (CASES, ROUNDS, DIALOGUES)], book.apply)
    await reader.start()
    try:
        await reader.caught_up()
        yield reader
    finally:
        await reader.stop()


def in_order(rounds: Iterable[Round]) -> list[Round]:
    """By case, and within a case by when they were opened."""
    return sorted(rounds, key=lambda item: (item.case_key, item.opened_at or _LATEST, item.round_id))
