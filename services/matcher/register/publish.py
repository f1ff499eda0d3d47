"""A register file to the topics: only what changed, erasures of what is gone, then one marker on each partition.

The markers come last and on every partition, so that no reader matches half a register. An import erases only what came
from its own source and is gone from the file; a workplace whose row was refused is not gone. More than a set share is
erased only when somebody says so. Contacts are sealed; those whose fingerprint is known are not written again.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from itertools import islice
from typing import Final

from schemas.company import COMPANY_CHANGED, IMPORT_COMPLETED, MARKER_PREFIX, Company, ImportCompleted
from schemas.contact import CONTACT_CHANGED, Address, Contact
from schemas.identity import contact_id
from schemas.topics import COMPANIES, CONTACTS
from services.matcher.register.checks import PlainContact
from services.matcher.register.reading import RegisterFile
from services.matcher.register.report import Report
from services.matcher.register.state import ContactState, Known, box_hash, fingerprint
from services.matcher.workplaces import canonical, version_of
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
FEW: Final = 3
"""So many may always be gone, unless they are all: in a small register one closing is a large share."""


class TooManyErased(Exception):
    """The import would erase more than it may without being told."""


@dataclass(frozen=True)
class There:
    """A workplace as it lies in the topic: whose it is, what it says, and its canonical row where that is needed."""

    source: str
    digest: bytes
    row: bytes = b""


@dataclass(frozen=True)
class ThereContact:
    """A contact as it lies in the topic."""

    source: str
    workplace_id: str
    box: bytes


class Current:
    """What lies in the topics before the import. Of workplaces that the file has, the digest is enough."""

    def __init__(self, in_file: Mapping[str, object]) -> None:
        self._in_file = in_file
        self.companies: dict[str, There] = {}
        self.contacts: dict[str, ThereContact] = {}
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
                row = canonical(event)
                digest = digest_of(row, synthetic=event.synthetic)
                self.companies[key] = There(event.source, digest, b"" if key in self._in_file else row)
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
                event = parsed.event
                self.contacts[key] = ThereContact(event.source, event.workplace_id or "", box_hash(event.sealed.box))


def digest_of(row: bytes, *, synthetic: bool) -> bytes:
    """Of all that a workplace says, except in which import it said so."""
    return blake2b(row, digest_size=16, salt=b"synthetic" if synthetic else b"").digest()


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


async def read_current(kafka: KafkaSettings, in_file: Mapping[str, object]) -> Current:
    """What lies in the topics now."""
    current = Current(in_file)
    for topic, apply in ((COMPANIES, current.apply_companies), (CONTACTS, current.apply_contacts)):
        reader = TableReader(kafka, [kafka.topic(topic)], apply)
        try:
            await reader.start()
            await reader.caught_up()
        finally:
            await reader.stop()
    return current


@dataclass(frozen=True)
class Told:
    """What an import was told: whose workplaces these are, whether the file is all of them, how many it may erase."""

    source: str = "register"
    partial: bool = False
    max_erased_share: float | None = None
    """None: as many as are gone."""


@dataclass(frozen=True)
class Plan:
    """What an import would write."""

    number: int
    written: tuple[str, ...]
    """Ids of workplaces that are new or changed."""
    gone: tuple[str, ...]
    added: int
    unchanged: int
    workplaces: int
    """In the whole register afterwards."""
    version: str
    of_source: int = 0
    """Workplaces of this source before."""
    gone_contacts: tuple[str, ...] = ()


def plan(file: RegisterFile, current: Current, told: Told, known: Known | None = None) -> Plan:
    """What of a file is new, changed or gone. Raises `TooManyErased` where more is gone than was allowed."""
    there, new = current.companies, file.companies
    written = tuple(
        key for key in new if key not in there or there[key].digest != digest_of(new.row(key), synthetic=new.synthetic)
    )
    of_source = [key for key, row in there.items() if row.source == told.source]
    gone = () if told.partial else tuple(sorted(key for key in of_source if key not in new and key not in file.refused))
    _allow(len(gone), len(of_source), told)
    erased = frozenset(gone)
    rest = {key: row.row for key, row in there.items() if key not in erased and key not in new}
    keys = sorted([*new, *rest])
    version = version_of(rest[key] if key in rest else new.row(key) for key in keys)
    return Plan(
        number=current.import_number + 1,
        written=written,
        gone=gone,
        added=sum(1 for key in written if key not in there),
        unchanged=len(new) - len(written),
        workplaces=len(keys),
        version=version,
        of_source=len(of_source),
        gone_contacts=tuple(_gone_contacts(file, current, told, erased, known or {})),
    )


def _allow(gone: int, before: int, told: Told) -> None:
    if told.max_erased_share is None or not gone:
        return
    if gone == before or (gone > FEW and gone > told.max_erased_share * before):
        raise TooManyErased(
            f"{gone} of the {before} workplaces of source {told.source} are not in the file ({gone / before:.0%}); "
            f"{told.max_erased_share:.0%} may be erased without a word. Nothing is written. If the file is the whole "
            "register, add --yes; if it is a part of it, add --partial"
        )


def _gone_contacts(
    file: RegisterFile, current: Current, told: Told, erased: frozenset[str], known: Known
) -> Iterator[str]:
    """Contacts that are no longer in the file: of our source, of one that the file names, or remembered as written by
    us. Those of another source's workplace are none of ours.
    """
    kept = {_contact_id(contact) for contact in file.contacts}
    sources = {told.source, *(contact.source for contact in file.contacts)}
    for key, contact in sorted(current.contacts.items()):
        written_by_us = contact.source in sources or key in known
        if key in kept or not written_by_us or contact.workplace_id in file.refused:
            continue
        in_file = contact.workplace_id in file.companies and file.says_contacts
        owner = current.companies.get(contact.workplace_id)
        ours = contact.workplace_id in erased or owner is None or owner.source == told.source
        if in_file or (ours and not told.partial):
            yield key


async def publish(
    file: RegisterFile,
    broker: Broker,
    kafka: KafkaSettings,
    seal: Seal | None,
    clock: Clock,
    *,
    told: Told = Told(),
    state: ContactState | None = None,
    key: bytes = b"",
) -> Report:
    """Writes a checked file to the topics through a connected broker. Returns the report with what changed."""
    if not file.companies:
        raise Fault("no row of the file was accepted; nothing is written, the register stays as it is")
    if file.contacts and seal is None:
        raise Fault("the file has contacts: set NARDIALOG_INSTALLATION__SEAL_PUBLIC_KEY to the notifier's public key")
    state = state or ContactState(None)
    known = state.load()
    current = await read_current(kafka, file.companies)
    made = plan(file, current, told, known)
    now = clock.now()
    await _write(broker, _company_records(kafka, file, made, now))
    known = await _write_contacts(broker, kafka, file, current, seal, known, key, made, now)
    sample = file.companies[next(iter(file.companies))]
    await broker.publish(await _markers(broker, kafka, sample, told.source, made, now))
    file.report.forgotten = state.save(known.items())
    return counted(file.report, made)


def counted(report: Report, made: Plan) -> Report:
    """The report with what a plan says."""
    report.added, report.changed = made.added, len(made.written)
    report.closed, report.unchanged = len(made.gone), made.unchanged
    report.register_version = made.version
    return report


def _company_records(kafka: KafkaSettings, file: RegisterFile, made: Plan, now: datetime) -> Iterator[Outgoing]:
    topic = kafka.topic(COMPANIES)
    for key in made.written:
        company = file.companies[key].model_copy(update={"import_number": made.number})
        yield outgoing(topic, key, company, type=COMPANY_CHANGED, id=f"{key}/{made.number}", source=SOURCE, time=now)
    yield from (Outgoing(topic, key, None) for key in made.gone)


async def _write_contacts(
    broker: Broker,
    kafka: KafkaSettings,
    file: RegisterFile,
    current: Current,
    seal: Seal | None,
    known: Known,
    key: bytes,
    made: Plan,
    now: datetime,
) -> dict[str, tuple[bytes, bytes]]:
    """Writes what is new of the contacts; returns what is to be remembered of all of them."""
    topic = kafka.topic(CONTACTS)
    kept: dict[str, tuple[bytes, bytes]] = {}

    def sealed(seal: Seal) -> Iterator[Outgoing]:
        for plain in file.contacts:
            identity, company = _contact_id(plain), file.companies[plain.workplace_id]
            said = _fingerprint(plain, company, key, seal)
            before, there = known.get(identity), current.contacts.get(identity)
            if before is not None and there is not None and before == (said, there.box):
                kept[identity] = before
                continue
            contact = _sealed(identity, plain, company, seal)
            kept[identity] = (said, box_hash(contact.sealed.box))
            event_id = f"{identity}/{made.number}"
            yield outgoing(topic, identity, contact, type=CONTACT_CHANGED, id=event_id, source=SOURCE, time=now)

    if seal is not None:
        await _write(broker, sealed(seal))
    await _write(broker, (Outgoing(topic, gone, None) for gone in made.gone_contacts))
    erased = frozenset(made.gone_contacts)
    others = {one: both for one, both in known.items() if one in current.contacts and one not in erased}
    return others | kept


def _contact_id(plain: PlainContact) -> str:
    return contact_id(plain.source, plain.recipient_id, plain.workplace_id, plain.role, plain.channel)


def _fingerprint(plain: PlainContact, company: Company, key: bytes, seal: Seal) -> bytes:
    return fingerprint(
        key, seal.key_version, company.municipality, str(company.synthetic), plain.language, plain.address
    )  # fmt: skip


def _sealed(identity: str, plain: PlainContact, company: Company, seal: Seal) -> Contact:
    """A contact that only the notifier can read."""
    return Contact(
        municipality=company.municipality,
        synthetic=company.synthetic,
        contact_id=identity,
        source=plain.source,
        recipient_id=plain.recipient_id,
        workplace_id=plain.workplace_id,
        role=plain.role,
        channel=plain.channel,
        language=plain.language,
        sealed=seal.seal(Address(address=plain.address).model_dump_json().encode()),
    )


async def _markers(
    broker: Broker, kafka: KafkaSettings, sample: Company, source: str, made: Plan, now: datetime
) -> list[Outgoing]:
    topic = kafka.topic(COMPANIES)
    partitions = await broker.partition_count(topic)
    markers = [
        ImportCompleted(
            municipality=sample.municipality,
            synthetic=sample.synthetic,
            import_id=f"{made.number}-{made.version}",
            import_number=made.number,
            source=source,
            partition=partition,
            partitions=partitions,
            rows=made.workplaces,
            content_hash=made.version,
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


async def _write(broker: Broker, records: Iterable[Outgoing]) -> None:
    waiting = iter(records)
    while batch := list(islice(waiting, BATCH)):
        await broker.publish(batch)
