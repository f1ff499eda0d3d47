"""A register file to real topics: changes only, erasures, sealed contacts, one marker on each partition."""

import asyncio
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from schemas.company import IMPORT_COMPLETED, MARKER_PREFIX, ImportCompleted
from schemas.contact import CONTACT_CHANGED, Address, Contact
from schemas.topics import COMPANIES, CONTACTS, TOPICS, Topic
from services.matcher.register import reading
from services.matcher.register.checks import Rules
from services.matcher.register.commands import import_, import_file
from services.matcher.register.publish import Told, TooManyErased
from services.matcher.register.report import Report
from services.matcher.settings import MatcherOptions, MatcherSettings
from services.runtime.broker import Broker
from services.runtime.clock import ManualClock
from services.runtime.errors import Fault
from services.runtime.installation import InstallationSettings
from services.runtime.local_kafka import LocalKafka
from services.runtime.parsing import outgoing
from services.runtime.records import Outgoing, Record
from services.runtime.sealing import Opener, Seal, key_pair
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
def settings(kafka: LocalKafka, topic_prefix: str, tmp_path: Path) -> MatcherSettings:
    import base64

    made = KafkaSettings(bootstrap=(kafka.bootstrap,), topic_prefix=topic_prefix)
    with TopicAdmin(kafka.bootstrap) as admin:
        wanted = [Topic(made.topic(t), t.key, t.cleanup) for t in TOPICS if t in (COMPANIES, CONTACTS)]
        admin.create(wanted, partitions=3, replication=1)
    installation = InstallationSettings(recipient_key=SecretStr(KEY), seal_public_key=base64.b64encode(PUBLIC).decode())
    options = MatcherOptions(import_state_file=tmp_path / "state" / "register.db")
    return MatcherSettings(kafka=made, installation=installation, matcher=options)


async def run(settings: MatcherSettings, folder: Path, text: str, **told: Any) -> Report:
    path = folder / "register.csv"
    path.write_text(text, encoding="utf-8")
    clock = ManualClock(datetime(2026, 11, 25, 8, tzinfo=UTC))
    read = reading.read(path, Rules(KEY.encode(), source=told.get("source", "register")))
    return await import_file(read, settings, clock, told=Told(**told), remember=True)


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


Seen = frozenset[tuple[int, int]]


async def so_far(settings: MatcherSettings, topic: Topic) -> Seen:
    """What lies in a topic: partition and offset."""
    return frozenset((record.partition, record.offset) for record in await topic_records(settings, topic))


async def keys_since(settings: MatcherSettings, topic: Topic, seen: Seen) -> list[tuple[str, bool]]:
    """What was written since, markers left out: key, and whether it was an erasure."""
    found = [r for r in await topic_records(settings, topic) if (r.partition, r.offset) not in seen]
    keys = [((record.key or b"").decode(), record.value is None) for record in found]
    return sorted(item for item in keys if not item[0].startswith(MARKER_PREFIX))


async def test_contacts_are_written_once_and_again_only_when_something_of_them_changed(
    settings: MatcherSettings, tmp_path: Path
) -> None:
    await run(settings, tmp_path, HEADER + ROW_1 + ROW_2)
    assert len(await topic_records(settings, CONTACTS)) == 2
    await run(settings, tmp_path, HEADER + ROW_1 + ROW_2)
    assert len(await topic_records(settings, CONTACTS)) == 2
    report = await run(settings, tmp_path, HEADER + ROW_1.replace("info@", "ny@") + ROW_2)
    assert len(await topic_records(settings, CONTACTS)) == 3
    assert (report.changed, report.unchanged) == (0, 2)
    state = settings.matcher.import_state_file
    assert state is not None
    content = state.read_bytes()
    assert state.stat().st_mode & 0o077 == 0
    assert b"ny@" not in content
    assert b"+46701740605" not in content
    state.unlink()
    await run(settings, tmp_path, HEADER + ROW_1.replace("info@", "ny@") + ROW_2)
    assert len(await topic_records(settings, CONTACTS)) == 5


async def test_a_contact_that_somebody_erased_or_overwrote_is_written_again(
    settings: MatcherSettings, tmp_path: Path
) -> None:
    await run(settings, tmp_path, HEADER + ROW_1 + ROW_2)
    first, second = await topic_records(settings, CONTACTS)
    topic = settings.kafka.topic(CONTACTS)
    contact = Contact.model_validate_json(second.value or b"")
    other = contact.model_copy(update={"sealed": Seal("k1", PUBLIC).seal(b"something else")})
    said = outgoing(
        topic, contact.contact_id, other, type=CONTACT_CHANGED, id="x", source="test",
        time=datetime(2026, 11, 25, 8, tzinfo=UTC),
    )  # fmt: skip
    broker = Broker(settings.kafka, service="test")
    await broker.connect()
    await broker.publish([Outgoing(topic, (first.key or b"").decode(), None), said])
    await broker.stop()
    seen = await so_far(settings, CONTACTS)
    await run(settings, tmp_path, HEADER + ROW_1 + ROW_2)
    keys = sorted((record.key or b"").decode() for record in (first, second))
    assert await keys_since(settings, CONTACTS, seen) == [(key, False) for key in keys]


async def test_more_than_the_set_share_is_erased_only_when_told_and_nothing_is_written_before(
    settings: MatcherSettings, tmp_path: Path
) -> None:
    rows = [f"W{i},ABC,Namn {i},18.03,59.4,56.110,2025,0162,,\n" for i in range(20)]
    await run(settings, tmp_path, HEADER + "".join(rows))
    before = len(await topic_records(settings, COMPANIES))
    with pytest.raises(TooManyErased, match=r"10 of the 20 workplaces of source register .*--yes.*--partial"):
        await run(settings, tmp_path, HEADER + "".join(rows[:10]), max_erased_share=0.1)
    with pytest.raises(TooManyErased, match="20 of the 20"):
        await run(settings, tmp_path, HEADER + ROW_1.replace("W1", "V1"), max_erased_share=1.0)
    assert len(await topic_records(settings, COMPANIES)) == before
    report = await run(settings, tmp_path, HEADER + "".join(rows[:18]), max_erased_share=0.1)
    assert (report.closed, report.unchanged) == (2, 18)
    report = await run(settings, tmp_path, HEADER + "".join(rows[:9]))
    assert report.closed == 9


async def test_a_partial_import_erases_nothing_and_a_refused_row_is_not_gone(
    settings: MatcherSettings, tmp_path: Path
) -> None:
    await run(settings, tmp_path, HEADER + ROW_1 + ROW_2)
    whole = (await run(settings, tmp_path, HEADER + ROW_1 + ROW_2)).register_version
    companies, contacts = [await so_far(settings, topic) for topic in (COMPANIES, CONTACTS)]
    report = await run(settings, tmp_path, HEADER + ROW_2, partial=True)
    assert (report.changed, report.closed, report.register_version) == (0, 0, whole)
    report = await run(settings, tmp_path, HEADER + ROW_1.replace("5599990008", "5599990009") + ROW_2)
    assert (report.refused, report.changed, report.closed, report.register_version) == (1, 0, 0, whole)
    assert await keys_since(settings, COMPANIES, companies) == []
    assert await keys_since(settings, CONTACTS, contacts) == []


async def test_a_partial_file_without_contact_columns_leaves_the_contacts_alone(
    settings: MatcherSettings, tmp_path: Path
) -> None:
    await run(settings, tmp_path, HEADER + ROW_1 + ROW_2)
    text = HEADER.replace(",email,phone", "") + ROW_1.replace(",info@exempel-bageri.example,", "").replace(
        "ageriet", "ageri"
    )
    report = await run(settings, tmp_path, text, partial=True)
    assert (report.changed, report.added) == (1, 0)
    assert len(await topic_records(settings, CONTACTS)) == 2


async def test_a_source_erases_neither_workplaces_nor_contacts_of_another(
    settings: MatcherSettings, tmp_path: Path
) -> None:
    await run(settings, tmp_path, HEADER + ROW_1 + ROW_2)
    companies, contacts = [await so_far(settings, topic) for topic in (COMPANIES, CONTACTS)]
    extra = "W3,DEF,Kiosken,18.031,59.4,56.110,2025,0162,kiosk@exempel.example,\n"
    report = await run(settings, tmp_path, HEADER + extra, source="marknaden")
    assert (report.added, report.closed) == (1, 0)
    report = await run(settings, tmp_path, HEADER + ROW_1 + ROW_2)
    assert (report.changed, report.closed) == (0, 0)
    assert [key for key, _ in await keys_since(settings, COMPANIES, companies)] == ["W3"]
    assert [gone for _, gone in await keys_since(settings, CONTACTS, contacts)] == [False]
    contacts = await so_far(settings, CONTACTS)
    await run(settings, tmp_path, HEADER + extra.replace("kiosk@exempel.example", ""), source="marknaden")
    assert [gone for _, gone in await keys_since(settings, CONTACTS, contacts)] == [True]


async def test_a_dry_run_says_what_would_change_and_writes_nothing(
    settings: MatcherSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    await run(settings, tmp_path, HEADER + ROW_1 + ROW_2)
    before = len(await topic_records(settings, COMPANIES))
    monkeypatch.setenv("NARDIALOG_KAFKA__BOOTSTRAP", settings.kafka.bootstrap[0])
    monkeypatch.setenv("NARDIALOG_KAFKA__TOPIC_PREFIX", settings.kafka.topic_prefix)
    monkeypatch.setenv("NARDIALOG_INSTALLATION__RECIPIENT_KEY", KEY)
    path = tmp_path / "register.csv"
    path.write_text(HEADER + ROW_1.replace("Bageriet", "Bageriet 2") + ROW_1.replace("W1", "W3"), encoding="utf-8")
    assert await asyncio.to_thread(import_, path, dry_run=True, json=True) == 0
    said = capsys.readouterr()
    counts = json.loads(said.out)
    assert {name: counts[name] for name in ("added", "changed", "closed", "unchanged")} == {
        "added": 1, "changed": 2, "closed": 1, "unchanged": 0,
    }  # fmt: skip
    assert "not compared" not in said.err
    assert len(await topic_records(settings, COMPANIES)) == before


async def test_an_import_whose_state_cannot_be_kept_is_done_all_the_same_and_says_so(
    settings: MatcherSettings, tmp_path: Path
) -> None:
    state = settings.matcher.import_state_file
    assert state is not None
    state.parent.write_text("a file where a folder is meant")
    report = await run(settings, tmp_path, HEADER + ROW_1)
    assert report.changed == 1
    assert "NARDIALOG_MATCHER__IMPORT_STATE_FILE" in report.forgotten


async def test_contacts_of_a_source_that_the_file_no_longer_names_are_erased_with_the_rest(
    settings: MatcherSettings, tmp_path: Path
) -> None:
    header = HEADER.replace("phone", "phone,contact_source")
    await run(settings, tmp_path, header + ROW_1.replace("\n", ",scb\n"))
    seen = await so_far(settings, CONTACTS)
    bare = ROW_1.replace("info@exempel-bageri.example", "").replace("\n", ",scb\n")
    await run(settings, tmp_path, header + bare)
    assert [gone for _, gone in await keys_since(settings, CONTACTS, seen)] == [True]
