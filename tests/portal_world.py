"""A portal on real topics for one test: events to publish, the portal itself, and everything that was written."""

import asyncio
import base64
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, ClassVar, Final

import httpx
from pydantic import SecretStr

from schemas.case import CASE_CHANGED, Case
from schemas.company import COMPANY_CHANGED, Company
from schemas.delivery import DELIVERY_RECORDED, Delivery, DeliveryState
from schemas.dialogue import DIALOGUE_CHANGED, Dialogue
from schemas.identity import derived, invitation_id, recipient_id, round_id
from schemas.invitation import INVITATION_CHANGED, Invitation
from schemas.notice import NOTICE_REQUESTED, Notice
from schemas.response import RESPONSE_RECORDED, Response
from schemas.round import EXAMPLE as ROUND_EXAMPLE
from schemas.round import ROUND_CHANGED, Round
from schemas.subscription import CASE_FOLLOWED, Following
from schemas.suppression import SUPPRESSION_CHANGED, Suppression
from schemas.topics import (
    ALL_TOPICS,
    CASES,
    COMPANIES,
    DELIVERIES,
    DIALOGUES,
    INVITATIONS,
    NOTICES,
    RESPONSES,
    ROUNDS,
    SUBSCRIPTIONS,
    SUPPRESSIONS,
    Topic,
)
from schemas.types import Event
from services.portal.api_keys import ApiKey, Scope, new_secret, secret_hash, written
from services.portal.app import PortalApp, build, feeds_of, web
from services.portal.portal import Portal
from services.portal.settings import PortalOptions, PortalSettings
from services.portal.store.tables import MIGRATIONS, OUTBOX, POSITIONS
from services.runtime.broker import Broker
from services.runtime.clock import Clock, ManualClock
from services.runtime.errors import Rejected, Transient
from services.runtime.installation import InstallationSettings
from services.runtime.link_tokens import Purpose, mint
from services.runtime.parsing import outgoing
from services.runtime.records import Outgoing, Record
from services.runtime.sealing import Opener, key_pair
from services.runtime.settings import KafkaSettings
from services.runtime.store.database import Database, migrate
from services.runtime.store.feeding import Feeder
from services.runtime.store.outbox import Outbox
from services.runtime.tables import TableReader
from services.runtime.topic_admin import TopicAdmin
from tests.matcher_cases import content

TOKEN_KEY: Final = b"k" * 32
RECIPIENT_KEY: Final = "a key of the tests, for recipients"
NOW: Final = datetime(2026, 11, 25, 8, tzinfo=UTC)
LAST_DAY: Final = date(2026, 12, 11)
PATIENCE: Final = 60
TYPES: Final[dict[type[Event], tuple[Topic, str, str]]] = {
    Case: (CASES, CASE_CHANGED, "key"),
    Company: (COMPANIES, COMPANY_CHANGED, "workplace_id"),
    Dialogue: (DIALOGUES, DIALOGUE_CHANGED, "key"),
    Round: (ROUNDS, ROUND_CHANGED, "round_id"),
    Invitation: (INVITATIONS, INVITATION_CHANGED, "case_key"),
    Delivery: (DELIVERIES, DELIVERY_RECORDED, "message_id"),
    Suppression: (SUPPRESSIONS, SUPPRESSION_CHANGED, "suppression_id"),
    Response: (RESPONSES, RESPONSE_RECORDED, "case_key"),
    Notice: (NOTICES, NOTICE_REQUESTED, "recipient_id"),
    Following: (SUBSCRIPTIONS, CASE_FOLLOWED, "subscription_id"),
}


def case(**changes: Any) -> Case:
    """A case on a road that is rebuilt."""
    words = {
        "case_id": "EX-2",
        "title": "Stockholmsvägen byggs om",
        "title_en": "Stockholmsvägen is rebuilt",
        "diary_number": "KS 2025/0123",
        "summary": "Gatan byggs om under våren. Trafiken leds om medan arbetet pågår.",
        "open_questions": ["När arbetet görs", "Var lastplatserna ligger"],
        "already_decided": ["Att ledningarna byts"],
        "respond_by": str(LAST_DAY),
        "official": {"name": "Anna Exempel", "title": "projektledare", "phone": "08-465 004 00"},
        "documents": [{"title": "Ritning", "url": "https://kommun.example/ritning.pdf"}],
    }
    return Case.model_validate(content("road") | words | changes)


def company(name: str, **changes: Any) -> Company:
    """A company with one workplace, named after it."""
    return Company(
        municipality="0162",
        workplace_id=f"W-{name}",
        recipient_id=recipient_id(name, TOKEN_KEY),
        name=name,
        street="Stockholmsvägen 40",
        postcode="182 30",
        town="Danderyd",
        **changes,
    )


def round_of(about: Case, **changes: Any) -> Round:
    """The open round that asks about a case."""
    words = {
        **ROUND_EXAMPLE,
        "round_id": round_id(about.key, about.stage, about.occurrence, "ask"),
        "case_key": about.key,
        "case_id": about.case_id,
        "source": about.source,
        "case_type": about.case_type,
        "stage": about.stage,
        "occurrence": about.occurrence,
        "respond_by": LAST_DAY,
        "expires_at": "2026-12-12T00:00:00+01:00",
        "opened_at": "2026-11-20T09:00:00+01:00",
        "texts": {
            "title": about.title,
            "title_en": about.title_en,
            "summary": about.summary,
            "open_questions": about.open_questions,
            "already_decided": about.already_decided,
            "case_type": "Gatuarbete",
            "case_type_en": "Street works",
            "stage": "Projektering",
            "stage_en": "Design",
            "diary_number": about.diary_number,
            "official": about.official,
            "documents": about.documents,
            "meeting": about.meeting,
        },
    }
    return Round.model_validate(words | changes)


def invitation(to: Company, of: Round, **changes: Any) -> Invitation:
    """An invitation by distance and code."""
    words = {
        "municipality": "0162",
        "invitation_id": invitation_id(of.round_id, to.recipient_id),
        "round_id": of.round_id,
        "case_key": of.case_key,
        "case_id": of.case_id,
        "stage": of.stage,
        "occurrence": of.occurrence,
        "purpose": of.purpose,
        "recipient_id": to.recipient_id,
        "forms": {"primary": "fraga", "offered": ["fraga"]},
        "respond_by": of.respond_by,
        "expires_at": of.expires_at,
        "model_version": "0.1.0",
        "register_version": "0123456789abcdef0123456789abcdef",
        "basis": of.basis,
        "workplaces": [
            {
                "workplace_id": to.workplace_id,
                "distance_m": 120.0,
                "reasons": [
                    {"kind": "distance", "role": "road", "ring": "direct", "distance_m": 120.0},
                    {"kind": "industry", "ring": "near", "code": "56110", "heading": "56", "version": "2025"},
                ],
            }
        ],
    }
    return Invitation.model_validate(words | changes)


def delivery(number: int, *carried: Invitation, **changes: Any) -> Delivery:
    """What the notifier says when it has composed a message."""
    words = {
        "municipality": "0162",
        "delivery_id": derived("delivery", str(number), "composed", *(item.invitation_id for item in carried)),
        "message_id": f"m-{number}",
        "message_number": number,
        "invitation_ids": [item.invitation_id for item in carried],
        "round_ids": sorted({item.round_id for item in carried}),
        "recipient_ids": [item.recipient_id for item in carried],
        "channel": "email",
        "state": DeliveryState.COMPOSED,
        "at": NOW,
    }
    return Delivery.model_validate(words | changes)


def api_key(**changes: Any) -> tuple[str, ApiKey]:
    """A case system's key, as it is written and as it is kept."""
    key_id, secret = new_secret()
    words: dict[str, Any] = {
        "key_id": key_id,
        "label": "prov",
        "secret_hash": secret_hash(secret),
        "scopes": frozenset(scope.value for scope in Scope),
        "sources": frozenset({"prov"}),
        "municipalities": frozenset({"0162"}),
        "created_at": NOW,
    }
    return written(key_id, secret), ApiKey(**(words | changes))


def answer_path(number: int) -> str:
    """Where a message's answer link leads."""
    return f"/i/{mint(number, TOKEN_KEY, Purpose.ANSWER)}"


def stop_path(number: int) -> str:
    """Where a message's stop link leads."""
    return f"/avsluta/{mint(number, TOKEN_KEY, Purpose.STOP)}"


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class World:
    """Topics of one test, a publisher, and everything that was written."""

    def __init__(self, kafka: KafkaSettings, folder: Path) -> None:
        self.kafka = kafka
        self.folder = folder
        self.port = free_port()
        self.clock: Clock = ManualClock(NOW)
        self.seen: list[Record] = []
        self.broker = Broker(kafka, service="test")
        self._reader = TableReader(kafka, [kafka.topic(topic) for topic in ALL_TOPICS], self._see)

    async def _see(self, records: Sequence[Record]) -> None:
        self.seen.extend(records)

    async def start(self) -> None:
        """Topics, and an eye on each."""
        with TopicAdmin(self.kafka.bootstrap) as admin:
            named = [replace(topic, name=self.kafka.topic(topic)) for topic in ALL_TOPICS]
            admin.create(named, partitions=2, replication=1)
        await self.broker.connect()
        await self._reader.start()

    async def stop(self) -> None:
        """Leaves."""
        await self._reader.stop()
        await self.broker.stop()

    def settings(self, **options: Any) -> PortalSettings:
        """A portal's settings here."""
        key = SecretStr(base64.b64encode(TOKEN_KEY).decode())
        words = {
            "database": f"sqlite+aiosqlite:///{self.folder / 'portal.db'}",
            "token_keys": (key,),
            "port": self.port,
            "base_url": f"http://127.0.0.1:{self.port}",
        }
        installation = InstallationSettings(recipient_key=SecretStr(RECIPIENT_KEY))
        portal = PortalOptions.model_validate(words | options)
        return PortalSettings(kafka=self.kafka, portal=portal, installation=installation)

    @asynccontextmanager
    async def portal(self, **options: Any) -> AsyncIterator[PortalApp]:
        """A running portal."""
        app = build(self.settings(**options), self.clock)
        try:
            await app.start()
            yield app
        finally:
            await app.stop()

    @asynccontextmanager
    async def client(self) -> AsyncIterator[httpx.AsyncClient]:
        """A browser without cookies, scripts or memory."""
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.port}", timeout=PATIENCE) as client:
            yield client

    async def publish(self, *events: Event) -> None:
        """Writes events as their owners would."""
        records = []
        for number, event in enumerate(events):
            topic, kind, key = TYPES[type(event)]
            records.append(
                outgoing(
                    self.kafka.topic(topic), str(getattr(event, key)), event,
                    type=kind, id=f"{len(self.seen)}-{number}", source="/test", time=NOW,
                )
            )  # fmt: skip
        await self.broker.publish(records)

    def values(self, topic: Topic) -> list[bytes]:
        """What a topic holds, as far as it was seen."""
        return [record.value or b"" for record in self.seen if record.topic == self.kafka.topic(topic)]

    async def all_read(self) -> None:
        """Returns when everything written so far was seen."""
        await self._reader.caught_up()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Waits for a condition on what was seen."""
        async with asyncio.timeout(PATIENCE):
            while not condition():
                await self.all_read()
                await asyncio.sleep(0.02)


class Offline:
    """The portal's pages without a broker: what topics say is fed in, and what is published is kept in a list.

    For what pages show. What is promised about topics is tested on real Kafka.
    """

    _empty: ClassVar[bytes | None] = None

    def __init__(self, folder: Path, **options: Any) -> None:
        self.clock = ManualClock(NOW)
        self._file = folder / "offline.db"
        self.published: list[Outgoing] = []
        self.broken = False
        self._offset = 0
        key = SecretStr(base64.b64encode(TOKEN_KEY).decode())
        words = {"database": f"sqlite+aiosqlite:///{self._file}", "token_keys": (key,)}
        private, public = key_pair()
        self.opener = Opener({"k1": private})
        installation = InstallationSettings(seal_public_key=base64.b64encode(public).decode())
        settings = PortalSettings(portal=PortalOptions.model_validate(words | options), installation=installation)
        self.database = Database(settings.portal.database)
        self.outbox = Outbox(self.database, OUTBOX, self)
        self.portal = Portal(
            settings, settings.portal.keys(), settings.model.load(), self.database, self.outbox, self, self, self.clock,
            asyncio.Event(),
        )  # fmt: skip
        self.web = web(self.portal)
        self._feeder = Feeder(self.database, POSITIONS, feeds_of(settings.kafka), self._unfit)

    async def _unfit(self, record: Record, error: Rejected) -> None:
        raise error

    async def publish(self, records: Sequence[Outgoing]) -> None:
        """As a broker, or as one that is down."""
        if self.broken:
            raise Transient("no Kafka here")
        self.published += records
        await self._feed([(r.topic, r.key, r.value, r.headers) for r in records if r.topic in self._feeder._topics])

    async def caught_up(self) -> None:
        """What is fed in is there at once."""

    async def start(self) -> None:
        """Makes the store: migrated once, then copied."""
        if Offline._empty is None:
            await migrate(self.database, MIGRATIONS)
            await self.database.close()
            Offline._empty = self._file.read_bytes()
        else:
            self._file.write_bytes(Offline._empty)

    async def say(self, *events: Event) -> None:
        """What the topics say."""
        records = []
        for event in events:
            topic, kind, key = TYPES[type(event)]
            out = outgoing(topic.name, str(getattr(event, key)), event, type=kind, id="1", source="/test", time=NOW)
            records.append((out.topic, out.key, out.value, out.headers))
        await self._feed(records)

    async def _feed(self, records: Sequence[tuple[str, str, bytes | None, Any]]) -> None:
        for topic, key, value, headers in records:
            told = tuple((name, text.encode()) for name, text in headers.items())
            await self._feeder.apply([Record(topic, 0, self._offset, key.encode(), value, told, 0)])
            self._offset += 1

    def client(self) -> httpx.AsyncClient:
        """A browser without cookies, scripts or memory."""
        transport = httpx.ASGITransport(app=self.web, raise_app_exceptions=False)
        return httpx.AsyncClient(transport=transport, base_url="http://portal.example")

    def events(self, topic: Topic) -> list[Outgoing]:
        """What was published to a topic."""
        return [record for record in self.published if record.topic == topic.name]


@asynccontextmanager
async def offline(folder: Path, **options: Any) -> AsyncIterator[Offline]:
    """A portal without a broker."""
    made = Offline(folder, **options)
    await made.start()
    try:
        yield made
    finally:
        await made.database.close()
