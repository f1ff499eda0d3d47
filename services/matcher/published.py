"""What is known of one case and one workplace on the topics: read to their ends for a command, and then let go.

The matcher's own tables are used, with their rules of what stands. Of messages only those of one recipient are kept;
no address stands on these topics.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from schemas.case import CASE_CHANGED, Case
from schemas.company import COMPANY_CHANGED, IMPORT_COMPLETED, Company, ImportCompleted
from schemas.delivery import DELIVERY_RECORDED, Delivery
from schemas.model import DialogueModel
from schemas.suppression import SUPPRESSION_CHANGED, Suppression
from schemas.topics import (
    CASES,
    COMPANIES,
    DELIVERIES,
    DIALOGUES,
    INVITATIONS,
    ROUNDS,
    SUBSCRIPTIONS,
    SUPPRESSIONS,
)
from schemas.types import Event
from services.matcher.meant import one_of
from services.matcher.tables.cases import CaseTable
from services.matcher.tables.dialogues import DialogueTable
from services.matcher.tables.memberships import MembershipTable
from services.matcher.tables.rounds import RoundTable
from services.matcher.tables.subscriptions import SubscriptionTable
from services.runtime.errors import Permanent, Rejected
from services.runtime.parsing import parse
from services.runtime.records import Handle, Record
from services.runtime.settings import KafkaSettings
from services.runtime.tables import TableReader

TOLD: Final[dict[str, type[Event]]] = {DELIVERY_RECORDED: Delivery, SUPPRESSION_CHANGED: Suppression}


class CompanyTable:
    """The latest row of the workplaces that are asked about; of all where none is named."""

    def __init__(self, only: str | None = None) -> None:
        self._only = only.encode() if only is not None else None
        self.rows: dict[str, Company] = {}

    async def apply(self, records: Sequence[Record]) -> None:
        """Takes a batch of the topic."""
        types: dict[str, type[Event]] = {COMPANY_CHANGED: Company, IMPORT_COMPLETED: ImportCompleted}
        for record in records:
            if self._only is not None and record.key != self._only:
                continue
            event = _event(record, types, "se.nardialog.company.")
            if isinstance(event, Company):
                self.rows[event.workplace_id] = event
            elif record.value is None:
                self.rows.pop((record.key or b"").decode(errors="replace"), None)


class CaseVersions:
    """Every version of a case that is on the topic still; of none where none is asked about."""

    def __init__(self, asked: str | None) -> None:
        self._asked = asked
        self._cases: list[Case] = []

    def apply(self, records: Sequence[Record]) -> None:
        """Takes a batch of the topic. The model may have changed since, so it is not asked what it thinks of them."""
        for record in records:
            if self._asked is None or not (record.key or b"").decode(errors="replace").endswith(self._asked):
                continue
            event = _event(record, {CASE_CHANGED: Case}, "se.nardialog.case.")
            if isinstance(event, Case):
                self._cases.append(event)

    def of(self, key: str) -> list[Case]:
        """The versions of one case."""
        return [case for case in self._cases if case.key == key]


@dataclass
class Told:
    """What became of one recipient's messages, and what it stopped."""

    recipient_id: str
    deliveries: list[Delivery] = field(default_factory=list)
    _suppressions: dict[str, Suppression] = field(default_factory=dict)

    async def apply(self, records: Sequence[Record]) -> None:
        """Takes a batch of `deliveries` or `suppressions`."""
        asked = self.recipient_id.encode()
        for record in records:
            if record.value is None:
                self._suppressions.pop((record.key or b"").decode(errors="replace"), None)
                continue
            event = _event(record, TOLD, "se.nardialog.")
            if isinstance(event, Suppression):
                self._suppressions[event.suppression_id] = event
            elif isinstance(event, Delivery) and asked in record.value:
                self.deliveries.append(event)

    def of(self, invitation_id: str | None) -> list[Delivery]:
        """What became of one invitation, in order of time."""
        found = {item.delivery_id: item for item in self.deliveries if invitation_id in item.invitation_ids}
        return sorted(found.values(), key=lambda item: (item.at, item.delivery_id))

    def stops(self, case: Case, round_id: str | None) -> list[Suppression]:
        """What stops messages on a case to this recipient, made at one of its own messages, or to the whole round."""
        own = {item.message_number for item in self.deliveries if item.message_number is not None}
        found = [
            item
            for item in self._suppressions.values()
            if (item.round_id == round_id if item.scope == "round" else item.message_number in own)
            and item.case_key in (None, case.key)
            and item.case_type in (None, case.case_type)
        ]
        return sorted(found, key=lambda item: (item.at, item.suppression_id))


def _event(record: Record, types: dict[str, type[Event]], family: str) -> Event | None:
    try:
        parsed = parse(record, types, family)
    except Rejected:
        return None  # whoever reads the topic for work has set it aside, with its reason
    return parsed.event if parsed else None


class Published:
    """The tables, and the readers that fill them: `await Published(...).read()`."""

    def __init__(
        self,
        kafka: KafkaSettings,
        model: DialogueModel,
        *,
        anywhere: bool,
        workplace: str | None = None,
        history: str | None = None,
    ) -> None:
        self._kafka = kafka
        self.cases = CaseTable(model, anywhere=anywhere)
        self.versions = CaseVersions(history)
        self.dialogues, self.subscriptions = DialogueTable(), SubscriptionTable()
        self.rounds, self.members, self.companies = RoundTable(), MembershipTable(), CompanyTable(workplace)

    async def read(self, *, companies: bool = True) -> None:
        """Everything but messages, to the ends seen now."""
        kafka = self._kafka
        apply: dict[str, Handle] = {
            kafka.topic(CASES): self._cases,
            kafka.topic(DIALOGUES): self.dialogues.apply,
            kafka.topic(SUBSCRIPTIONS): self.subscriptions.apply,
            kafka.topic(ROUNDS): self.rounds.apply,
            kafka.topic(INVITATIONS): self.members.apply,
        }
        if companies:
            apply[kafka.topic(COMPANIES)] = self.companies.apply
        await _read(kafka, apply)

    async def _cases(self, records: Sequence[Record]) -> None:
        await self.cases.apply(records)
        self.versions.apply(records)

    async def told(self, recipient_id: str) -> Told:
        """What the notifier published of a recipient."""
        told = Told(recipient_id)
        topics = (DELIVERIES, SUPPRESSIONS)
        await _read(self._kafka, {self._kafka.topic(topic): told.apply for topic in topics})
        return told

    def case(self, asked: str) -> Case:
        """The case of that key, or of that id where only one has it. Raises `Permanent`."""
        case = self.cases.get(one_of(asked, self.cases.known()))
        if case is None:
            raise Permanent(f"{asked} is not known any more: it was purged")
        return case


async def _read(kafka: KafkaSettings, apply: dict[str, Handle]) -> None:
    reader = TableReader(kafka, list(apply), lambda records: apply[records[0].topic](records))
    await reader.start()
    try:
        await reader.caught_up()
    finally:
        await reader.stop()
