"""The portal, wired: the only place where its parts meet.

cases, dialogues, rounds, invitations → Feeder (CaseFeed …)        → store
companies, deliveries, suppressions, responses, subscriptions → Feeder → store
store                            → pages, API                 → a browser, a case system
an answer                        → store, outbox → Relay      → responses, notices
a stop                           → suppressions, acknowledged before the page says so; outbox → notices
a confirmed subscription         → outbox → Relay            → contacts (sealed), subscriptions; a link → notices
POST /api/v1/…                   → api                        → cases, dialogues
"""

import asyncio
import contextlib

from starlette.applications import Starlette
from starlette.routing import Mount

from schemas.topics import (
    CASES,
    COMPANIES,
    DELIVERIES,
    DIALOGUES,
    INVITATIONS,
    RESPONSES,
    ROUNDS,
    SUBSCRIPTIONS,
    SUPPRESSIONS,
)
from services.portal import pages
from services.portal.api.app import build as build_api
from services.portal.api.submissions import Submissions
from services.portal.followings import Followings
from services.portal.housekeeping import keep_house
from services.portal.portal import Portal
from services.portal.relay import Relay
from services.portal.settings import PortalSettings
from services.portal.store.tables import MIGRATIONS, OUTBOX, POSITIONS
from services.portal.subscribers import Subscribers
from services.portal.views import (
    GROUP,
    PUT_ASIDE,
    CaseFeed,
    CompanyFeed,
    DeliveryFeed,
    DialogueFeed,
    InvitationFeed,
    ResponseFeed,
    RoundFeed,
    SubscriptionFeed,
    SuppressionFeed,
)
from services.portal.web import Asgi, Guard, WebServer
from services.runtime.broker import Broker
from services.runtime.clock import Clock
from services.runtime.errors import Fault, Rejected
from services.runtime.health import HealthServer
from services.runtime.logs import logger
from services.runtime.metrics import RECORDS
from services.runtime.records import Record
from services.runtime.settings import KafkaSettings
from services.runtime.store.database import Database, migrate
from services.runtime.store.feeding import Feed, Feeder
from services.runtime.store.outbox import Outbox
from services.runtime.tables import TableReader


def feeds_of(kafka: KafkaSettings) -> dict[str, Feed]:
    """Which topic goes which way into the store."""
    return {
        kafka.topic(CASES): CaseFeed(),
        kafka.topic(DIALOGUES): DialogueFeed(),
        kafka.topic(ROUNDS): RoundFeed(),
        kafka.topic(INVITATIONS): InvitationFeed(),
        kafka.topic(COMPANIES): CompanyFeed(),
        kafka.topic(DELIVERIES): DeliveryFeed(),
        kafka.topic(SUPPRESSIONS): SuppressionFeed(),
        kafka.topic(RESPONSES): ResponseFeed(),
        kafka.topic(SUBSCRIPTIONS): SubscriptionFeed(),
    }


def web(portal: Portal) -> Asgi:
    """Everything that is served over HTTP."""
    routes = [*pages.routes(portal), Mount("/api/v1", build_api(portal))]
    app = Starlette(routes=routes, exception_handlers=pages.failures(portal))
    app.router.redirect_slashes = False  # it would lead to whatever host the request named
    return Guard(app)


class PortalApp:
    """A running portal. `finished` ends by `stop`, or with the fault that ended it."""

    def __init__(self, settings: PortalSettings, clock: Clock) -> None:
        kafka, options = settings.kafka, settings.portal
        self._settings = settings
        self.database = Database(options.database)
        self.broker = Broker(kafka, service="portal")
        outbox = Outbox(self.database, OUTBOX, self.broker)
        self._relay = Relay(outbox, poll=options.relay_seconds)
        feeds = feeds_of(kafka)
        self._feeds = tuple(feeds)
        self._feeder = Feeder(self.database, POSITIONS, feeds, self._unfit)
        self.tables = _Readers()
        self.portal = Portal(
            settings,
            options.keys(),
            settings.model.load(),
            self.database,
            outbox,
            self.broker,
            self.tables,
            clock,
            self._relay.waiting,
        )
        self.web = web(self.portal)
        self._server = WebServer(self.web, host=options.host, port=options.port)
        self._health = HealthServer(settings.health, lambda: self.tables.read and self._relay.failures == 0)
        self._stopping = asyncio.Event()
        self.finished: asyncio.Task[None] | None = None

    async def _unfit(self, record: Record, error: Rejected) -> None:
        """A record that does not fit: put aside where nobody else does, otherwise skipped and counted."""
        name = record.topic.removeprefix(self._settings.kafka.topic_prefix)
        if name in PUT_ASIDE:
            await self.broker.dead_letter(record, error, group=self._settings.kafka.topic_prefix + GROUP)
            return
        RECORDS.labels("portal", record.topic, "skipped").inc()
        logger().warning(
            "record skipped", topic=record.topic, partition=record.partition, offset=record.offset,
            reason=error.reason, pointer=error.pointer,
        )  # fmt: skip

    async def start(self) -> None:
        """Migrates, reads the views to their ends, then opens the doors and tells what the outbox holds."""
        await migrate(self.database, MIGRATIONS)
        await self._health.start()
        await self.broker.connect()
        reader = TableReader(
            self._settings.kafka, self._feeds, self._feeder.apply, positions=await self._feeder.positions()
        )
        self.tables.reader = reader
        await reader.start()
        await reader.caught_up()
        self.tables.read = True
        await self._server.start()
        self.finished = asyncio.create_task(self._serve(), name="portal")

    async def _serve(self) -> None:
        relaying = asyncio.create_task(self._relay.run(self._stopping), name="outbox")
        forget = (Subscribers(self.portal).forget, Followings(self.portal).forget, Submissions(self.portal).forget)
        tidying = asyncio.create_task(keep_house(forget, self._stopping), name="housekeeping")
        serving, reader = self._server.finished, self.tables.reader
        if serving is None or reader is None:
            raise Fault("the portal was not started")
        reading = asyncio.create_task(reader.ended(), name="views")
        done, _ = await asyncio.wait({relaying, serving, reading}, return_when=asyncio.FIRST_COMPLETED)
        self._stopping.set()
        reading.cancel()
        await relaying
        await tidying
        for task in done:
            task.result()

    async def stop(self) -> None:
        """The web first, so that nothing new comes; then what was answered is told, then everything is closed."""
        self.tables.read = False
        await self._server.stop()
        self._stopping.set()
        if self.finished is not None:
            with contextlib.suppress(Exception):
                await self.finished
        if self.tables.reader is not None:
            await self.tables.reader.stop()
        await self.broker.stop()
        await self._health.stop()
        await self.database.close()


class _Readers:
    """The table reader, which is made when the store's positions are known."""

    reader: TableReader | None = None
    read: bool = False

    async def caught_up(self) -> None:
        if self.reader is None:
            raise Fault("the portal was not started")
        await self.reader.caught_up()


def build(settings: PortalSettings, clock: Clock) -> PortalApp:
    """The portal for these settings."""
    return PortalApp(settings, clock)
