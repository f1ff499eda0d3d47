"""`python -m tests.fuzz_cases`: generated case events, valid and broken, through the matcher as it runs.

Each event goes the whole way of a record of `cases`: the table that reads ahead, the door, the derivation, and what is
published; then the portal's book of cases; and the door of HTTP and the command line, which must not take what the
matcher refuses. An event may end as a round in some state, among the dead letters with a reason, or as nothing new
(said before, or of a newer writer's type). Anything else is a defect: an error of another kind, a reason of
`not_matched` (which says that the door should have seen it), a stall, a record that no reader could read. Defects are
counted by where they arose, and one event of each is shown.
"""

import argparse
import asyncio
import json
import logging
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import structlog
from hypothesis import HealthCheck, Phase, Verbosity, given, seed, settings

from schemas.case import Case
from schemas.case_rules import judge
from schemas.company import COMPANY_CHANGED, IMPORT_COMPLETED, MARKER_PREFIX, Company, ImportCompleted
from schemas.identity import DEMO_RECIPIENT_KEY, recipient_id
from schemas.invitation import Invitation
from schemas.round import Round
from schemas.topics import CASES, COMPANIES, EVENT_BYTES, ROUNDS
from schemas.types import IndustryCode
from services.matcher.holds import Limits
from services.matcher.service import Matcher
from services.matcher.tables.cases import CaseTable
from services.matcher.tables.dialogues import DialogueTable
from services.matcher.tables.memberships import MembershipTable
from services.matcher.tables.register import RegisterTable
from services.matcher.tables.rounds import RoundTable
from services.matcher.tables.subscriptions import SubscriptionTable
from services.portal.case_topics import CaseBook
from services.runtime.clock import ManualClock
from services.runtime.errors import Rejected
from services.runtime.parsing import outgoing
from services.runtime.records import Outgoing, Record
from services.runtime.settings import KafkaSettings
from tests.case_events import FAMILIES, LARGEST, MODEL, WHOLE, Event

NOW: Final = datetime(2026, 11, 25, 8, tzinfo=UTC)
PATIENCE: Final = 2.0
"""Seconds of processor time that one event may take, the largest included, before it counts as a stall."""
BATCH: Final = 1000
"""Events of one matcher; the next batch has a new one, so that no table grows for ever."""
LARGE_SHARE: Final = 1000
"""One event of so many is near the limit of an event."""
SAID_AGAIN: Final = 20
"""One event of so many may be of a case that was there before."""
COMPANIES_NEAR: Final = 60


class Memory:
    """What the matcher writes to: everything is kept until it is looked at."""

    def __init__(self) -> None:
        self.written: list[Outgoing] = []
        self.dead: list[Rejected] = []

    async def publish(self, records: Sequence[Outgoing]) -> None:
        self.written += records

    async def dead_letter(self, record: Record, error: Rejected, *, group: str) -> None:
        self.dead.append(error)

    async def move(self, record: Record, partition: int) -> None:
        raise AssertionError("there is one partition")

    async def home(self, topic: str, key: bytes) -> int:
        return 0

    def assigned(self) -> frozenset[tuple[str, int]]:
        return frozenset({(CASES.name, 0)})


class World:
    """A matcher with a small register, and what becomes of an event."""

    def __init__(self) -> None:
        self.memory = Memory()
        self.cases = CaseTable(MODEL, anywhere=False)
        self.book = CaseBook(MODEL)
        self.register = RegisterTable()
        self.matcher = Matcher(
            model=MODEL, key=DEMO_RECIPIENT_KEY, limits=Limits(), policies={"*": "auto"}, kafka=KafkaSettings(),
            group="matcher", output=self.memory, register=self.register, cases=self.cases, dialogues=DialogueTable(),
            rounds=RoundTable(), members=MembershipTable(), subscriptions=SubscriptionTable(), tables_read=self._read,
            clock=ManualClock(NOW),
        )  # fmt: skip
        self._offset = 0
        self._next: Record | None = None

    async def _read(self) -> None:
        if self._next is not None:
            await self.cases.apply([self._next])

    async def open(self) -> None:
        """The register is imported."""
        await self.register.apply(_register())

    async def take(self, event: Event) -> tuple[str, float]:
        """What became of an event, and in how many seconds. Raises whatever it is that should not be."""
        self._offset += 1
        self._next = Record(CASES.name, 0, self._offset, event.key, event.value, event.headers, 0)
        self.memory.written.clear()
        self.memory.dead.clear()
        began = time.thread_time()
        await self.matcher.handle([self._next])
        took = time.thread_time() - began
        outcome = self._outcome()
        await self.book.apply([self._next])
        if took > PATIENCE:
            raise AssertionError(f"a stall: it took longer than {PATIENCE:g} s")
        self._doors_agree(event, outcome)
        return outcome, took

    def _outcome(self) -> str:
        for record in self.memory.written:
            value = record.value or b""
            assert len(value) <= EVENT_BYTES, "a record is larger than an event may be"
            (Round if record.topic == ROUNDS.name else Invitation).model_validate_json(value)
        if self.memory.dead:
            (error,) = self.memory.dead
            assert not self.memory.written, "it is among the dead letters, and something was published of it"
            assert error.reason != "not_matched", f"the door should have seen it: {error.detail}"
            assert error.reason, "a dead letter has no reason"
            assert error.detail, "a dead letter does not say what to do"
            return f"dead letter: {error.reason}"
        rounds = [record for record in self.memory.written if record.topic == ROUNDS.name]
        if not rounds:
            return "nothing new"
        last = Round.model_validate_json(rounds[-1].value or b"")
        assert last.state.value in ("open", "held", "silent", "closed", "withdrawn"), f"ends as {last.state.value}"
        return f"{last.state.value}: {last.reason}" if last.reason else last.state.value

    def _doors_agree(self, event: Event, outcome: str) -> None:
        """What the doors for people and case systems take, the matcher takes."""
        if event.kind == "envelope" or event.value is None:
            return
        verdict = judge(event.value, MODEL)
        assert (verdict.case is None) == bool(verdict.complaints), "a verdict without a reason"
        refused = outcome.startswith("dead letter") and outcome != "dead letter: wrong_key"
        assert verdict.case is None or not refused, f"taken by the door of HTTP, and then a {outcome}"


def _register() -> list[Record]:
    companies = [
        Company(
            municipality="0162", workplace_id=f"W{n}", recipient_id=recipient_id(f"W{n}", DEMO_RECIPIENT_KEY),
            name=f"W{n}", lon=18.0 + n % 10 / 100, lat=59.38 + n // 10 / 100, import_number=1,
            sni=[IndustryCode(code=("56100", "47110", "68201", "43210")[n % 4], version="2025")],
        )
        for n in range(COMPANIES_NEAR)
    ]  # fmt: skip
    marker = ImportCompleted(
        municipality="0162", import_id="i", import_number=1, source="register", partition=0, partitions=1,
        rows=len(companies), content_hash="0" * 32, completed_at=NOW,
    )  # fmt: skip
    made = [
        outgoing(COMPANIES.name, c.workplace_id, c, type=COMPANY_CHANGED, id="1", source="prov", time=NOW)
        for c in companies
    ]
    made.append(
        outgoing(COMPANIES.name, f"{MARKER_PREFIX}0", marker, type=IMPORT_COMPLETED, id="1", source="prov", time=NOW)
    )
    return [
        Record(
            item.topic, 0, i, item.key.encode(), item.value, tuple((k, v.encode()) for k, v in item.headers.items()), 0
        )
        for i, item in enumerate(made)
    ]


@dataclass
class Tally:
    """What became of all events."""

    events: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    defects: Counter[str] = field(default_factory=Counter)
    shown: dict[str, bytes] = field(default_factory=dict)
    """The shortest event of each defect."""
    slowest: float = 0.0
    slowest_event: tuple[str, str, int] = ("", "", 0)
    """Its kind, what became of it, and its bytes."""
    stages: set[tuple[str, str]] = field(default_factory=set)
    """The stages of which a round came."""

    def add(self, event: Event, outcome: str, took: float) -> None:
        """Counts one."""
        self.events += 1
        self.outcomes[outcome] += 1
        self.kinds[event.kind] += 1
        if not outcome.startswith(("dead", "nothing")):
            case = Case.model_validate_json(event.value or b"", extra="ignore")
            self.stages.add((case.case_type, case.stage))
        if took > self.slowest:
            self.slowest, self.slowest_event = took, (event.kind, outcome, len(event.value or b""))

    def fail(self, event: Event, error: Exception) -> None:
        """Counts a defect by where it arose."""
        self.events += 1
        self.kinds[event.kind] += 1
        last = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{type(error).__name__} in {last.name}, {last.filename.rpartition('/')[2]}:{last.lineno}: {error}"[
            :200
        ]
        self.defects[where] += 1
        value = event.value or b""
        if len(value) < len(self.shown.get(where, value + b" ")):
            self.shown[where] = value

    def as_json(self) -> dict[str, Any]:
        """The object that `--json` prints."""
        kind, outcome, size = self.slowest_event
        return {
            "events": self.events,
            "outcomes": dict(self.outcomes.most_common()),
            "kinds": dict(self.kinds.most_common()),
            "stages": len(self.stages),
            "slowest": {"seconds": round(self.slowest, 3), "kind": kind, "outcome": outcome, "bytes": size},
            "defects": dict(self.defects.most_common()),
        }


def run(events: int, number: int, on_batch: Callable[[Tally], object] = lambda _: None) -> Tally:
    """So many events, the same for the same number."""
    quiet = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    tally = Tally()
    try:
        while tally.events < events:
            _batch(tally, min(BATCH, events - tally.events), number)
            number += 1
            on_batch(tally)
    finally:
        structlog.configure(**quiet)
    return tally


def _batch(tally: Tally, events: int, number: int) -> None:
    world, loop = World(), asyncio.new_event_loop()
    loop.run_until_complete(world.open())
    wanted = tally.events + events

    def all_of(events: list[Event]) -> None:
        for event in events:
            if tally.events < wanted:
                one(event)

    def one(event: Event) -> None:
        if tally.events % SAID_AGAIN:
            event = event.of_case(tally.events)
        try:
            outcome, took = loop.run_until_complete(world.take(event))
            tally.add(event, outcome, took)
        except Exception as error:
            tally.fail(event, error)

    for strategy, share in ((LARGEST, -(-events // LARGE_SHARE)), (WHOLE, events // 5), (FAMILIES, events // 8 + 1)):
        seed(number)(
            settings(
                max_examples=share, database=None, deadline=None, phases=[Phase.generate],
                suppress_health_check=list(HealthCheck), verbosity=Verbosity.quiet,
            )(given(strategy)(all_of))
        )()  # fmt: skip
    loop.close()


def main() -> int:
    """The command: exit 1 where there is a defect."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.fuzz_cases", description=(__doc__ or "").partition("\n\n")[0]
    )
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    began = time.monotonic()

    def said(tally: Tally) -> None:
        if sys.stderr.isatty():
            print(
                f"\r{tally.events} events, {sum(tally.defects.values())} defects", end="", file=sys.stderr, flush=True
            )

    tally = run(asked.events, asked.seed, said)
    result = tally.as_json() | {"seed": asked.seed, "seconds": round(time.monotonic() - began, 1)}
    if asked.json:
        print(json.dumps(result, ensure_ascii=False))
    else:
        print(f"\n{result['events']} events of {result['stages']} stages in {result['seconds']} s, seed {asked.seed}")
        for outcome, count in tally.outcomes.most_common():
            print(f"{count:>8}  {outcome}")
        print(f"slowest: {result['slowest']}")
        for where, count in tally.defects.most_common():
            print(f"DEFECT {count} x {where}\n       {tally.shown[where][:400]!r}")
    return 1 if tally.defects else 0


if __name__ == "__main__":
    sys.exit(main())
