"""The matcher, put together. Reads as a table:

| topic           | handler                   | leads to                                      |
|-----------------|---------------------------|-----------------------------------------------|
| `companies`     | `RegisterTable.apply`     | at each complete import: rounds matched again |
| `cases`         | `CaseTable.apply`         | what a rematch needs                          |
| `dialogues`     | `DialogueTable.apply`     | what was decided                              |
| `subscriptions` | `SubscriptionTable.apply` | who asked to hear of what                     |
| `rounds`        | `RoundTable.apply`        | what was already done                         |
| `invitations`   | `MembershipTable.apply`   | who is already invited                        |
| `cases`         | `Matcher.handle`          | `rounds`, `invitations`; refused: `cases.dlq` |
| `dialogues`     | `Matcher.handle`          | the same; refused: `dialogues.dlq`            |

Tables have no group and are read to their ends before the subscriber starts. `cases` and `dialogues` have one
subscriber with the range assignor, so that who holds a case holds what is decided on it.
"""

import asyncio
import contextlib
from collections import Counter
from datetime import timedelta

from schemas.topics import CASES, COMPANIES, DIALOGUES, INVITATIONS, ROUNDS, SUBSCRIPTIONS
from services.matcher import participants
from services.matcher.keeping import Keeping, keep_model
from services.matcher.rematching import Due, Rematching
from services.matcher.service import Matcher
from services.matcher.settings import MatcherSettings
from services.matcher.tables.cases import CaseTable
from services.matcher.tables.dialogues import DialogueTable
from services.matcher.tables.memberships import MembershipTable
from services.matcher.tables.register import RegisterTable
from services.matcher.tables.rounds import RoundTable
from services.matcher.tables.subscriptions import SubscriptionTable
from services.runtime.broker import Broker
from services.runtime.clock import Clock
from services.runtime.errors import Fault
from services.runtime.health import HealthServer
from services.runtime.tables import TableReader


class MatcherApp:
    """One matcher: `start`, `stop`, and whether it is `ready`."""

    def __init__(self, settings: MatcherSettings, clock: Clock) -> None:
        kafka = settings.kafka
        model = settings.model.load()
        limits = settings.matcher.limits()
        group = f"{kafka.topic_prefix}matcher"
        self._cases_topic = kafka.topic(CASES)
        self._register = RegisterTable()
        cases = CaseTable(model, anywhere=limits.outside)
        self._rounds = RoundTable()
        self._subscriptions = SubscriptionTable(lambda key: participants.ring(cases.get(key), model) is not None)
        dialogues, members = DialogueTable(), MembershipTable()
        apply = {
            kafka.topic(CASES): cases.apply,
            kafka.topic(DIALOGUES): dialogues.apply,
            kafka.topic(SUBSCRIPTIONS): self._subscriptions.apply,
            kafka.topic(ROUNDS): self._rounds.apply,
            kafka.topic(INVITATIONS): members.apply,
        }
        self._work_reader = TableReader(kafka, list(apply), lambda records: apply[records[0].topic](records))
        companies, folder = kafka.topic(COMPANIES), settings.matcher.register_folder
        register_reader = TableReader(kafka, [companies], self._register.apply)
        self._readers = (register_reader, self._work_reader)
        self._keeping: Keeping | None = None
        if folder is not None:
            replay = timedelta(days=model.retention.replay_days)
            self._keeping = Keeping(folder, companies, kafka, self._register, register_reader, clock, replay=replay)
            keep_model(folder, model.content_hash, settings.model.read())
        self._broker = Broker(kafka, service="matcher")
        self.matcher = Matcher(
            model=model,
            key=settings.installation.key_or_demo(),
            limits=limits,
            policies=settings.matcher.release,
            kafka=kafka,
            group=group,
            output=self._broker,
            register=self._register,
            cases=cases,
            dialogues=dialogues,
            rounds=self._rounds,
            members=members,
            subscriptions=self._subscriptions,
            tables_read=self._work_reader.caught_up,
            clock=clock,
        )
        self._work = (self._cases_topic, kafka.topic(DIALOGUES))
        self._broker.subscribe(self._work, group=group, handle=self.matcher.handle)
        self._rematching = Rematching(self._due, self.matcher.rematch, self.matcher.close)
        self._health = HealthServer(settings.health, lambda: self.ready)
        self._watching: asyncio.Task[None] | None = None
        self._kept: asyncio.Task[None] | None = None

    @property
    def ready(self) -> bool:
        """Whether the tables are read, work is taken and held rounds are looked at."""
        return self._watching is not None and not self._watching.done() and self._rematching.failures == 0

    @property
    def finished(self) -> "asyncio.Task[None] | None":
        """What looks at cases again; it never ends by itself."""
        return self._watching

    async def start(self) -> None:
        """Reads the tables to their ends, then takes work."""
        await self._health.start()
        if self._keeping is not None:
            await self._keeping.begin()
        for reader in self._readers:
            await reader.start()
        self._check_pairs()
        for reader in self._readers:
            await reader.caught_up()
        await self._broker.start()
        self._watching = asyncio.create_task(self._rematching.run(), name="matcher rematch")
        if self._keeping is not None:
            self._kept = asyncio.create_task(self._keeping.run(), name="matcher register file")

    def _check_pairs(self) -> None:
        """The range assignor gives a case and its decisions to one instance only where their topics are alike."""
        counts = Counter(topic for topic, _ in self._work_reader.positions)
        cases, dialogues = (counts[topic] for topic in self._work)
        if cases != dialogues:
            raise Fault(
                f"topics {' and '.join(self._work)} have {cases} and {dialogues} partitions: give both the same number"
            )

    async def stop(self) -> None:
        """Finishes the batch in flight and leaves."""
        for task in (self._kept, self._watching):
            if task is not None:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
        await self._broker.stop()
        for reader in self._readers:
            await reader.stop()
        if self._keeping is not None and self._kept is not None:
            await self._keeping.keep()
        await self._health.stop()

    def _due(self) -> Due:
        ours = frozenset(p for topic, p in self._broker.assigned() if topic == self._cases_topic)
        return Due(self._register.import_number, ours, self._subscriptions.changes, self._rounds.overwrites)


def build(settings: MatcherSettings, clock: Clock) -> MatcherApp:
    """The composition root."""
    return MatcherApp(settings, clock)
