"""The notifier, wired: the only place where its parts meet.

invitations   → Admission.handle      → ledger
notices       → Notices.handle        → ledger, encrypted
rounds        → Feeder (RoundFeed)    → ledger
companies     → Feeder (CompanyFeed)  → ledger
contacts      → Feeder (ContactFeed)  → ledger, encrypted
suppressions  → Feeder (…Feed)        → ledger; outbox → suppressions, by address
responses     → Feeder (AnswerFeed)   → ledger
SMS providers → ProviderDoor          → Receipts → ledger; Answers → suppressions, a mail to the case's mailbox
subscriptions → Feeder (…Feed)        → ledger
ledger        → Sender                → channels; outbox → deliveries, suppressions
a mailbox     → ReturnedMail          → ledger; outbox → deliveries, suppressions; a person's reply → its case's mailbox
"""

import asyncio
import contextlib
import uuid
from collections.abc import Sequence
from datetime import timedelta

from schemas.topics import (
    COMPANIES,
    CONTACTS,
    INVITATIONS,
    NOTICES,
    RESPONSES,
    ROUNDS,
    SUBSCRIPTIONS,
    SUPPRESSIONS,
)
from services.notifier.addressing import Addressing
from services.notifier.admission import GROUP, Admission
from services.notifier.calls import Calls
from services.notifier.channels.callbacks import Callbacks
from services.notifier.channels.elks46 import Elks46Channel
from services.notifier.channels.elks46_callbacks import Elks46Callbacks
from services.notifier.channels.pacing import paced
from services.notifier.channels.port import Channel
from services.notifier.channels.smtp import SmtpChannel
from services.notifier.channels.twilio import TwilioChannel
from services.notifier.channels.twilio_callbacks import TwilioCallbacks
from services.notifier.composing import Composer
from services.notifier.envelopes import Envelopes
from services.notifier.feeders import GROUP as TABLES
from services.notifier.feeders import AnswerFeed, CompanyFeed, ContactFeed, RoundFeed, SubscriptionFeed
from services.notifier.intents import Intents
from services.notifier.ledger.events import Outbox, Topics
from services.notifier.ledger.tables import MIGRATIONS, POSITIONS
from services.notifier.notices import GROUP as ASKED
from services.notifier.notices import Notices
from services.notifier.outcomes.answers import Answers
from services.notifier.outcomes.dead_addresses import DeadAddresses
from services.notifier.outcomes.late import LateOutcomes
from services.notifier.outcomes.passing_on import PassingOn
from services.notifier.outcomes.receipts import Receipts
from services.notifier.outcomes.return_path import ReturnPaths
from services.notifier.outcomes.returned import ReturnedMail
from services.notifier.outcomes.sorting import Sorter
from services.notifier.policy.timing import Rules
from services.notifier.provider_door import ProviderDoor
from services.notifier.providers import Providers
from services.notifier.recording import Recorder
from services.notifier.refusal_stop import NEVER, RefusalStop
from services.notifier.rehearsal import StaffOnly, check_topics, claim_ledger, staff_indexes
from services.notifier.reminding import Reminding
from services.notifier.sender import Sender, SenderOptions
from services.notifier.settings import NotifierOptions, NotifierSettings
from services.notifier.sms_budget import SmsBudget
from services.notifier.stops import SuppressionFeed
from services.notifier.table_readers import Tables
from services.notifier.unknown_outcomes import UnknownOutcomes
from services.notifier.writing import Writer
from services.runtime.broker import Broker
from services.runtime.clock import Clock
from services.runtime.errors import Fault, Rejected
from services.runtime.health import HealthServer
from services.runtime.logs import logger
from services.runtime.records import Record
from services.runtime.sealing import Opener, Vault
from services.runtime.store.database import Database, migrate
from services.runtime.store.feeding import Feed, Feeder
from services.runtime.tables import TableReader


class NotifierApp:
    """A running notifier. `finished` is the sender's task: it ends by `stop`, or with the fault that ended it."""

    def __init__(
        self,
        settings: NotifierSettings,
        clock: Clock,
        *,
        channels: Sequence[Channel],
        composer: Composer,
    ) -> None:
        options = settings.notifier
        kafka = settings.kafka
        self._kafka = kafka
        self.database = Database(options.database)
        self.broker = Broker(kafka, service="notifier")
        vault, index_key = options.vault(), options.key("index_key")
        opener = Opener(options.openers())
        self._staff = staff = staff_indexes(options.rehearsal, index_key)
        self._channels = channels if staff is None else [StaffOnly(one, staff, index_key) for one in channels]
        self._clock = clock
        topics = Topics.of(kafka)
        self.outbox = Outbox(self.database, self.broker, topics)
        feeds: dict[str, Feed] = {
            kafka.topic(ROUNDS): RoundFeed(),
            kafka.topic(COMPANIES): CompanyFeed(),
            kafka.topic(CONTACTS): ContactFeed(opener, vault, index_key, clock),
            kafka.topic(SUPPRESSIONS): SuppressionFeed(self.outbox, index_key),
            kafka.topic(RESPONSES): AnswerFeed(),
            kafka.topic(SUBSCRIPTIONS): SubscriptionFeed(),
        }
        self._feeder = Feeder(self.database, POSITIONS, feeds, self._dead_letter(TABLES))
        admission = Admission(self.database, self.outbox, clock, self._dead_letter(GROUP))
        self.broker.subscribe([kafka.topic(INVITATIONS)], group=kafka.topic_prefix + GROUP, handle=admission.handle)
        notices = Notices(self.database, opener, vault, index_key, clock, self._dead_letter(ASKED))
        self.broker.subscribe([kafka.topic(NOTICES)], group=kafka.topic_prefix + ASKED, handle=notices.handle)
        self._refusals = RefusalStop(options.stop_at_refused_percent)
        rules = Rules(settings.model.load().burden_policy, options.windows)
        self._tables = _Readers()
        self._feeds = tuple(feeds)
        sms_budget = SmsBudget(options.sms_month_cap)
        self.sender = sender_for(
            self.database,
            self.outbox,
            Addressing(
                self.database,
                self.outbox,
                rules,
                hold=timedelta(seconds=options.hold_seconds),
                sms_budget=sms_budget,
            ),
            Reminding(self.database, rules),
            self._tables,
            self._channels,
            composer,
            vault,
            clock,
            _sender_options(options),
            index_key=index_key,
            return_paths=options.return_paths(),
            receipt_key=options.key("token_key") if options.receipts.public_url else None,
            sms_budget=sms_budget,
            staff=self._staff,
            refusals=self._refusals,
        )
        self._returned = self._reading_back(options, clock, index_key)
        late = LateOutcomes(self.outbox, DeadAddresses(self.outbox, index_key))
        self.door = ProviderDoor(
            options.receipts.host,
            options.receipts.port,
            options.receipts.public_url,
            options.token_keys(),
            callbacks_for(options),
            Receipts(self.database, late, clock),
            Answers(self.database, self.outbox, vault, index_key, clock, options.ours()),
        )
        self._health = HealthServer(settings.health, lambda: self.sender.ready, lambda: self.sender.alarm.note)
        self._stopping = asyncio.Event()
        self.finished: asyncio.Task[None] | None = None
        self._reading: asyncio.Task[None] | None = None

    def _reading_back(self, options: NotifierOptions, clock: Clock, index_key: bytes) -> ReturnedMail | None:
        mailbox = options.returned.mailbox()
        if mailbox is None:
            return None
        email = next((channel for channel in self._channels if channel.name == "email"), None)
        if email is None:
            raise Fault("mail is read back, and none is sent: set NARDIALOG_NOTIFIER__SMTP__HOST")
        return ReturnedMail(
            mailbox,
            Sorter(options.token_keys(), options.known_return_paths()),
            self.database,
            self.outbox,
            PassingOn(email, options.ours()),
            clock,
            index_key=index_key,
            poll=options.returned.poll_seconds,
            refusals=self._refusals,
        )

    def _dead_letter(self, group: str) -> "DeadLetters":
        return DeadLetters(self.broker, self._kafka.topic_prefix + group)

    async def start(self) -> None:
        """Migrates, reads on from where the ledger stands, admits, sends."""
        if self._staff is not None:
            check_topics(self._kafka.topic_prefix)
            logger().warning("a rehearsal: only own staff are written to", count=len(self._staff))
        await migrate(self.database, MIGRATIONS)
        await claim_ledger(self.database, self._clock.now(), rehearsal=self._staff is not None)
        await self._health.start()
        await self.door.start()
        await self.broker.connect()  # a bad record in a table is a dead letter before the first invitation is read
        positions = await self._feeder.positions()
        self._tables.reader = TableReader(self._kafka, self._feeds, self._feeder.apply, positions=positions)
        await self._tables.reader.start()
        await self.broker.start()
        self.finished = asyncio.create_task(self.sender.run(self._stopping), name="sender")
        if self._returned is not None:
            self._reading = asyncio.create_task(self._returned.run(self._stopping), name="returned mail")

    async def stop(self) -> None:
        """Lets what is under way finish and be written down, then leaves."""
        self._stopping.set()
        for task in (self.finished, self._reading):
            if task is not None:
                with contextlib.suppress(Exception):
                    await task
        await self.broker.stop()
        if self._tables.reader is not None:
            await self._tables.reader.stop()
        for channel in self._channels:
            await channel.close()
        await self.door.stop()
        await self._health.stop()
        await self.database.close()


def sender_for(
    database: Database,
    outbox: Outbox,
    addressing: Addressing,
    reminding: Reminding,
    tables: Tables,
    channels: Sequence[Channel],
    composer: Composer,
    vault: Vault,
    clock: Clock,
    options: SenderOptions | None = None,
    *,
    index_key: bytes,
    return_paths: ReturnPaths | None = None,
    receipt_key: bytes | None = None,
    sms_budget: SmsBudget | None = None,
    staff: frozenset[str] | None = None,
    refusals: RefusalStop | None = None,
) -> Sender:
    """One notifier's sending, with a name of its own in the ledger. In a rehearsal `staff` are the only addresses."""
    options, owner = options or SenderOptions(), uuid.uuid4().hex
    providers, envelopes = Providers(channels), Envelopes(vault, clock, return_paths, receipt_key)
    recorder = Recorder(
        database,
        outbox,
        providers,
        DeadAddresses(outbox, index_key),
        refusals or RefusalStop(NEVER),
        clock,
        owner,
        poll=options.poll,
    )
    writer = Writer(composer, vault, rehearsal=staff is not None)
    return Sender(
        database,
        outbox,
        tables,
        clock,
        options,
        owner,
        addressing=addressing,
        reminding=reminding,
        providers=providers,
        sms_budget=sms_budget or SmsBudget(None),
        unknown_outcomes=UnknownOutcomes(database, outbox, providers, envelopes, recorder, clock, owner),
        intents=Intents(
            database,
            outbox,
            tables,
            writer,
            vault,
            clock,
            owner,
            lease=options.lease,
            windows=options.windows,
            staff=staff,
        ),
        calls=Calls(providers, envelopes, recorder, clock, options.parallel),
    )


class DeadLetters:
    """Puts a record aside for one group."""

    def __init__(self, broker: Broker, group: str) -> None:
        self._broker = broker
        self._group = group

    async def __call__(self, record: Record, error: Rejected) -> None:
        await self._broker.dead_letter(record, error, group=self._group)


class _Readers:
    """The table reader, which is made when the ledger's positions are known."""

    reader: TableReader | None = None

    async def caught_up(self) -> None:
        if self.reader is None:
            raise Fault("the notifier was not started")
        await self.reader.caught_up()


def _sender_options(options: NotifierOptions) -> SenderOptions:
    return SenderOptions(
        lease=timedelta(seconds=options.lease_seconds),
        batch=options.batch_size,
        parallel=options.parallel,
        poll=options.poll_seconds,
        windows=options.windows,
    )


def build(
    settings: NotifierSettings,
    clock: Clock,
    *,
    channels: Sequence[Channel] | None = None,
    composer: Composer | None = None,
) -> NotifierApp:
    """The notifier for these settings; channels and composer may be given, for the demo and tests."""
    if composer is None:
        from services.notifier.composer import composer_for  # templates are read on import

        composer = composer_for(settings.notifier, settings.model.load().forms)
    made = channels_for(settings.notifier) if channels is None else channels
    return NotifierApp(settings, clock, channels=made, composer=composer)


def channels_for(options: NotifierOptions) -> list[Channel]:
    """The channels that the settings name."""
    smtp = options.smtp_options()
    channels: list[Channel] = [SmtpChannel(smtp)] if smtp else []
    channels += sms_channels(options)
    if not channels:
        raise Fault("no channel to send by: set NARDIALOG_NOTIFIER__SMTP__HOST, or …__SMS__USERNAME and the rest")
    return channels


def sms_channels(options: NotifierOptions) -> list[Channel]:
    """The SMS providers that the settings name, each at its pace, in the order in which they are used."""
    elks, twilio = options.elks46_options(), options.twilio_options()
    channels: list[Channel] = []
    if elks is not None:
        channels.append(paced(Elks46Channel(elks), elks.per_minute))
    if twilio is not None:
        channels.append(paced(TwilioChannel(twilio), twilio.per_minute))
    return sorted(channels, key=lambda channel: channel.provider != options.sms_first)


def callbacks_for(options: NotifierOptions) -> list[Callbacks]:
    """The SMS providers that may call us; none where no public address is set."""
    elks, twilio = options.elks46_options(), options.twilio_options()
    callbacks: list[Callbacks] = []
    if elks is not None and options.receipts.public_url:
        callbacks.append(Elks46Callbacks(elks))
    if twilio is not None and options.receipts.public_url:
        callbacks.append(TwilioCallbacks(twilio))
    return callbacks
