"""Class A personal data stands in sealed boxes and nowhere else, whatever became of the message.

Both services run as processes of their own, so that everything they say is seen, whoever says it.
"""

import asyncio
import base64
import json
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import pypdfium2  # type: ignore[import-untyped]
import pytest

from schemas.contact import CONTACT_CHANGED, Contact
from schemas.contact import EXAMPLE as CONTACT
from schemas.delivery import Delivery
from schemas.identity import contact_id, recipient_id
from schemas.suppression import SUPPRESSION_CHANGED, Suppression
from schemas.topics import CASES, CONTACTS, DELIVERIES, SUPPRESSIONS, Cleanup, Topic
from services.notifier.channels.sink_behaviour import Act
from services.runtime.addresses import normal
from services.runtime.clock import SystemClock
from services.runtime.local_kafka import free_ports
from services.runtime.parsing import outgoing
from services.runtime.records import Record
from services.runtime.sealing import Seal, blind_index
from services.runtime.tables import TableReader
from services.runtime.topic_admin import TopicAdmin
from tests.journeys.installation import PATIENCE, RECIPIENT_KEY, Installation, a_case, case_headers, row
from tests.journeys.traces import Traces
from tests.returned_mails import complaint, mail, report

pytestmark = pytest.mark.anyio
EMAILS: Final = {
    "plus and capitals": "Anna.Andersson+Faktura@Exempel-Bageri.EXAMPLE",
    "not ASCII": "Åsa.Öberg@Räksmörgås.example",
    "third": "dagny.dahlgren@exempel-tre.example",
    "fourth": "eskil.ekdahl@exempel-fyra.example",
}
STOPPED: Final = "Stoppad.Karlsson@Exempel-Stopp.example"
PHONES: Final = {"national": "070-174 06 05", "with a zero": "+46 (0)70 174 06 06", "with 00": "0046 70 1740607"}
OWNERS: Final = {"right": "811228-9874", "long": "19850709-9805", "mistyped": "811228-9875"}
"""Of sole traders, whose organisation number is a personal number; the first two are the tax agency's test numbers."""
NAMED: Final = {"address": "greta.g@exempel-namn.example", "name": "Greta Hemlighuvud"}
NO_ADDRESS: Final = "Bertil Bengtsson hos Exempel"
UNSEALED: Final = "klartext.persson@exempel-klar.example"
"""Somebody writes this to `contacts` without a box: there it stands, and from there it may not spread."""

TEXTS: Final = {
    **{f"e-mail, {name}": value for name, value in EMAILS.items()},
    **{f"local part, {name}": value.partition("@")[0] for name, value in EMAILS.items()},
    "stopped": STOPPED.partition("@")[0],
    "left out by the import": "bad.bertilsson",
    "sealed address": NAMED["address"],
    "sealed name": NAMED["name"],
    "no address in the box": NO_ADDRESS,
    "unsealed": UNSEALED.partition("@")[0],
}
NUMBERS: Final = {
    **{f"phone, {name}": value for name, value in zip(PHONES, ("701740605", "701740606", "701740607"), strict=True)},
    **{f"personal number, {name}": value[-11:] for name, value in OWNERS.items()},
    "phone left out by the import": "70174069912",
}
TRACES: Final = Traces(TEXTS, NUMBERS)
QUOTED: Final = " ".join(
    value for value in (*EMAILS.values(), STOPPED, *PHONES.values(), *NAMED.values()) if value.isascii()
)
"""What providers answer: real ones quote the address."""

ASKING: Final = """
import contextlib, json, sys
from services.cli import main
for command in json.loads(sys.argv[1]):
    with contextlib.suppress(SystemExit):
        main(command)
    print("-- exit", flush=True)
"""

DISGUISES: Final[dict[str, bytes]] = {
    "e-mail, plus and capitals": b"<anna.andersson+faktura@exempel-bageri.example>",
    "e-mail, not ASCII": json.dumps({"to": EMAILS["not ASCII"].upper()}).encode(),
    "e-mail, third": b"https://exempel.example/?to=dagny.dahlgren%40exempel-tre.example",
    "e-mail, fourth": b"xx" + base64.b64encode(b'{"a": "eskil.ekdahl@exempel-fyra.example"}'),
    "sealed name": b"Greta Hemlighuvud".hex().encode(),
    "phone, national": b"tel:+46-70-174 06 05",
    "phone, with a zero": b'{"to": "0701740606"}',
    "phone, with 00": base64.urlsafe_b64encode(b"?+46701740607?"),
    "personal number, right": b"198112289874",
    "personal number, long": b"850709+9805",
}


def test_every_disguise_is_seen_through_and_what_is_clean_is_found_clean() -> None:
    assert {name: name in TRACES.within(data) for name, data in DISGUISES.items()} == dict.fromkeys(DISGUISES, True)
    assert TRACES.within(b'{"recipient_id": "5f0c1d2e3a4b5c6d7e8f901234567890", "lon": 18.03001}') == set()


async def test_class_a_values_are_found_in_no_topic_log_metric_page_or_ledger(installation: Installation) -> None:
    world = installation
    await world.start()
    seen_by_the_search = await canaries_found(world)
    assert seen_by_the_search == set(DISGUISES)

    logs = [await imported(world)]
    await sabotage(world)
    *ports_, door = free_ports(3)
    ports = dict(zip(("matcher", "notifier"), ports_, strict=True))
    for service, port in ports.items():
        logs.append(world.folder / f"{service}.log")
        settings = {"NARDIALOG_HEALTH__PORT": str(port), "NARDIALOG_LOG__LEVEL": "debug", **comes_back(world, door)}
        world.run("run", service, log=logs[-1], settings=settings)
    await world.send_case(a_case("A 1"), CASES)
    await world.until(lambda: went_as_planned(world), "one of each end")
    await come_back(world, door)
    pages = [await page(port, path) for port in ports.values() for path in ("healthz", "readyz", "metrics")]
    ledger = stored(world)
    logs.append(await asked(world))
    letters = lettered(world)
    await world.stop()

    assert_delivered(world)
    assert all(log.stat().st_size for log in logs)
    assert len(letters) >= 3, "the table, and a letter to each who has no contact; whose address just died may have one"
    assert recipient_id("ORG-1", RECIPIENT_KEY.encode()).encode() in b"".join(ledger)
    assert any(b"nardialog_records_total" in body for body in pages)
    found = {
        "logs": TRACES.within_any(log.read_bytes() for log in logs),
        "pages": TRACES.within_any(pages),
        "letters": TRACES.within_any(letters),
        "ledger": TRACES.within_any([*ledger, *stored(world)]),
        "topics": leaks(world.seen, world),
    }
    clean: dict[str, object] = {name: set() for name in ("logs", "pages", "letters", "ledger")}
    assert found == {**clean, "topics": {("contacts", "unsealed")}}


async def imported(world: Installation) -> Path:
    """`nardialog companies import`, as a process; everything that it says and writes."""
    world.register(
        [
            *(row(n, email=email) for n, email in enumerate(EMAILS.values(), 1)),
            row(11, email=STOPPED),
            *(row(n, phone=phone) for n, phone in enumerate(PHONES.values(), 21)),
            *(row(n, organisation=owner, street=f"Provgatan {n}") for n, owner in enumerate(OWNERS.values(), 31)),
            row(41, email="bad.bertilsson@@exempel.example", phone="070-174 069 912"),
        ]
    )
    log = world.folder / "import.log"
    report = world.folder / "refused.csv"
    arguments = ("companies", "import", str(world.folder / "register.csv"), "--json", "--report", str(report))
    assert await ended(world.run(*arguments, log=log)) == 0
    with log.open("ab") as file:
        file.write(report.read_bytes())
    return log


async def sabotage(world: Installation) -> None:
    """Providers that refuse with the address in their answer, an address that said stop, bad contacts."""
    turns = {
        "rcpt": [f"550 5.1.1 <{QUOTED}>: no such user", f"450 4.2.0 <{QUOTED}>: try later"],
        "done": [f"250 2.0.0 Ok: queued as 4AB12C for <{QUOTED}>"],
        "sms": [f"400 {QUOTED}"],
    }

    def behave(point: str, _: int) -> Act | None:
        return Act(reply=turns[point].pop()) if turns.get(point) else None

    world.smtp.behaviour = world.sms.behaviour = behave
    _, form = normal("email", STOPPED)
    index = blind_index(world.index_key, "email", form)
    stop = Suppression(
        municipality="0162", suppression_id=index, kind="stop", scope="all", address_index=index, at=SystemClock().now()
    )
    await publish(world, SUPPRESSIONS, index, stop, SUPPRESSION_CHANGED)
    seal = Seal("k1", world.public_key)
    recipient = recipient_id(OWNERS["right"], RECIPIENT_KEY.encode())
    for role, inside in {"named": NAMED, "empty": {"address": NO_ADDRESS}}.items():
        key = contact_id("prov", recipient, "W31", role, "email")
        box = seal.seal(json.dumps(inside).encode()).model_dump()
        about = {"contact_id": key, "source": "prov", "recipient_id": recipient, "workplace_id": "W31", "role": role}
        await publish(
            world, CONTACTS, key, Contact.model_validate({**CONTACT, **about, "sealed": box}), CONTACT_CHANGED
        )
    headers = [*{**dict(case_headers("bad")), "ce_type": CONTACT_CHANGED.encode()}.items()]
    await world.send(CONTACTS, b"c9", json.dumps({"address": UNSEALED}).encode(), headers)


def comes_back(world: Installation, door: int) -> dict[str, str]:
    """Settings: where mail comes back to, and where providers call."""
    for name in ("cur", "new", "tmp"):
        (world.folder / "returned" / name).mkdir(parents=True, exist_ok=True)
    return {
        "NARDIALOG_NOTIFIER__RETURNED__MAILDIR": str(world.folder / "returned"),
        "NARDIALOG_NOTIFIER__RETURNED__POLL_SECONDS": "0.1",
        "NARDIALOG_NOTIFIER__RECEIPTS__PORT": str(door),
        "NARDIALOG_NOTIFIER__RECEIPTS__PUBLIC_URL": f"http://127.0.0.1:{door}",
    }


async def come_back(world: Installation, door: int) -> None:
    """A bounce, a complaint, a person and a machine write to us, and a provider calls: all of them name addresses."""
    bounced = world.smtp.accepted[0]
    returned = f"Message-ID: <{bounced.message_id}>\r\nTo: <{EMAILS['fourth']}>"
    mails = [
        report(diagnostic=f"smtp; 550 5.1.1 {QUOTED}", to=bounced.mail_from, returned=returned),
        report(status="4.2.2", diagnostic=f"smtp; 452 {QUOTED}", to=bounced.mail_from, returned=returned),
        complaint(returned),
        mail(QUOTED, QUOTED, sender=EMAILS["third"]),
        mail("Autosvar", QUOTED, "Auto-Submitted: auto-replied", sender=EMAILS["fourth"]),
        mail(f"avsluta {QUOTED}", QUOTED, sender=EMAILS["third"]),
    ]
    box = world.folder / "returned"
    for number, raw in enumerate(mails):
        (box / "new" / f"{number}.host").write_bytes(raw)
    said = urllib.parse.urlencode({"to": PHONES["national"], "from": "+46701740606", "message": QUOTED}).encode()
    for path in ("/receipts/46elks/no-such-receipt", f"/receipts/46elks/{EMAILS['third']}", "/receipts/none"):
        assert await called(f"http://127.0.0.1:{door}{path}", said) in (204, 400, 403, 404)
    await world.until(lambda: len(list(box.glob(".*/cur/*"))) == len(mails), "all that came back is put away")


async def called(url: str, body: bytes) -> int:
    """The status with which a POST is answered."""

    def post() -> int:
        try:
            with urllib.request.urlopen(urllib.request.Request(url, data=body), timeout=10) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as refused:
            return refused.code

    return await asyncio.to_thread(post)


async def asked(world: Installation) -> Path:
    """What an operator asks at a terminal, one after another in one process, and all that is answered."""
    told = [Delivery.model_validate_json(r.value or b"") for r in world.records(DELIVERIES)]
    failed = next(event.message_id for event in told if event.state.value == "failed")
    [round_] = world.rounds().values()
    commands: list[list[str | None]] = [
        ["deliveries", "list", "--json"], ["deliveries", "show", failed, "--json"], ["deliveries", "show", failed],
        ["dlq", "list", "--json"], ["lag", "--json"], ["suppressions", "list", "--json"], ["providers", "status"],
        ["sending", "status"], ["doctor", "notifier"], ["keys", "rotate"],
        ["letters", "export", round_.case_key, "-o", str(world.folder / "brev")],
    ]  # fmt: skip
    log = world.folder / "commands.log"
    assert await ended(asking(commands, log)) == 0
    assert log.read_bytes().count(b"-- exit") == len(commands)
    return log


def asking(commands: Sequence[Sequence[str | None]], log: Path) -> "subprocess.Popen[bytes]":
    with log.open("wb") as file:
        return subprocess.Popen([sys.executable, "-c", ASKING, json.dumps(commands)], stdout=file, stderr=file)


def lettered(world: Installation) -> list[bytes]:
    """What stands in the letters, which hold names and visiting addresses of the register and nothing more."""
    pages = [pypdfium2.PdfDocument(path) for path in sorted((world.folder / "brev").glob("*.pdf"))]
    read = ["".join(page.get_textpage().get_text_range() for page in pdf).encode() for pdf in pages]
    return [(world.folder / "brev/brev.csv").read_bytes(), *read]


async def publish(world: Installation, topic: Topic, key: str, event: Any, type_: str) -> None:
    record = outgoing(
        world.kafka.topic(topic), key, event, type=type_, id=key, source="/prov", time=SystemClock().now()
    )
    headers = [(name, value.encode()) for name, value in record.headers.items()]
    await world.send(topic, key.encode(), record.value, headers)


def went_as_planned(world: Installation) -> bool:
    """Mails and texts left; of each one failed; one waits, one was stopped, some have no contact; two are dead."""
    told = [Delivery.model_validate_json(r.value or b"") for r in world.records(DELIVERIES)]
    ends = {(d.channel, d.state.value, d.code) for d in told}
    sent = sum(d.state.value == "sent" for d in told)
    wanted = {
        ("email", "failed", "no_such_address"),
        ("email", "retry", "try_later"),
        ("email", "suppressed", "stop"),
        ("sms", "failed", "bad_request"),
        (None, "not_reachable", "no_contact"),
    }
    return ends >= wanted and sent == len(EMAILS) + 1 - 2 + len(PHONES) - 1 and len(world.dead()) == 2


def assert_delivered(world: Installation) -> None:
    """The values were in use: they are what the providers were given."""
    mails = {normal("email", to)[1] for mail in world.smtp.accepted for to in mail.recipients}
    texts = {sms.to for sms in world.sms.accepted}
    assert mails < {normal("email", address)[1] for address in (*EMAILS.values(), NAMED["address"])}
    assert texts < {normal("sms", phone)[0] for phone in PHONES.values()}
    assert (len(mails), len(texts)) == (3, 2)


def leaks(records: Sequence[Record], world: Installation) -> set[tuple[str, str]]:
    """(topic, value) of everything found in keys, values, header names and header values."""
    return {
        (record.topic.removeprefix(world.kafka.topic_prefix), name)
        for record in records
        for name in TRACES.within_any(_parts(record))
    }


def _parts(record: Record) -> list[bytes]:
    headers = [part for name, value in record.headers for part in (name.encode(), value or b"")]
    return [record.key or b"", record.value or b"", *headers]


async def canaries_found(world: Installation) -> set[str]:
    """Every disguise, sent through a topic of its own in a key, a value, a header or a header's name."""
    scratch = Topic("scratch", "id", Cleanup.DELETE)
    with TopicAdmin(world.kafka.bootstrap) as admin:
        admin.create([Topic(world.kafka.topic(scratch), "id", Cleanup.DELETE)], partitions=3, replication=1)
    for turn, data in enumerate(DISGUISES.values()):
        places: list[tuple[bytes, bytes, list[tuple[str, bytes | None]]]] = [
            (data, b"", []), (b"k", data, []), (b"k", b"", [("x", data)]), (b"k", b"", [(data.decode(), b"")]),
        ]  # fmt: skip
        await world.send(scratch, *places[turn % len(places)])
    seen: list[Record] = []

    async def see(records: Sequence[Record]) -> None:
        seen.extend(records)

    reader = TableReader(world.kafka, [world.kafka.topic(scratch)], see)
    await reader.start()
    await reader.caught_up()
    await reader.stop()
    return {name for topic, name in leaks(seen, world) if topic == "scratch" and name in DISGUISES}


def stored(world: Installation) -> list[bytes]:
    """The ledger's files as they lie on the disk."""
    return [path.read_bytes() for path in sorted(world.folder.glob("ledger.db*"))]


async def page(port: int, path: str) -> bytes:
    def get() -> bytes:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/{path}", timeout=10) as answer:
            body: bytes = answer.read()
            return body

    return await asyncio.to_thread(get)


async def ended(process: Any) -> int:
    code: int = await asyncio.wait_for(asyncio.to_thread(process.wait), PATIENCE)
    return code
