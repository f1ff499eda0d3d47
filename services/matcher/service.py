"""What the matcher does with a case and its decisions: derive the round anew, and publish what is different.

Both topics lead to the same: the case as it was last handled, with all that was decided, gives one derivation, and
`steps` says what of it is not there yet. A decision on a case that is not here yet waits in its table. Handling records
and rematching share one lock, so that one case is worked on by one of them at a time. Records of one case are handled
in their order, several cases side by side. A record on another partition than its key's is moved there and not handled,
so that one instance sees all of a case.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Final, Protocol

from shapely.errors import GEOSException

from schemas.case import Case, CaseState
from schemas.model import DialogueModel
from schemas.round import Round, RoundState
from schemas.topics import CASES, DIALOGUES, ROUNDS
from schemas.types import Basis
from services.matcher.dialogue.working_days import local_day
from services.matcher.door import accept_dialogue, is_edited
from services.matcher.holds import Limits
from services.matcher.late import reach_hash
from services.matcher.release import Decided, Policy, policy_for
from services.matcher.rounds import Derivation, Joining, derive, round_of
from services.matcher.steps import EXPIRED, ONGOING, STAGES, Standing, is_due, steps
from services.matcher.tables.cases import CaseTable
from services.matcher.tables.dialogues import DialogueTable
from services.matcher.tables.memberships import MembershipTable
from services.matcher.tables.register import RegisterTable
from services.matcher.tables.rounds import RoundTable
from services.matcher.tables.subscriptions import SubscriptionTable
from services.matcher.writer import Writer
from services.runtime import metrics
from services.runtime.clock import Clock
from services.runtime.errors import Rejected
from services.runtime.logs import logger
from services.runtime.records import Publisher, Record
from services.runtime.settings import KafkaSettings

LATE: Final = timedelta(days=1)
"""A case that is matched later than this after it happened counts from today: nobody gets less time for our delay."""
AT_A_TIME: Final = 64
"""Cases whose records wait for the broker together. Each is written in three steps that wait for each other."""
ROOM: Final = 5000
"""Invitations that are in memory to be written. Where there are more, of one wide case, no other is begun meanwhile."""
UNCOMPUTABLE: Final = (ValueError, ArithmeticError, GEOSException)
"""What a case that passed the door can still raise: it is refused alone."""


class Output(Publisher, Protocol):
    """What the matcher writes to."""

    async def dead_letter(self, record: Record, error: Rejected, *, group: str) -> None:
        """Puts a record aside."""
        ...

    async def move(self, record: Record, partition: int) -> None:
        """Writes a record to another partition of its topic."""
        ...

    async def home(self, topic: str, key: bytes) -> int:
        """The partition of a topic where a key belongs."""
        ...

    def assigned(self) -> frozenset[tuple[str, int]]:
        """The topics' partitions that are this instance's now."""
        ...


class Matcher:
    """Cases and decisions in, rounds and invitations out."""

    def __init__(
        self,
        *,
        model: DialogueModel,
        key: bytes,
        limits: Limits,
        policies: Mapping[str, Policy],
        kafka: KafkaSettings,
        group: str,
        output: Output,
        register: RegisterTable,
        cases: CaseTable,
        dialogues: DialogueTable,
        rounds: RoundTable,
        members: MembershipTable,
        subscriptions: SubscriptionTable,
        tables_read: Callable[[], Awaitable[None]],
        clock: Clock,
    ) -> None:
        self._model = model
        self._key = key
        self._limits = limits
        self._policies = policies
        self._kafka = kafka
        self._group = group
        self._output = output
        self._register = register
        self._cases = cases
        self._dialogues = dialogues
        self._rounds = rounds
        self._members = members
        self._subscriptions = subscriptions
        self._tables_read = tables_read
        self._clock = clock
        self._writer = Writer(kafka, output, rounds, members, clock)
        self._lock = asyncio.Lock()
        self._room = Room(ROOM)

    async def handle(self, records: Sequence[Record]) -> None:
        """Takes a batch of `cases` and `dialogues`. Returning means that all it led to is acknowledged."""
        async with self._lock:
            await self._read()
            of_case: dict[bytes, list[Record]] = {}
            for record in records:
                of_case.setdefault(record.key or b"", []).append(record)
            await _side_by_side((self._in_order(own) for own in of_case.values()), self._room)

    async def _in_order(self, records: Sequence[Record]) -> None:
        for record in records:
            try:
                if record.value is None:
                    self._purged(record)
                elif record.topic == self._kafka.topic(DIALOGUES):
                    await self._dialogue(record)
                else:
                    await self._case(record)
            except Rejected as error:
                await self._output.dead_letter(record, error, group=self._group)

    async def rematch(self, owned: frozenset[int]) -> None:
        """Looks at every case on our partitions again, at an import and at an assignment; what is right is left."""
        async with self._lock:
            await self._read()
            await _side_by_side((self._again_if(key, owned) for key in self._cases.known()), self._room)

    async def _again_if(self, key: str, owned: frozenset[int]) -> None:
        if await self._output.home(self._kafka.topic(CASES), key.encode()) in owned:
            await self._again(key)
            await asyncio.sleep(0)  # many cases that need nothing must not keep heartbeats waiting

    async def close(self, _: frozenset[int]) -> None:
        """Closes by the clock what is open on our partitions and has expired. Nothing is sent or taken back. Whether a
        partition is ours still is asked before each.
        """
        if not self._rounds.expired(self._clock.now()):
            return
        async with self._lock:
            await self._read()
            for known in self._rounds.expired(self._clock.now()):
                if await self._is_ours(known.case_key):
                    over = {"state": RoundState.CLOSED, "reason": EXPIRED, "detail": ""}
                    await self._writer.write((known.model_copy(update=over),))

    async def _read(self) -> None:
        """A partition may have come from another instance, with what it wrote, and it may not know yet that it went."""
        await self._tables_read()
        for round_id, case_key in list(self._rounds.overwritten.items()):
            known = self._rounds.get(round_id)
            if known is not None and await self._is_ours(case_key):
                await self._writer.write((known,))
                metrics.RECORDS.labels("matcher", self._kafka.topic(ROUNDS), "rewritten").inc()

    async def _is_ours(self, case_key: str) -> bool:
        """Whether the case's partition is still ours: another instance may work on it while we finish a batch."""
        topic = self._kafka.topic(CASES)
        return (topic, await self._output.home(topic, case_key.encode())) in self._output.assigned()

    async def _case(self, record: Record) -> None:
        parsed = self._cases.accept(record)
        if parsed is None:
            _count(record, "unknown_type")
            return
        if await self._is_elsewhere(record):
            return
        case = parsed.event
        self._cases.put(case, edited=is_edited(parsed))
        stale = self._handled(case.key) > case.version
        try:
            if stale and not self._opens_unknown_stage(case, parsed.envelope.time):
                _count(record, "stale_version")
                return
            await self._settle(case, parsed.envelope.time, earlier=stale)
        except UNCOMPUTABLE as error:
            # It must not stop those behind it.
            raise Rejected("not_matched", f"could not be matched ({type(error).__name__}); report it") from None

    def _opens_unknown_stage(self, case: Case, happened: datetime | None) -> bool:
        """Whether a version that comes after a later one opens a stage that the later one does not know, and whose
        expiry is still ahead. A case that has ended opens nothing any more.
        """
        newest = self._cases.get(case.key)
        if newest is None or newest.state is not CaseState.OPEN or case.state is not CaseState.OPEN:
            return False
        for known in self._rounds.of_case(case.key):
            if known.purpose in STAGES and (known.stage, known.occurrence) == (case.stage, case.occurrence):
                return known.state is RoundState.MATCHING and known.basis.case_version == case.version  # was cut off
        opened = self._derived(case, happened).round
        ahead = opened.expires_at is not None and opened.expires_at > self._clock.now()
        return ahead and opened.state in (RoundState.OPEN, RoundState.HELD)

    def _purged(self, record: Record) -> None:
        """A tombstone may purge a case that has ended. For any other it is a slip: the case would be gone, unheard."""
        rounds = [r for r in self._rounds.of_case((record.key or b"").decode(errors="replace")) if r.purpose in STAGES]
        over = bool(rounds) and all(r.state not in ONGOING for r in rounds)
        if record.topic == self._kafka.topic(CASES) and not over:
            raise Rejected("tombstone", "a case ends by an event with state withdrawn or closed; send that first")

    async def _dialogue(self, record: Record) -> None:
        parsed = accept_dialogue(record)
        if parsed is None:
            _count(record, "unknown_type")
            return
        if await self._is_elsewhere(record):
            return
        self._dialogues.put(parsed.event)
        await self._again(parsed.event.key, decided=True)

    async def _is_elsewhere(self, record: Record) -> bool:
        """Moves a record that lies on another partition than its key's. Where it lands it is at home: no loop."""
        home = await self._output.home(record.topic, record.key or b"")
        if home == record.partition:
            return False
        await self._output.move(record, home)
        _count(record, "moved")
        return True

    async def _again(self, key: str, *, decided: bool = False) -> None:
        """The case as it was last handled. One that is known but not handled yet comes by itself."""
        case = self._cases.get(key)
        try:
            if case is not None and case.version <= self._handled(key):
                await self._settle(case, None, decided=decided)
            else:
                await self._publish(key, None)
            for earlier in self._cases.earlier(key):
                if self._is_open_at(earlier):
                    await self._settle(earlier, None, decided=decided, earlier=True)
        except UNCOMPUTABLE as error:
            # Its own record is among the dead letters or will be; the others that wait must not wait for it.
            logger().error("case not matched again", case_key=key, error=type(error).__name__)

    def _is_open_at(self, case: Case) -> bool:
        """Whether this version's round is under way, though a later version is known."""
        return any(
            known.purpose in STAGES and known.state in ONGOING and known.basis.case_version == case.version
            and (known.stage, known.occurrence) == (case.stage, case.occurrence)
            for known in self._rounds.of_case(case.key)
        )  # fmt: skip

    def _handled(self, key: str) -> int:
        """The version that was last handled. Rounds say so, not the case table, which reads ahead of us."""
        return max((known.basis.case_version for known in self._rounds.of_case(key)), default=0)

    async def _settle(
        self, case: Case, happened: datetime | None, *, decided: bool = False, earlier: bool = False
    ) -> None:
        basis = self._basis(case)
        known = self._rounds.get(round_of(case, self._model))
        if not is_due(known, basis, decided=decided) or self._is_over(known, basis):
            metrics.RECORDS.labels("matcher", self._kafka.topic(CASES), "basis_not_newer").inc()
            await self._publish(case.key, None)
            return
        await self._publish(case.key, self._derived(case, happened), earlier=earlier)

    def _basis(self, case: Case) -> Basis:
        dialogue = self._dialogues.get(case.key)
        return Basis(
            case_version=case.version,
            decision=dialogue.number if dialogue else 0,
            import_number=self._register.import_number,
            subscription=self._subscriptions.snapshot().position,
        )

    def _is_over(self, known: Round | None, basis: Basis) -> bool:
        """Whether a round has expired and nobody but the register says something new of it."""
        if known is None or known.state is not RoundState.OPEN or known.expires_at is None:
            return False
        said = (basis.case_version, basis.decision) == (known.basis.case_version, known.basis.decision)
        return said and known.expires_at <= self._clock.now()

    def _derived(self, case: Case, happened: datetime | None) -> Derivation:
        round_id, policy = round_of(case, self._model), policy_for(case.source, case.case_type, self._policies)
        known, decided = (
            self._rounds.get(round_id),
            Decided(self._dialogues.get(case.key), policy, self._cases.edited(case)),
        )
        if known is not None and known.opened_at is not None and _was_open(known):
            opened_at = known.opened_at  # who was told a last day keeps it
        else:
            opened_at = self._moment(happened, decided.released_at(round_id))
        day = local_day(max(opened_at, decided.not_before(round_id) or opened_at))
        register = self._register.snapshot()
        with metrics.MATCH_SECONDS.time():
            return derive(
                case, register, self._model, day, self._basis(case),
                key=self._key, limits=self._limits, decided=decided, opened_at=opened_at,
                subscribers=self._subscriptions.snapshot(), joining=self._joining(case, known),
            )  # fmt: skip

    def _joining(self, case: Case, known: Round | None) -> Joining | None:
        """Who is in a round that is open, where whoever is new would be a late comer and not the case's own doing."""
        if known is None or known.state is not RoundState.OPEN:
            return None
        before = known.reach_hash or (reach_hash(case) if known.basis.case_version == case.version else None)
        if before != reach_hash(case):
            return None
        there = self._members.of_rounds([known.round_id])
        return Joining(frozenset(member.recipient_id for member in there if member.live), self._clock.now())

    def _moment(self, *happened: datetime | None) -> datetime:
        """The later of the event and the release; now, where that is long ago or still to come."""
        now = self._clock.now()
        latest = max((moment for moment in happened if moment is not None), default=now)
        return latest if timedelta(0) <= now - latest <= LATE else now

    async def _publish(self, case_key: str, derived: Derivation | None, *, earlier: bool = False) -> None:
        rounds = self._rounds.of_case(case_key)
        standing = Standing(rounds, self._members.of_rounds(item.round_id for item in rounds))
        dialogue = self._dialogues.get(case_key)
        with self._room.taken(len(derived.invitations) if derived else 0):
            for batch in steps(standing, derived, self._clock.now(), earlier=earlier, dialogue=dialogue):
                if not await self._is_ours(case_key):
                    return  # whoever has it now goes on from what is written
                await self._writer.write(batch)


def _was_open(known: Round) -> bool:
    """Whether a round is open, or was until the clock closed it: more time for it is not a new round."""
    return known.state in (RoundState.OPEN, RoundState.MATCHING) or known.reason == EXPIRED


class Room:
    """How much is under way. Nobody is stopped; whoever has not begun waits while there is as much as there may be."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._under_way = 0
        self._free = asyncio.Event()
        self._free.set()

    @contextmanager
    def taken(self, count: int) -> Iterator[None]:
        """Counts so many as under way."""
        self._change(count)
        try:
            yield
        finally:
            self._change(-count)

    async def free(self) -> None:
        """Returns when there is room."""
        while not self._free.is_set():
            await self._free.wait()

    def _change(self, count: int) -> None:
        self._under_way += count
        if self._under_way < self._most:
            self._free.set()
        else:
            self._free.clear()


async def _side_by_side(work: Iterable[Coroutine[None, None, None]], room: Room) -> None:
    """Works on several cases at a time. After a failure no other is begun, and it is raised when those that were begun
    have ended: nothing goes on unseen.
    """
    waiting, failed = iter(work), list[Exception]()

    async def take() -> None:
        await room.free()
        while not failed and (one := next(waiting, None)) is not None:
            try:
                await one
            except Exception as error:
                failed.append(error)
            await room.free()

    await asyncio.gather(*(take() for _ in range(AT_A_TIME)))
    if failed:
        raise failed[0]


def _count(record: Record, outcome: str) -> None:
    metrics.RECORDS.labels("matcher", record.topic, outcome).inc()
