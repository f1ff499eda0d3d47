"""`nardialog doctor` beside a real Kafka, a real PostgreSQL and a relay: all well, then one thing wrong at a time."""

import asyncio
import base64
import io
import json
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import redirect_stdout
from dataclasses import replace

import pytest
from sqlalchemy import insert, text

from schemas.topics import ALL_TOPICS, CASES, DIALOGUES
from services.cli import main
from services.notifier.channels.smtp_sink import SmtpSink
from services.notifier.ledger.tables import MIGRATIONS, POSITIONS
from services.portal.store.tables import MIGRATIONS as PORTAL_MIGRATIONS
from services.runtime.local_kafka import LocalKafka, free_ports
from services.runtime.sealing import key_pair, new_key
from services.runtime.store.database import Database, migrate
from services.runtime.topic_admin import TopicAdmin
from tests.postgres_server import PostgresServer

Doctor = Callable[..., Awaitable[tuple[int, dict[str, tuple[str, str]]]]]


@pytest.fixture(scope="module")
def prefix(kafka: LocalKafka) -> str:
    """Topics as they should be, for all tests here."""
    prefix = f"t{uuid.uuid4().hex[:10]}-"
    with TopicAdmin([kafka.bootstrap]) as admin:
        admin.create([replace(topic, name=prefix + topic.name) for topic in ALL_TOPICS], partitions=2, replication=1)
    return prefix


@pytest.fixture(scope="module")
async def databases(postgres: PostgresServer) -> AsyncIterator[tuple[str, str]]:
    """The ledger and the portal's store, migrated."""
    names = [f"t{uuid.uuid4().hex[:10]}" for _ in range(2)]
    urls = [postgres.create_database(name) for name in names]
    for url, migrations in zip(urls, (MIGRATIONS, PORTAL_MIGRATIONS), strict=True):
        database = Database(url)
        await migrate(database, migrations)
        await database.close()
    yield urls[0], urls[1]
    for name in names:
        postgres.drop_database(name)


@pytest.fixture
async def relay() -> AsyncIterator[SmtpSink]:
    sink = SmtpSink()
    await sink.start()
    yield sink
    await sink.stop()


@pytest.fixture
def set_(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    return lambda name, value: monkeypatch.setenv(f"NARDIALOG_{name}", value)


@pytest.fixture
def well(
    kafka: LocalKafka, prefix: str, databases: tuple[str, str], relay: SmtpSink, set_: Callable[[str, str], None]
) -> None:
    """An environment in which nothing is missing."""
    private, public = (base64.b64encode(key).decode() for key in key_pair())
    token = base64.b64encode(new_key()).decode()
    for name, value in {
        "KAFKA__BOOTSTRAP": kafka.bootstrap,
        "KAFKA__TOPIC_PREFIX": prefix,
        "KAFKA__PARTITIONS": "2",
        "INSTALLATION__RECIPIENT_KEY": "a secret of the installation",
        "INSTALLATION__SEAL_PUBLIC_KEY": public,
        "NOTIFIER__PRIVATE_KEYS": json.dumps({"k1": private}),
        "NOTIFIER__VAULT_KEY": base64.b64encode(new_key()).decode(),
        "NOTIFIER__INDEX_KEY": base64.b64encode(new_key()).decode(),
        "NOTIFIER__TOKEN_KEY": token,
        "NOTIFIER__DATABASE": databases[0],
        "NOTIFIER__SMTP__HOST": relay.host,
        "NOTIFIER__SMTP__PORT": str(relay.port),
        "NOTIFIER__SMTP__TLS": "none",
        "NOTIFIER__SENDER_EMAIL": "naringsliv@kommun.example",
        "NOTIFIER__PORTAL_URL": "https://dialog.kommun.example",
        "PORTAL__TOKEN_KEYS": token,
        "PORTAL__DATABASE": databases[1],
        "PORTAL__BASE_URL": "https://dialog.kommun.example",
    }.items():
        set_(name, value)


@pytest.fixture
def doctor() -> Doctor:
    """The exit code and, by name, state and words. In a thread: the relay needs our loop meanwhile."""

    def run(*arguments: str) -> tuple[int, dict[str, tuple[str, str]]]:
        out = io.StringIO()
        with redirect_stdout(out), pytest.raises(SystemExit) as ended:
            main(["doctor", *arguments, "--json"])
        found = [json.loads(line) for line in out.getvalue().splitlines()]
        return int(ended.value.code or 0), {item["check"]: (item["state"], item["words"]) for item in found}

    async def see(*arguments: str) -> tuple[int, dict[str, tuple[str, str]]]:
        return await asyncio.to_thread(run, *arguments)

    return see


@pytest.mark.usefixtures("well")
async def test_nothing_is_wrong_where_nothing_is_missing(doctor: Doctor) -> None:
    code, found = await doctor()
    assert {name: state for name, (state, _) in found.items() if state != "ok"} == {
        "returned mail": "note",
        "sms": "note",
    }
    assert code == 0
    assert {"kafka", "topics", "notifier database", "notifier positions", "portal database", "relay", "links"} <= set(
        found
    )


@pytest.mark.usefixtures("well")
async def test_sms_without_receipts_is_noted(doctor: Doctor, set_: Callable[[str, str], None]) -> None:
    for name, value in (("USERNAME", "u"), ("PASSWORD", "p"), ("SENDER", "Exempel")):
        set_(f"NOTIFIER__SMS__{name}", value)
    assert (await doctor("notifier"))[1]["receipts"][0] == "note"
    set_("NOTIFIER__RECEIPTS__PUBLIC_URL", "https://svar.kommun.example")
    found = (await doctor("notifier"))[1]
    assert (found["sms"][0], found["receipts"][0]) == ("ok", "ok")


@pytest.mark.usefixtures("well")
async def test_only_what_a_machine_runs_is_asked_about(doctor: Doctor, set_: Callable[[str, str], None]) -> None:
    set_("NOTIFIER__VAULT_KEY", "")
    code, found = await doctor("matcher")
    assert code == 0
    assert not [name for name in found if name.startswith(("notifier", "portal"))]


@pytest.mark.usefixtures("well")
@pytest.mark.parametrize(
    ("name", "value", "check", "words"),
    [
        ("INSTALLATION__RECIPIENT_KEY", "", "matcher recipient key", "set NARDIALOG_INSTALLATION__RECIPIENT_KEY"),
        ("INSTALLATION__SEAL_PUBLIC_KEY", "", "matcher seal", "SEAL_PUBLIC_KEY"),
        ("INSTALLATION__SEAL_PUBLIC_KEY", base64.b64encode(bytes(32)).decode(), "seal and private key", "not that of"),
        ("INSTALLATION__SEAL_KEY_VERSION", "k2", "seal and private key", "has no k2"),
        ("MODEL__FILE", "/nowhere.json", "matcher model", "/nowhere.json"),
        ("NOTIFIER__VAULT_KEY", "c2hvcnQ=", "notifier vault_key", "nardialog keys new"),
        ("NOTIFIER__PRIVATE_KEYS", "", "notifier private keys", "PRIVATE_KEYS"),
        ("NOTIFIER__TOKEN_KEY", base64.b64encode(bytes(32)).decode(), "links", "PORTAL__TOKEN_KEYS lacks"),
        ("NOTIFIER__PORTAL_URL", "https://other.example", "links", "make them one"),
        ("NOTIFIER__SMTP__HOST", "", "relay", "no channel"),
        ("NOTIFIER__SMTP__TLS", "starttls", "relay", "tls_not_offered"),
        ("NOTIFIER__SMTP__USERNAME", "me", "relay", "needs tls"),
        ("NOTIFIER__RETURNED__MAILDIR", "/nowhere/at/all", "returned mail", "the maildir cannot be read"),
        ("NOTIFIER__TEMPLATES_FOLDER", "/nowhere/words", "words", "make it a folder"),
        ("NOTIFIER__DATABASE", "nonsense", "notifier database", "NARDIALOG_NOTIFIER__DATABASE"),
        ("PORTAL__TOKEN_KEYS", "", "portal token keys", "PORTAL__TOKEN_KEYS"),
        ("PORTAL__POTR", "1", "settings", "NARDIALOG_PORTAL__POTR is unknown"),
        ("PROTAL__PORT", "1", "settings", "NARDIALOG_PROTAL__PORT is unknown"),
        ("KAFKA__PARTITIONS", "3", "topics", "wanted 3"),
        ("KAFKA__TOPIC_PREFIX", "nobodys-", "topics", "nardialog topics create"),
    ],
)
async def test_what_is_wrong_is_said_with_what_to_do(
    doctor: Doctor, set_: Callable[[str, str], None], name: str, value: str, check: str, words: str
) -> None:
    set_(name, value)
    code, found = await doctor()
    assert code == 3
    assert found[check][0] == "failed"
    assert words in found[check][1]


@pytest.mark.usefixtures("well")
async def test_servers_that_are_not_there_are_named_and_the_password_is_not(
    doctor: Doctor, set_: Callable[[str, str], None]
) -> None:
    nobody = free_ports(1)[0]
    set_("KAFKA__BOOTSTRAP", f"127.0.0.1:{nobody}")
    set_("NOTIFIER__DATABASE", f"postgresql+asyncpg://me:hush@127.0.0.1:{nobody}/x")
    set_("NOTIFIER__SMTP__PORT", str(nobody))
    code, found = await doctor()
    assert code == 3
    assert {name for name, (state, _) in found.items() if state == "failed"} == {"kafka", "notifier database", "relay"}
    assert found["topics"][0] == "unknown"
    assert all(str(nobody) in found[name][1] for name in ("kafka", "notifier database", "relay"))
    assert "hush" not in str(found)


@pytest.mark.usefixtures("well")
async def test_a_database_that_does_not_exist_is_said_in_the_servers_words(
    doctor: Doctor, set_: Callable[[str, str], None], databases: tuple[str, str]
) -> None:
    set_("PORTAL__DATABASE", databases[1] + "x")
    code, found = await doctor("portal")
    assert (code, found["portal database"][0]) == (3, "failed")
    assert "does not exist" in found["portal database"][1]


@pytest.mark.usefixtures("well")
async def test_a_database_without_tables_is_fine_and_one_of_a_newer_program_is_not(
    doctor: Doctor, set_: Callable[[str, str], None], postgres_url: str
) -> None:
    set_("NOTIFIER__DATABASE", postgres_url)
    code, found = await doctor("notifier")
    assert (code, found["notifier database"][0]) == (0, "note")
    database = Database(postgres_url)
    await migrate(database, MIGRATIONS)
    async with database.transaction() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    await database.close()
    code, found = await doctor("notifier")
    assert (code, found["notifier database"][0]) == (3, "failed")
    assert "9999" in found["notifier database"][1]


@pytest.mark.usefixtures("well")
async def test_a_position_past_the_end_of_its_topic_is_found(
    doctor: Doctor, set_: Callable[[str, str], None], postgres_url: str, prefix: str
) -> None:
    set_("NOTIFIER__DATABASE", postgres_url)
    database = Database(postgres_url)
    await migrate(database, MIGRATIONS)
    async with database.transaction() as connection:
        row = {"topic": f"{prefix}rounds", "partition": 0, "next_offset": 7}
        await connection.execute(insert(POSITIONS).values(row))
    await database.close()
    code, found = await doctor("notifier")
    assert (code, found["notifier positions"][0]) == (3, "failed")
    assert f"{prefix}rounds" in found["notifier positions"][1]


@pytest.mark.usefixtures("well")
async def test_paused_sending_is_said_and_stops_nothing(doctor: Doctor) -> None:
    def sending(*words: str) -> None:
        with pytest.raises(SystemExit) as ended:
            main(["sending", *words])
        assert not ended.value.code

    await asyncio.to_thread(sending, "pause", "--reason", "the relay moves")
    code, found = await doctor("notifier")
    await asyncio.to_thread(sending, "resume")
    assert (code, found["sending"][0]) == (0, "note")
    assert "the relay moves" in found["sending"][1]


@pytest.mark.usefixtures("well")
async def test_cases_and_dialogues_with_unequal_partitions_are_found(
    doctor: Doctor, set_: Callable[[str, str], None], kafka: LocalKafka, topic_prefix: str
) -> None:
    set_("KAFKA__TOPIC_PREFIX", topic_prefix)
    with TopicAdmin([kafka.bootstrap]) as admin:
        for topic, partitions in ((CASES, 2), (DIALOGUES, 3)):
            admin.create([replace(topic, name=topic_prefix + topic.name)], partitions=partitions, replication=1)
    _, found = await doctor("matcher")
    assert found["pairs"] == (
        "failed",
        "cases has 2 partitions and dialogues 3: one instance must hold both halves of a case",
    )
