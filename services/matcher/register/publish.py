"""A register file to the topics: only what changed, erasures of what is gone, then one marker on each partition.

The markers come last and on every partition, so that no reader matches half a register. An import erases only
workplaces and contacts of its own source. Contacts are sealed, and because a box never looks the same twice they are
written anew at each import; those that are gone from the file are erased.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

from schemas.company import COMPANY_CHANGED, IMPORT_COMPLETED, MARKER_PREFIX, Company, ImportCompleted
from schemas.contact import CONTACT_CHANGED, Address, Contact
from schemas.identity import contact_id
from schemas.topics import COMPANIES, CONTACTS
from services.matcher.register.checks import PlainContact
from services.matcher.register.reading import RegisterFile
from services.matcher.register.report import Report
from services.matcher.workplaces import content_hash
from services.runtime.broker import Broker
from services.runtime.clock import Clock
from services.runtime.errors import Fault, Rejected
from services.runtime.parsing import outgoing, parse
from services.runtime.records import Outgoing, Record
from services.runtime.sealing import Seal
from services.runtime.settings import KafkaSettings
from services.runtime.tables import TableReader

SOURCE: Final = "nardialog/register"
BATCH: Final = 2000


class Current:
    """What lies in the topics before the import."""

    def __init__(self) -> None:
        self.companies: dict[str, Company] = {}
        self.contacts: dict[str, str] = {}
        """Contact id to its source."""
        self.import_number = 0

    async def apply_companies(self, records: Sequence[Record]) -> None:
        """Takes a batch of `companies`."""
        for record in records:
            key = (record.key or b"").decode(errors="replace")
            if record.value is None:
                self.companies.pop(key, None)
                continue
            event = _event(record)
            if isinstance(event, Company):
                self.companies[key] = event
            if event is not None:
                self.import_number = max(self.import_number, event.import_number)

    async def apply_contacts(self, records: Sequence[Record]) -> None:
        """Takes a batch of `contacts`."""
        for record in records:
            key = (record.key or b"").decode(errors="replace")
            try:
                parsed = parse(record, {CONTACT_CHANGED: Contact}, "se.nardialog.contact.") if record.value else None
            except Rejected:
                continue
            if record.value is None:
                self.contacts.pop(key, None)
            elif parsed is not None:
                self.contacts[key] = parsed.event.source


def _event(record: Record) -> Company | ImportCompleted | None:
    types: dict[str, type[Company] | type[ImportCompleted]] = {
        COMPANY_CHANGED: Company,
        IMPORT_COMPLETED: ImportCompleted,
    }
    try:
        parsed = parse(record, types, "se.nardialog.company.")
    except Rejected:
        return None
    return parsed.event if parsed else None


async def read_current(kafka: KafkaSettings) -> Current:
    """What lies in the topics now."""
    current = Current()
    for topic, apply in ((COMPANIES, current.apply_companies), (CONTACTS, current.apply_contacts)):
        reader = TableReader(kafka, [kafka.topic(topic)], apply)
        try:
            await reader.start()
            await reader.caught_up()
        finally:
            await reader.stop()
    return current


def difference(
    current: dict[str, Company], new: dict[str, Company], source: str, number: int
) -> tuple[list[Company], list[str], int]:
    """Rows to write (numbered), ids to erase, and how many rows are unchanged."""
    changed = []
    for workplace_id, company in new.items():
        before = current.get(workplace_id)
        numbered = company.model_copy(update={"import_number": number})
        if before is None or before.model_copy(update={"import_number": number}) != numbered:
            changed.append(numbered)
    gone = sorted(key for key, company in current.items() if company.source == source and key not in new)
    return changed, gone, len(new) - len(changed)


def sealed(
    contacts: Iterable[PlainContact], municipality: dict[str, str], seal: Seal, *, synthetic: bool
) -> list[Contact]:
    """Contacts that only the notifier can read."""
    return [
        Contact(
            municipality=municipality[item.workplace_id],
            synthetic=synthetic,
            contact_id=contact_id(item.source, item.recipient_id, item.workplace_id, "register", item.channel),
            source=item.source,
            recipient_id=item.recipient_id,
            workplace_id=item.workplace_id,
            channel=item.channel,
            language=item.language,
            sealed=seal.seal(Address(address=item.address).model_dump_json().encode()),
        )
        for item in contacts
    ]


async def publish(
    file: RegisterFile,
    broker: Broker,
    kafka: KafkaSettings,
    seal: Seal | None,
    clock: Clock,
    *,
    source: str = "register",
) -> Report:
    """Writes a checked file to the topics through a connected broker. Returns the report with what changed."""
    if not file.companies:
        raise Fault("no row of the file was accepted; nothing is written, the register stays as it is")
    if file.contacts and seal is None:
        raise Fault("the file has contacts: set NARDIALOG_INSTALLATION__SEAL_PUBLIC_KEY to the notifier's public key")
    current = await read_current(kafka)
    now, number = clock.now(), current.import_number + 1
    changed, gone, unchanged = difference(current.companies, file.companies, source, number)
    await _write_companies(broker, kafka, changed, gone, number, now)
    await _write_contacts(broker, kafka, file, current, seal, source, number, now)
    erased = frozenset(gone)
    whole = {key: row for key, row in current.companies.items() if key not in erased} | file.companies
    version = content_hash(whole.values())
    await broker.publish(
        await _markers(broker, kafka, next(iter(file.companies.values())), number, len(whole), version, now)
    )
    file.report.changed, file.report.closed, file.report.unchanged = len(changed), len(gone), unchanged
    file.report.register_version = version
    return file.report


async def _write_companies(
    broker: Broker, kafka: KafkaSettings, changed: list[Company], gone: list[str], number: int, now: datetime
) -> None:
    topic = kafka.topic(COMPANIES)
    rows = [
        outgoing(
            topic, c.workplace_id, c, type=COMPANY_CHANGED, id=f"{c.workplace_id}/{number}", source=SOURCE, time=now
        )
        for c in changed
    ]
    await _in_batches(broker, [*rows, *(Outgoing(topic, key, None) for key in gone)])


async def _write_contacts(
    broker: Broker,
    kafka: KafkaSettings,
    file: RegisterFile,
    current: Current,
    seal: Seal | None,
    source: str,
    number: int,
    now: datetime,
) -> None:
    topic = kafka.topic(CONTACTS)
    places = {key: company.municipality for key, company in file.companies.items()}
    synthetic = any(company.synthetic for company in file.companies.values())
    contacts = sealed(file.contacts, places, seal, synthetic=synthetic) if seal else []
    rows = [
        outgoing(topic, c.contact_id, c, type=CONTACT_CHANGED, id=f"{c.contact_id}/{number}", source=SOURCE, time=now)
        for c in contacts
    ]
    kept, sources = {c.contact_id for c in contacts}, {source, *(c.source for c in contacts)}
    gone = sorted(key for key, theirs in current.contacts.items() if theirs in sources and key not in kept)
    await _in_batches(broker, [*rows, *(Outgoing(topic, key, None) for key in gone)])


async def _markers(
    broker: Broker, kafka: KafkaSettings, sample: Company, number: int, rows: int, version: str, now: datetime
) -> list[Outgoing]:
    topic = kafka.topic(COMPANIES)
    partitions = await broker.partition_count(topic)
    markers = [
        ImportCompleted(
            municipality=sample.municipality,
            synthetic=sample.synthetic,
            import_id=f"{number}-{version}",
            import_number=number,
            source=sample.source,
            partition=partition,
            partitions=partitions,
            rows=rows,
            content_hash=version,
            completed_at=now,
        )
        for partition in range(partitions)
    ]
    return [
        outgoing(
            topic, f"{MARKER_PREFIX}{m.partition}", m, type=IMPORT_COMPLETED, id=f"{m.import_id}/{m.partition}",
            source=SOURCE, time=now, partition=m.partition,
        )
        for m in markers
    ]  # fmt: skip


async def _in_batches(broker: Broker, records: list[Outgoing]) -> None:
    for start in range(0, len(records), BATCH):
        await broker.publish(records[start : start + BATCH])
