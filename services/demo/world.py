"""Everything in one process: a real Kafka beside it, matcher, notifier, sinks, inbox page.

The page comes first and shows how the rest comes up. `stop` may be called however far `start` came, and leaves no
process and no open port. What the services are told is in `wiring`.
"""

import asyncio
import contextlib
import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

from schemas.case import CASE_CHANGED
from schemas.envelope import Envelope
from schemas.identity import case_key
from schemas.topics import ALL_TOPICS, CASES, DELIVERIES, INVITATIONS, RESPONSES, ROUNDS, SUPPRESSIONS, TOPICS
from services.demo import synthetic, visitors
from services.demo.board import TO_READ, Board
from services.demo.inbox import HOST, InboxServer
from services.demo.settling import Expected, Verdict, judge, settled
from services.notifier.channels.sink_behaviour import Act
from services.notifier.channels.sms_sinks import SmsSink
from services.notifier.channels.smtp_sink import SmtpSink
from services.runtime.broker import Broker
from services.runtime.clock import AcceleratedClock
from services.runtime.errors import Fault, ServiceError
from services.runtime.kafka_jars import Progress, fetch
from services.runtime.local_kafka import LocalKafka, free_ports
from services.runtime.records import Outgoing
from services.runtime.sealing import key_pair, new_key
from services.runtime.settings import KafkaSettings
from services.runtime.tables import TableReader
from services.runtime.topic_admin import TopicAdmin

if TYPE_CHECKING:  # imported while Kafka starts: they take as long
    from services.matcher.app import MatcherApp
    from services.notifier.app import NotifierApp
    from services.portal.app import PortalApp

START: Final = datetime(2025, 11, 10, 8, tzinfo=ZoneInfo("Europe/Stockholm"))
"""A Monday morning: the same on every day of the week."""
SPEED: Final = 60.0
PARTITIONS: Final = 3
LAG_SECONDS: Final = 2.0
SLOW_SECONDS: Final = 5.0
FIRST_SECONDS: Final = 60.0
"""In which the first case's mail should have left; the others are published then anyway."""
ANSWER_SECONDS: Final = 60.0
"""In which the answers, and the mails that say so, must have arrived."""
PROVIDERS: Final = ("NARDIALOG_NOTIFIER__SMTP", "NARDIALOG_NOTIFIER__SMS")


@dataclass(frozen=True)
class Options:
    """What a run is told."""

    folder: Path
    port: int | None = None
    speed: float = SPEED
    between_cases: float = 3.0
    """Seconds of the machine's time."""


def refuse_real_providers(environment: Mapping[str, str] = os.environ) -> None:
    """Raises `Fault` where a real relay or SMS provider is set: whoever set it may expect the demo to use it."""
    named = sorted(name for name in environment if name.upper().startswith(PROVIDERS))
    if named:
        raise Fault(f"the demo sends nothing for real and refuses to start with {', '.join(named)} set: unset it first")


class _Interrupted(BaseException):
    """Ends a download in its thread when the demo is stopped."""


class World:
    """One demo. `start`, then `publish`, then watch `board`; always `stop`."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.board = Board(speed=options.speed)
        self.inbox = InboxServer(self.board, options.port)
        self.kafka = LocalKafka(options.folder / "kafka")
        self.register_file = options.folder / "register.csv"
        self.cases_file = options.folder / "cases.jsonl"
        self.expected: Expected | None = None
        self._stopping = False
        self._ended = asyncio.Event()
        self._starting: asyncio.Future[Any] | None = None
        self._undo: list[Callable[[], Any]] = []
        self._notifier: NotifierApp | None = None
        self._cases: Broker | None = None

    async def start_inbox(self) -> None:
        """The page first: it shows how the rest comes up."""
        for name in ("inbox", "broker", "topics", "sinks", "register", "matcher", "notifier", "portal"):
            self.board.step(name, False)
        await self.inbox.start()
        self._undo.append(self.inbox.stop)
        self.board.step("inbox", True, self.inbox.url)

    async def start(self, progress: Progress = lambda done, total: None) -> None:
        """Everything else, in order."""
        self._write_files()
        self._wiring, _ = await asyncio.gather(_wiring(), self._start_kafka(progress))
        self._kafka_settings = KafkaSettings(bootstrap=(self.kafka.bootstrap,), partitions=PARTITIONS)
        await asyncio.to_thread(self._create_topics)
        self.clock = AcceleratedClock(START, self.options.speed)
        self.board.clock = self.clock
        await self._start_sinks()
        self._keys = self._wiring.Keys(*key_pair(), new_key())
        (port,) = free_ports(1)
        self.board.portal = f"http://{HOST}:{port}"
        await asyncio.gather(
            self._watch_topics(),
            self._start_matcher(self._wiring),
            self._start_notifier(self._wiring),
            self._start_portal(self._wiring, port),
        )
        await self._start_lag()
        self.board.phase = "running"
        self.board.changed.set()

    async def publish(self) -> None:
        """The cases, one after another, as a case system would send them. The one that a newcomer is led to comes
        first, the others when its mail has left: what follows it within a day waits, or comes in a digest.
        """
        self._cases = Broker(self._kafka_settings, service="case-system")
        await self._cases.connect()
        self._undo.append(self._cases.stop)
        for case in sorted(synthetic.cases(START.date()), key=lambda case: bool(case["case_id"] != TO_READ)):
            key = case_key(case["municipality"], case["source"], case["case_id"])
            id_ = f"{case['case_id']}-{case['version']}"
            envelope = Envelope(id=id_, source="/demo", type=CASE_CHANGED, time=self.clock.now())
            value = json.dumps(case, ensure_ascii=False).encode()
            await self._cases.publish([Outgoing(CASES.name, key, value, envelope.headers())])
            self.board.published[key] = case
            self.board.changed.set()
            await asyncio.sleep(self.options.between_cases)
            if case["case_id"] == TO_READ:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._can_be_read(), FIRST_SECONDS)

    async def _can_be_read(self) -> None:
        while self.board.first_to_read() is None:
            self.board.changed.clear()
            await self.board.changed.wait()

    async def settle(self, patience: float) -> Verdict:
        """Returns when every case and invitation has ended. Raises `Fault` that says what has not."""
        if self.expected is None:
            oracle: Callable[..., Expected] = self._wiring.expected
            self.expected = await asyncio.to_thread(oracle, self.register_file, self.cases_file, START.date())
        try:
            async with asyncio.timeout(patience):
                while not await self._is_settled(self.expected):
                    self.board.changed.clear()
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(self.board.changed.wait(), 0.5)
        except TimeoutError:
            waiting = len(self.board.invitations.keys() - self.board.ended.keys())
            raise Fault(f"not settled after {patience:.0f} s: {waiting} invitations have not ended") from None
        await self._let_some_answer()
        self.board.phase = "settled"
        return judge(self.board, self.expected)

    async def _let_some_answer(self) -> None:
        """Returns when their answers stand in the topic and their receipts are in the inbox."""
        self.board.phase = "answering"
        before = len(self.board.mails)
        await visitors.visit(self.board)
        async with asyncio.timeout(ANSWER_SECONDS):
            while not (self.board.stops and len(self.board.responses) >= visitors.ANSWERS) or (
                len(self.board.mails) - before < visitors.ANSWERS
            ):
                self.board.changed.clear()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self.board.changed.wait(), 0.5)

    async def stop(self) -> None:
        """Ends everything in the opposite order; what fails to end does not keep the rest."""
        self._stopping = True
        self._ended.set()
        if self._starting is not None:
            await asyncio.wait([self._starting])
        for undo in reversed(self._undo):
            with contextlib.suppress(Exception):
                await undo()
        await asyncio.to_thread(self.kafka.stop)

    def mending(self) -> list[str]:
        """The commands that mend the broken case and release it."""
        polygon = json.dumps(synthetic.MENDED, separators=(",", ":"))
        return [
            f"export NARDIALOG_KAFKA__BOOTSTRAP={self.kafka.bootstrap}",
            *(
                f"uv run nardialog dlq edit {letter.address} --set '{letter.pointer}={polygon}' --yes"
                for letter in self.board.dead_letters[:1]
            ),
            "uv run nardialog case release DA-7 --yes",
        ]

    def write_mails(self) -> None:
        """Each mail as a file, for `--keep`."""
        folder = self.options.folder / "mails"
        folder.mkdir(exist_ok=True)
        for mail in self.board.mails:
            (folder / f"{mail.number:05d}.eml").write_bytes(mail.raw)

    def _write_files(self) -> None:
        self.register_file.write_text(synthetic.register_csv(), encoding="utf-8")
        self.cases_file.write_text(synthetic.cases_jsonl(START.date()), encoding="utf-8")

    async def _start_kafka(self, progress: Progress) -> None:
        def bring(done: int, total: int) -> None:
            if self._stopping:
                raise _Interrupted
            progress(done, total)

        def start() -> None:
            fetch(bring)
            if not self._stopping:
                self.kafka.start()

        self._starting = asyncio.ensure_future(asyncio.to_thread(start))
        await asyncio.shield(self._starting)
        self.board.step("broker", True, f"Apache Kafka, {self.kafka.bootstrap}")

    def _create_topics(self) -> None:
        with TopicAdmin(self.kafka.bootstrap) as admin:
            admin.create(ALL_TOPICS, PARTITIONS, 1)
        self.board.step("topics", True, str(len(ALL_TOPICS)))

    async def _start_sinks(self) -> None:
        self._smtp = SmtpSink(on_accept=self.board.take_mail, keep=0, clock=self.clock)
        self._sms = SmsSink(on_accept=self.board.take_sms, behaviour=self._slow_at_first, keep=1000, clock=self.clock)
        for sink in (self._smtp, self._sms):
            await sink.start()
            self._undo.append(sink.stop)
        self.board.step("sinks", True, f"SMTP {self._smtp.port}, SMS {self._sms.port}")

    def _slow_at_first(self, point: str, _number: int) -> Act | None:
        """For some seconds from the first text on, the SMS provider answers late: mails do not wait for it."""
        if point != "sms":
            return None
        now = time.monotonic()
        self.board.slow_until = self.board.slow_until or now + SLOW_SECONDS
        return Act(delay=self.board.slow_until - now) if self.board.slow else None

    async def _watch_topics(self) -> None:
        read = (ROUNDS, INVITATIONS, DELIVERIES, RESPONSES, SUPPRESSIONS, *(topic.dead_letters for topic in TOPICS))
        names = [topic.name for topic in read]
        reader = TableReader(self._kafka_settings, names, self.board.apply)
        await reader.start()
        self._undo.append(reader.stop)

    async def _start_matcher(self, wiring: ModuleType) -> None:
        rows = await wiring.import_register(self.register_file, self._kafka_settings, self._keys.public, self.clock)
        self.board.step("register", True, str(rows))
        matcher: MatcherApp = wiring.matcher(self._kafka_settings, self.clock)
        self._undo.append(matcher.stop)
        await matcher.start()
        self.board.step("matcher", True)

    async def _start_notifier(self, wiring: ModuleType) -> None:
        ends = wiring.Ends(self.board.portal, self._smtp.host, self._smtp.port, self._sms.url)
        ledger = self.options.folder / "ledger.db"
        self._notifier = wiring.notifier(self._kafka_settings, self.clock, ends, ledger, self._keys)
        self._undo.append(self._notifier.stop)
        await self._notifier.start()
        self.board.step("notifier", True)

    async def _start_portal(self, wiring: ModuleType, port: int) -> None:
        store = self.options.folder / "portal.db"
        portal: PortalApp = wiring.portal(self._kafka_settings, self.clock, self.board.portal, port, store, self._keys)
        self._undo.append(portal.stop)
        await portal.start()
        self.board.step("portal", True, self.board.portal)

    async def _start_lag(self) -> None:
        task = asyncio.create_task(self._watch_lag(), name="demo lag")

        async def end() -> None:
            await task

        self._undo.append(end)

    async def _watch_lag(self) -> None:
        while not self._ended.is_set():
            with contextlib.suppress(ServiceError):
                self.board.lag = await asyncio.to_thread(self._lag)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._ended.wait(), LAG_SECONDS)

    def _lag(self) -> dict[str, int]:
        behind: dict[str, int] = {}
        with TopicAdmin(self.kafka.bootstrap) as admin:
            for row in admin.lag():
                behind[row.group] = behind.get(row.group, 0) + row.lag
        return behind

    async def _is_settled(self, oracle: Expected) -> bool:
        """Also asks the ledger: a second message to the same invitation is told of only when it is taken on."""
        if self._notifier is None:
            return False
        if self._notifier.finished is not None and self._notifier.finished.done():
            self._notifier.finished.result()
        if not settled(self.board, oracle):
            return False
        return bool(await self._wiring.unsent(self._notifier) == 0)


async def _wiring() -> ModuleType:
    """The services, imported in a thread: the page answers meanwhile."""

    def bring() -> ModuleType:
        from services.demo import wiring

        return wiring

    return await asyncio.to_thread(bring)
