"""A register file to real topics: changes only, erasures, sealed contacts, one marker on each partition."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic import SecretStr

from schemas.company import IMPORT_COMPLETED, MARKER_PREFIX, ImportCompleted
from schemas.contact import Address, Contact
from schemas.topics import COMPANIES, CONTACTS, TOPICS, Topic
from services.matcher.register import reading
from services.matcher.register.checks import Rules
from services.matcher.register.commands import import_file
from services.matcher.register.report import Report
from services.matcher.settings import MatcherSettings
from services.runtime.clock import ManualClock
from services.runtime.errors import Fault
from services.runtime.installation import InstallationSettings
from services.runtime.local_kafka import LocalKafka
from services.runtime.records import Record
from services.runtime.sealing import Opener, key_pair
from services.runtime.settings import KafkaSettings
from services.runtime.tables import TableReader
from services.runtime.topic_admin import TopicAdmin

pytestmark = pytest.mark.anyio

KEY = "a recipient key for tests only"
PRIVATE, PUBLIC = key_pair()
HEADER = "workplace_id,organisation,name,lon,lat,sni,sni_version,municipality,email,phone\n"
ROW_1 = "W1,5599990008,Bageriet,18.03,59.4,10.710,2025,0162,info@exempel-bageri.example,\n"
ROW_2 = "W2,ABC,Caféet,18.031,59.4,56.110,2025,0162,,0701740605\n"


@pytest.fixture
def settings(kafka: LocalKafka, topic_prefix: str) -> MatcherSettings:
    import base64

    made = KafkaSettings(bootstrap=(kafka.bootstrap,), topic_prefix=topic_prefix)
    with TopicAdmin(kafka.bootstrap) as admin:
        wanted = [Topic(made.topic(t), t.key, t.cleanup) for t in TOPICS if t in (COMPANIES, CONTACTS)]
        admin.create(wanted, partitions=3, replication=1)
    installation = InstallationSettings(recipient_key=SecretStr(KEY), seal_public_key=base64.b64encode(PUBLIC).decode())
    return MatcherSettings(kafka=made, installation=installation)


async def run(settings: MatcherSettings, folder: Path, text: str) -> Report:
    path = folder / "register.csv"
    path.write_text(text, encoding="utf-8")
    clock = ManualClock(datetime(2026, 11, 25, 8, tzinfo=UTC))
    return await import_file(reading.read(path, Rules(KEY.encode())), settings, clock)


async def topic_records(settings: MatcherSettings, topic: Topic) -> list[Record]:
    seen: list[Record] = []

    async def apply(records: Sequence[Record]) -> None:
        seen.extend(records)

    reader = TableReader(settings.kafka, [settings.kafka.topic(topic)], apply)
    await reader.start()
    await reader.caught_up()
    await reader.stop()
    return seen


async def test_an_import_ends_with_one_marker_on_each_partition_after_its_rows(
    settings: MatcherSettings, tmp_path: Path
) -> None:
    report = await run(settings, tmp_path, HEADER + ROW_1 + ROW_2)
    records = await topic_records(settings, COMPANIES)
    markers = [r for r in records if (r.key or b"").startswith(MARKER_PREFIX.encode())]
    assert sorted(r.partition for r in markers) == [0, 1, 2]
    for marker in markers:
        assert dict(marker.headers)["ce_type"] == IMPORT_COMPLETED.encode()
        assert marker.offset == max(r.offset for r in records if r.partition == marker.partition)
        event = ImportCompleted.model_validate_json(marker.value or b"")
        assert (event.rows, event.content_hash, event.partition) == (2, report.register_version, marker.partition)
    assert (report.changed, report.closed, report.unchanged) == (2, 0, 0)


async def test_an_import_writes_only_what_changed_and_erases_what_is_gone(
    settings: MatcherSettings, tmp_path: Path
) -> None:
    await run(settings, tmp_path, HEADER + ROW_1 + ROW_2)
    before = len(await topic_records(settings, COMPANIES))
    report = await run(settings, tmp_path, HEADER + ROW_1)
    assert (report.changed, report.closed, report.unchanged) == (0, 1, 1)
    new = (await topic_records(settings, COMPANIES))[before:]
    written = [r for r in await topic_records(settings, COMPANIES) if r.key == b"W2"]
    assert [r.value is None for r in written] == [False, True]
    assert len(new) == 1 + 3


async def test_contacts_are_sealed_and_those_gone_are_erased(settings: MatcherSettings, tmp_path: Path) -> None:
    await run(settings, tmp_path, HEADER + ROW_1 + ROW_2)
    records = await topic_records(settings, CONTACTS)
    opener = Opener({"k1": PRIVATE})
    contacts = [Contact.model_validate_json(r.value or b"") for r in records]
    opened = {c.channel: Address.model_validate_json(opener.open(c.sealed)).address for c in contacts}
    assert opened == {"email": "info@exempel-bageri.example", "sms": "+46701740605"}
    assert not any(b"exempel-bageri" in (r.value or b"") for r in records)
    await run(settings, tmp_path, HEADER + ROW_1)
    gone = next(c.contact_id for c in contacts if c.channel == "sms")
    last = [r for r in await topic_records(settings, CONTACTS) if r.key == gone.encode()][-1]
    assert last.value is None


async def test_a_file_without_one_good_row_leaves_the_register_as_it_is(
    settings: MatcherSettings, tmp_path: Path
) -> None:
    with pytest.raises(Fault, match="nothing is written"):
        await run(settings, tmp_path, HEADER)
    assert await topic_records(settings, COMPANIES) == []
