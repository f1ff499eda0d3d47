"""What the matcher does with a case: derive its round, and publish it in an order that a crash cannot break.

`matching` is acknowledged before the first invitation, and `open` comes after the last; nothing leaves before *open*.
Whoever finds a round in `matching` does it again: the same input gives the same ids. A basis that is not newer is
skipped in every other state. Handling cases and rematching share one lock, so that one round is published by one of
them at a time.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import date, timedelta
from typing import Final, Protocol

from shapely.errors import GEOSException

from schemas.case import Case
from schemas.invitation import INVITATION_CHANGED, Invitation
from schemas.model import DialogueModel
from schemas.round import ROUND_CHANGED, Purpose, Round, RoundState
from schemas.topics import INVITATIONS, ROUNDS
from schemas.types import Basis
from services.matcher.dialogue.working_days import local_day
from services.matcher.door import accept
from services.matcher.holds import Limits
from services.matcher.rounds import Derivation, derive
from services.matcher.tables import CaseTable, RegisterTable, RoundTable
from services.runtime import metrics
from services.runtime.clock import Clock
from services.runtime.errors import Rejected
from services.runtime.logs import logger
from services.runtime.parsing import outgoing
from services.runtime.records import Outgoing, Publisher, Record
from services.runtime.settings import KafkaSettings

SOURCE: Final = "nardialog/matcher"
LATE: Final = timedelta(days=1)
"""A case that is matched later than this after it happened counts from today: nobody gets less time for our delay."""
UNCOMPUTABLE: Final = (ValueError, ArithmeticError, GEOSException)
"""What a case that passed the door can still raise: it is refused alone."""
ONGOING: Final = frozenset({RoundState.HELD, RoundState.MATCHING, RoundState.OPEN})


class Output(Publisher, Protocol):
    """What the matcher writes to."""

    async def dead_letter(self, record: Record, error: Rejected, *, group: str) -> None:
        """Puts a record aside."""
        ...


class Matcher:
    """Cases in, rounds and invitations out."""

    def __init__(
        self,
        *,
        model: DialogueModel,
        key: bytes,
        limits: Limits,
        kafka: KafkaSettings,
        group: str,
        output: Output,
        register: RegisterTable,
        cases: CaseTable,
        rounds: RoundTable,
        rounds_read: Callable[[], Awaitable[None]],
        clock: Clock,
    ) -> None:
        self._model = model
        self._key = key
        self._limits = limits
        self._kafka = kafka
        self._group = group
        self._output = output
        self._register = register
        self._cases = cases
        self._rounds = rounds
        self._rounds_read = rounds_read
        self._clock = clock
        self._lock = asyncio.Lock()

    async def handle(self, records: Sequence[Record]) -> None:
        """Takes a batch of `cases`. Returning means that all it led to is acknowledged."""
        async with self._lock:
            await self._rounds_read()  # a partition may have come from another instance with rounds we did not write
            for record in records:
                await self._record(record)

    async def rematch(self, owned: frozenset[int]) -> None:
        """Does again what waits or was cut off, of the cases on our partitions: at an import, at an assignment."""
        async with self._lock:
            await self._rounds_read()
            for waiting in self._rounds.unfinished():
                found = self._cases.get(waiting.case_key)
                if found is None or found[1] not in owned:
                    continue
                case = found[0]
                if (case.stage, case.occurrence) == (waiting.stage, waiting.occurrence):
                    await self._again(case, waiting)

    async def _again(self, case: Case, waiting: Round) -> None:
        try:
            await self._match(case, local_day(self._clock.now()))
        except UNCOMPUTABLE as error:
            # Its own record is among the dead letters or will be; the others that wait must not wait for it.
            logger().error(
                "round not matched again", round_id=waiting.round_id, case_key=case.key, state=waiting.state.value,
                error=type(error).__name__,
            )  # fmt: skip

    async def _record(self, record: Record) -> None:
        if record.value is None:
            await self._purged(record)
            return
        try:
            parsed = accept(record, self._model, anywhere=self._limits.outside)
        except Rejected as error:
            await self._output.dead_letter(record, error, group=self._group)
            return
        if parsed is None:
            _count(record, "unknown_type")
            return
        self._cases.put(parsed.event, record.partition)
        if self._is_stale(parsed.event):
            _count(record, "stale_version")
            return
        happened = local_day(parsed.envelope.time) if parsed.envelope.time else local_day(self._clock.now())
        today = local_day(self._clock.now())
        try:
            await self._match(parsed.event, today if abs(today - happened) > LATE else happened)
        except UNCOMPUTABLE as error:
            # It must not stop those behind it.
            refusal = Rejected("not_matched", f"could not be matched ({type(error).__name__}); report it")
            await self._output.dead_letter(record, refusal, group=self._group)

    async def _purged(self, record: Record) -> None:
        """A tombstone may purge a case that has ended. For any other it is a slip: the case would be gone, unheard."""
        rounds = self._rounds.of_case((record.key or b"").decode(errors="replace"))
        if not rounds or any(known.state in ONGOING for known in rounds):
            refusal = Rejected("tombstone", "a case ends by an event with state withdrawn or closed; send that first")
            await self._output.dead_letter(record, refusal, group=self._group)

    def _is_stale(self, case: Case) -> bool:
        """Whether a later version was handled. Rounds say so, not the case table, which reads ahead of us."""
        return any(known.basis.case_version > case.version for known in self._rounds.of_case(case.key))

    async def _match(self, case: Case, day: date) -> None:
        with metrics.MATCH_SECONDS.time():
            derived = self._derive(case, day)
        known = self._rounds.get(derived.round.round_id)
        if known is not None and known.state in (RoundState.OPEN, RoundState.MATCHING) and known.opened_at is not None:
            opened = local_day(known.opened_at)
            derived = self._derive(case, opened) if opened != day else derived  # who was told a last day keeps it
        if known is not None and known.state is not RoundState.MATCHING and not _newer(derived.round, known):
            metrics.RECORDS.labels("matcher", self._kafka.topic(ROUNDS), "basis_not_newer").inc()
            return
        await self._close_older(case, derived.round)
        await self._publish(derived)

    def _derive(self, case: Case, day: date) -> Derivation:
        basis = Basis(case_version=case.version, import_number=self._register.import_number)
        register = self._register.snapshot()
        return derive(case, register, self._model, day, basis, key=self._key, limits=self._limits)

    async def _close_older(self, case: Case, new: Round) -> None:
        """A newer stage closes the older round of the case; a case that ends, ends all of them."""
        for old in self._rounds.of_case(case.key):
            if old.round_id == new.round_id or old.state not in ONGOING or old.purpose not in _STAGES:
                continue
            ends = new.state is RoundState.WITHDRAWN
            state = RoundState.WITHDRAWN if ends else RoundState.CLOSED
            reason = "withdrawn" if ends else "newer_stage"
            await self._publish(
                Derivation(old.model_copy(update={"state": state, "reason": reason, "detail": "", "basis": new.basis}))
            )

    async def _publish(self, derived: Derivation) -> None:
        round_ = derived.round
        if round_.state is RoundState.OPEN:
            await self._output.publish([self._round_record(round_.model_copy(update={"state": RoundState.MATCHING}))])
            await self._output.publish([self._invitation_record(item) for item in derived.invitations])
            metrics.INVITATIONS.labels("issued").inc(len(derived.invitations))
        await self._output.publish([self._round_record(round_)])
        self._rounds.put(round_)
        metrics.ROUNDS.labels(round_.state.value).inc()
        logger().info(
            "round", round_id=round_.round_id, state=round_.state.value, reason=round_.reason,
            count=len(derived.invitations),
        )  # fmt: skip

    def _round_record(self, round_: Round) -> Outgoing:
        return outgoing(
            self._kafka.topic(ROUNDS),
            round_.round_id,
            round_,
            type=ROUND_CHANGED,
            id=f"{round_.round_id}/{_written(round_.basis)}/{round_.state.value}",
            source=SOURCE,
            time=self._clock.now(),
        )

    def _invitation_record(self, invitation: Invitation) -> Outgoing:
        return outgoing(
            self._kafka.topic(INVITATIONS),
            invitation.case_key,
            invitation,
            type=INVITATION_CHANGED,
            id=f"{invitation.invitation_id}/{_written(invitation.basis)}",
            source=SOURCE,
            time=self._clock.now(),
        )


_STAGES: Final = frozenset({Purpose.ASK, Purpose.INFORM})


def _newer(new: Round, known: Round) -> bool:
    """Whether a derivation says something new. Another import alone does not reopen what has ended."""
    if known.state in ONGOING:
        return new.basis.order > known.basis.order
    return new.basis.case_version > known.basis.case_version


def _written(basis: Basis) -> str:
    return ".".join(str(part) for part in basis.order)


def _count(record: Record, outcome: str) -> None:
    metrics.RECORDS.labels("matcher", record.topic, outcome).inc()
