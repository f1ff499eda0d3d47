"""A whole installation for one test: its own topics, our own providers, and matcher and notifier on one ledger.

What the services are told stands in the environment, as in production, so that one that is built here and one that is
a process of its own are told the same. Everything is on loopback and goes with the test's folder.
"""

import asyncio
import base64
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from aiokafka import AIOKafkaProducer

from schemas.case import CASE_CHANGED, Case
from schemas.delivery import DELIVERY_RECORDED, FINAL, Delivery
from schemas.envelope import Envelope
from schemas.invitation import INVITATION_CHANGED, Invitation
from schemas.round import ROUND_CHANGED, Round
from schemas.topics import ALL_TOPICS, DELIVERIES, INVITATIONS, ROUNDS, Topic
from services.demo.wiring import unsent
from services.matcher.app import MatcherApp
from services.matcher.app import build as build_matcher
from services.matcher.register import reading
from services.matcher.register.checks import Rules
from services.matcher.register.commands import import_file
from services.matcher.register.report import Report
from services.matcher.settings import MatcherSettings
from services.notifier.app import NotifierApp
from services.notifier.app import build as build_notifier
from services.notifier.channels.sms_sinks import SmsSink
from services.notifier.channels.smtp_sink import SmtpSink
from services.notifier.settings import NotifierSettings
from services.portal.app import PortalApp
from services.portal.app import build as build_portal
from services.portal.settings import PortalSettings
from services.runtime.clock import SystemClock
from services.runtime.local_kafka import LocalKafka
from services.runtime.records import Record
from services.runtime.sealing import key_pair, new_key
from services.runtime.settings import KafkaSettings, load
from services.runtime.tables import TableReader
from services.runtime.topic_admin import TopicAdmin
from tests.matcher_cases import content
from tests.portal_world import free_port
from tests.unbounded import model_file

PATIENCE: Final = 150
RECIPIENT_KEY: Final = "a recipient key for tests only"
COLUMNS: Final = "workplace_id,organisation,name,lon,lat,sni,sni_version,municipality,email,phone,street,postcode,town"
Headers = Sequence[tuple[str, bytes | None]]


class Installation:
    """`start` first and `stop` last; services that were started are stopped with it."""

    def __init__(
        self, kafka: LocalKafka, prefix: str, folder: Path, set_environment: Callable[[str, str], None]
    ) -> None:
        self.kafka = KafkaSettings(bootstrap=(kafka.bootstrap,), topic_prefix=prefix, session_timeout_ms=6000)
        self.folder = folder
        self.ledger = folder / "ledger.db"
        self.url = ""
        """Where the portal is, once started."""
        self.smtp, self.sms = SmtpSink(), SmsSink()
        self.private_key, self.public_key = key_pair()
        self.index_key = new_key()
        self.seen: list[Record] = []
        self._set = set_environment
        self._reader = TableReader(self.kafka, [self.kafka.topic(topic) for topic in ALL_TOPICS], self._see)
        self._undo: list[Callable[[], Awaitable[Any]]] = []

    async def start(self, *, partitions: int = 3) -> None:
        """Topics, providers, and an eye on every topic."""
        topics = [replace(topic, name=self.kafka.topic(topic)) for topic in ALL_TOPICS]
        with TopicAdmin(self.kafka.bootstrap) as admin:
            admin.create(topics, partitions=partitions, replication=1)
        for sink in (self.smtp, self.sms):
            await sink.start()
            self._undo.append(sink.stop)
        for name, value in self._environment().items():
            self._set(f"NARDIALOG_{name}", value)
        self._producer = AIOKafkaProducer(
            bootstrap_servers=list(self.kafka.bootstrap), max_request_size=1_150_000, compression_type="gzip"
        )
        await self._producer.start()
        self._undo.append(self._producer.stop)
        await self._reader.start()
        self._undo.append(self._reader.stop)

    async def stop(self) -> None:
        """Everything, the last first."""
        while self._undo:
            await self._undo.pop()()

    def _environment(self) -> Mapping[str, str]:
        token_key, port = _base64(new_key()), free_port()
        self.url = f"http://127.0.0.1:{port}"
        return {
            "KAFKA__BOOTSTRAP": json.dumps(self.kafka.bootstrap),
            "KAFKA__TOPIC_PREFIX": self.kafka.topic_prefix,
            "KAFKA__SESSION_TIMEOUT_MS": str(self.kafka.session_timeout_ms),
            "INSTALLATION__RECIPIENT_KEY": RECIPIENT_KEY,
            "INSTALLATION__SEAL_PUBLIC_KEY": _base64(self.public_key),
            "MODEL__FILE": str(model_file(self.folder)),
            "NOTIFIER__DATABASE": f"sqlite+aiosqlite:///{self.ledger}",
            "NOTIFIER__PRIVATE_KEYS": json.dumps({"k1": _base64(self.private_key)}),
            "NOTIFIER__INDEX_KEY": _base64(self.index_key),
            "NOTIFIER__VAULT_KEY": _base64(new_key()),
            "NOTIFIER__TOKEN_KEY": token_key,
            "NOTIFIER__PORTAL_URL": self.url,
            "PORTAL__DATABASE": f"sqlite+aiosqlite:///{self.folder / 'portal.db'}",
            "PORTAL__TOKEN_KEYS": token_key,
            "PORTAL__PORT": str(port),
            "PORTAL__BASE_URL": self.url,
            "NOTIFIER__HOLD_SECONDS": "0",
            "NOTIFIER__WINDOWS": "always",
            "NOTIFIER__POLL_SECONDS": "0.05",
            "NOTIFIER__SMTP__HOST": self.smtp.host,
            "NOTIFIER__SMTP__PORT": str(self.smtp.port),
            "NOTIFIER__SMTP__TLS": "none",
            "NOTIFIER__SMS__BASE_URL": self.sms.url,
            "NOTIFIER__SMS__USERNAME": "prov",
            "NOTIFIER__SMS__PASSWORD": "prov",
            "NOTIFIER__SMS__SENDER": "Danderyd",
            "NOTIFIER__SMS__PER_MINUTE": "0",
        }

    async def matcher(self) -> MatcherApp:
        """A matcher in this process."""
        app = build_matcher(load(MatcherSettings), SystemClock())
        self._undo.append(app.stop)
        await app.start()
        return app

    async def portal(self) -> PortalApp:
        """A portal in this process."""
        app = build_portal(load(PortalSettings), SystemClock())
        self._undo.append(app.stop)
        await app.start()
        return app

    async def notifier(self) -> NotifierApp:
        """A notifier in this process."""
        app = build_notifier(load(NotifierSettings), SystemClock())
        self._undo.append(app.stop)
        await app.start()
        return app

    def run(self, *arguments: str, log: Path, settings: Mapping[str, str] | None = None) -> "subprocess.Popen[bytes]":
        """The command line as a process of its own; all that it says goes to the log."""
        command = [sys.executable, "-m", "services.cli", *arguments]
        with log.open("ab") as file:
            process = subprocess.Popen(command, stdout=file, stderr=file, env={**os.environ, **(settings or {})})

        async def end() -> None:
            if process.poll() is None:
                process.terminate()
            await asyncio.to_thread(process.wait)

        self._undo.append(end)
        return process

    def register(self, rows: Iterable[str]) -> Path:
        """A register file of these rows."""
        path = self.folder / "register.csv"
        path.write_text("\n".join([COLUMNS, *rows]) + "\n", encoding="utf-8")
        return path

    async def import_register(self, rows: Iterable[str]) -> Report:
        """A register as `nardialog companies import` brings it."""
        read = reading.read(self.register(rows), Rules(RECIPIENT_KEY.encode()))
        return await import_file(read, load(MatcherSettings))

    async def send(self, topic: Topic, key: bytes | None, value: bytes | None, headers: Headers) -> tuple[str, int]:
        """Any bytes, as some producer might send them. Returns topic and offset when the broker has them."""
        sent = await self._producer.send_and_wait(self.kafka.topic(topic), value, key=key, headers=list(headers))
        return sent.topic, sent.offset

    async def send_case(self, case: Case, topic: Topic, *, extra: Headers = ()) -> None:
        """A case as a case system sends it."""
        value = case.model_dump_json(exclude_none=True).encode()
        await self.send(topic, case.key.encode(), value, [*case_headers(case.case_id), *extra])

    async def until(self, condition: Callable[[], object], what: str) -> None:
        """Returns when the condition holds of what the topics say. Fails with `what` was waited for."""
        try:
            async with asyncio.timeout(PATIENCE):
                while not condition():
                    await self._reader.caught_up()
                    await asyncio.sleep(0.2)
        except TimeoutError:
            raise AssertionError(f"waited {PATIENCE} s for: {what}; {self.told()}") from None

    async def settled(self, notifier: NotifierApp) -> None:
        """Returns when the ledger has nothing more to send or to tell, and all of that has been read here."""
        async with asyncio.timeout(PATIENCE):
            while await unsent(notifier):  # noqa: ASYNC110 - a ledger has no event to wait for
                await asyncio.sleep(0.05)
        await self._reader.caught_up()

    async def _see(self, records: Sequence[Record]) -> None:
        self.seen.extend(records)

    def told(self) -> str:
        """Where things stand, for a failure's message."""
        rounds = {(r.case_id, r.state.value, r.reason) for r in self.rounds().values()}
        ends = Counter((state, code) for state, code in self.ends().values())
        dead = Counter((r.topic.removeprefix(self.kafka.topic_prefix), reason(r)) for r in self.dead())
        return f"rounds {rounds}, invitations {len(self.invitations())}, ends {dict(ends)}, dead {dict(dead)}"

    def records(self, topic: Topic) -> list[Record]:
        """All of a topic so far."""
        return [record for record in self.seen if record.topic == self.kafka.topic(topic)]

    def dead(self) -> list[Record]:
        """All dead letters so far."""
        return [record for record in self.seen if record.topic.endswith(".dlq")]

    def rounds(self) -> dict[str, Round]:
        """The last readable state of each round."""
        return {r.round_id: r for r in _events(self.records(ROUNDS), ROUND_CHANGED, Round)}

    def invitations(self) -> dict[str, Invitation]:
        """Every readable invitation."""
        return {i.invitation_id: i for i in _events(self.records(INVITATIONS), INVITATION_CHANGED, Invitation)}

    def ends(self) -> dict[str, tuple[str, str]]:
        """How each invitation ended last: state and code."""
        ended: dict[str, tuple[str, str]] = {}
        for delivery in _events(self.records(DELIVERIES), DELIVERY_RECORDED, Delivery):
            if delivery.state in FINAL:
                ended |= dict.fromkeys(delivery.invitation_ids, (delivery.state.value, delivery.code))
        return ended

    def accepted(self) -> Counter[tuple[str, str]]:
        """(address, what the message calls itself) → how often a provider took it."""
        mails = Counter((to, mail.message_id) for mail in self.smtp.accepted for to in mail.recipients)
        return mails + Counter((sms.to, sms.reference or sms.text) for sms in self.sms.accepted)


def a_case(case_id: str, **changes: Any) -> Case:
    """A street case near the points of `row`, to be answered long after today."""
    later = (datetime.now(UTC) + timedelta(days=60)).date()
    return Case.model_validate(content(case_id=case_id, title=f"Prov {case_id}", respond_by=later) | changes)


def case_headers(id_: str) -> list[tuple[str, bytes | None]]:
    """The headers of a case event."""
    envelope = Envelope(id=id_, source="/prov", type=CASE_CHANGED, time=datetime.now(UTC))
    return [(name, value.encode()) for name, value in envelope.headers().items()]


def row(number: int, *, email: str = "", phone: str = "", organisation: str = "", street: str = "") -> str:
    """A workplace within reach of `a_case`, in a register file."""
    place = '"182 30",Danderyd' if street else ","
    return (
        f'W{number},"{organisation or f"ORG-{number}"}",Exempel {number},{18.03 + number / 1e5:.5f},59.4,'
        f'56.110,2025,0162,"{email}","{phone}","{street}",{place}'
    )


def reason(record: Record) -> str:
    """Why a dead letter is one."""
    return (dict(record.headers).get("dlq_reason") or b"").decode()


def _events(records: Iterable[Record], type_: str, model: Any) -> list[Any]:
    readable = []
    for record in records:
        if dict(record.headers).get("ce_type") == type_.encode() and record.value:
            try:
                readable.append(model.model_validate_json(record.value, extra="ignore"))
            except ValueError:
                continue  # a test's bad record
    return readable


def _base64(key: bytes) -> str:
    return base64.b64encode(key).decode()
