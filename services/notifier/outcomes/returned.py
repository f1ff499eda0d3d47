"""Mail that came back, read in a loop of its own: each has its effect once, and is then put away.

Guaranteed: the effect is committed before a mail is moved, and is the same when it is read again; what is not
understood, or cannot be done, is put aside where somebody sees it and counted, never dropped; trouble with the mailbox
or with one mail delays no sending and no other mail. Neither an address nor a word of a mail is ever logged.
"""

import asyncio
import contextlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar, Final

from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.round import Round
from services.notifier.channels.port import State
from services.notifier.ledger import grounds
from services.notifier.ledger.events import Outbox
from services.notifier.ledger.messages import Message
from services.notifier.outcomes.dead_addresses import DeadAddresses
from services.notifier.outcomes.late import LateOutcomes
from services.notifier.outcomes.mailbox import Arrived, Mailbox
from services.notifier.outcomes.passing_on import PassingOn
from services.notifier.outcomes.reports import Reported
from services.notifier.outcomes.sorting import (
    About,
    Automatic,
    Complaint,
    Reply,
    Report,
    Sorted,
    Sorter,
    StopWanted,
    Unclear,
)
from services.notifier.refusal_stop import RefusalStop
from services.notifier.stops import stop_by_message
from services.runtime.clock import Clock
from services.runtime.errors import Transient
from services.runtime.logs import logger
from services.runtime.metrics import ALARMS, MAILBOX_UNREAD, RETURNED_MAIL
from services.runtime.store.database import Database

_AT_ONCE: Final = 20
_WAIT: Final = timedelta(minutes=5)
_LONGEST_WAIT: Final = timedelta(hours=1)
_MOST_UNKNOWN: Final = 2
"""As often as any message: one whose outcome stayed unknown twice is looked at by somebody."""


@dataclass(frozen=True, slots=True)
class _Done:
    """What followed from a mail, in a word of ours."""

    code: str
    then: ClassVar = "handled"


@dataclass(frozen=True, slots=True)
class _Aside:
    """Somebody has to look at it, and why."""

    code: str
    then: ClassVar = "aside"


@dataclass(frozen=True, slots=True)
class _Later:
    """It stays where it is and is taken again."""

    code: str
    then: ClassVar = "waits"


@dataclass
class _Waiting:
    """A mail that is taken again at a moment."""

    tries: int = 0
    unknowns: int = 0
    until: datetime | None = None


class ReturnedMail:
    """One mailbox."""

    def __init__(
        self,
        mailbox: Mailbox,
        sorter: Sorter,
        database: Database,
        outbox: Outbox,
        passing_on: PassingOn,
        clock: Clock,
        *,
        index_key: bytes,
        poll: float,
        refusals: RefusalStop,
    ) -> None:
        self._mailbox = mailbox
        self._sorter = sorter
        self._database = database
        self._outbox = outbox
        self._dead = DeadAddresses(outbox, index_key)
        self._late = LateOutcomes(outbox, self._dead)
        self._passing_on = passing_on
        self._clock = clock
        self._index_key = index_key
        self._poll = poll
        self._refusals = refusals
        self._waiting: dict[str, _Waiting] = {}

    async def run(self, stop: asyncio.Event) -> None:
        """Reads until `stop` is set; the mail at hand is finished."""
        while not stop.is_set():
            busy, well = 0, False
            try:
                busy, well = await self.turn(), True
            except Transient as error:
                logger().warning("returned mail waits", error=str(error)[:120])
            except Exception as error:  # nothing else depends on this loop, and nothing else would start it again
                logger().error("returned mail waits", error=type(error).__name__)
            MAILBOX_UNREAD.set(not well)
            if not busy:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), self._poll)
        await self._mailbox.close()

    async def turn(self) -> int:
        """One look into the mailbox; returns how many mails were put away."""
        now = self._clock.now()
        resting = {key for key, waiting in self._waiting.items() if waiting.until is not None and now < waiting.until}
        taken = [await self._take(mail) for mail in await self._mailbox.arrived(_AT_ONCE, resting)]
        await self._outbox.flush()
        return sum(taken)

    async def _take(self, mail: Arrived) -> bool:
        sorted_ = self._sorter.sort(mail.raw) if mail.raw is not None else Unclear("too_big")
        try:
            ended = await self._effect(mail, sorted_)
        except Transient:
            raise
        except Exception as error:  # a fault of ours must not hide the mails behind this one
            logger().error("returned mail not handled", error=type(error).__name__)
            ended = _Aside("fault")
        RETURNED_MAIL.labels(type(sorted_).__name__.lower(), ended.code, ended.then).inc()
        if isinstance(ended, _Later):
            self._rest(mail.key)
            return False
        self._waiting.pop(mail.key, None)
        if isinstance(ended, _Aside):
            logger().warning("returned mail put aside", code=ended.code)
            await self._mailbox.set_aside(mail.key)
        else:
            await self._mailbox.handled(mail.key)
        return True

    def _rest(self, key: str) -> None:
        waiting = self._waiting.setdefault(key, _Waiting())
        waiting.tries += 1
        waiting.until = self._clock.now() + min(_LONGEST_WAIT, _WAIT * 2 ** min(waiting.tries - 1, 10))

    async def _effect(self, mail: Arrived, sorted_: Sorted) -> _Done | _Aside | _Later:
        match sorted_:
            case Report(about, reported):
                return await self._reported(about, reported)
            case Complaint(about):
                return await self._complained(about)
            case StopWanted(number):
                return await self._stopped(number)
            case Automatic():
                return _Done("ignored")
            case Reply(about):
                return await self._replied(mail, about)
            case Unclear(code):
                return _Aside(code)

    async def _reported(self, about: About, reported: Reported) -> _Done | _Aside:
        now = self._clock.now()
        async with self._database.transaction() as connection:
            message = await self._find(connection, about)
            if message is None:
                return _Aside("unknown_message")
            if reported.outcome is not None:
                changed = await self._late.failed(connection, message, reported.outcome, now)
                if changed:
                    await self._refusals.see(connection, message.channel, reported.outcome, now)
            elif reported.action == "delivered":
                changed = await self._late.delivered(connection, message, reported.detail, now)
            elif reported.action in ("relayed", "expanded"):
                changed = await self._late.accepted(connection, message, reported.detail, now)
            else:
                return _Done("delayed")
        if changed and reported.outcome is not None and reported.outcome.alarm:
            ALARMS.labels("email", reported.outcome.code).inc()
            logger().error("alarm", channel="email", code=reported.outcome.code, message_id=message.message_id)
        return _Done(reported.outcome.code if reported.outcome is not None else reported.action)

    async def _complained(self, about: About) -> _Done | _Aside:
        async with self._database.transaction() as connection:
            message = await self._find(connection, about)
            if message is None:
                return _Aside("unknown_message")
            await self._dead.suppress(connection, message, "complaint", "reported as spam", self._clock.now())
        return _Done("suppressed")

    async def _stopped(self, number: int) -> _Done | _Aside:
        async with self._database.transaction() as connection:
            message = await self._late.by_number(connection, number)
            if message is None:
                return _Aside("unknown_message")
            await stop_by_message(connection, self._outbox, self._index_key, message, self._clock.now())
        return _Done("stopped")

    async def _replied(self, mail: Arrived, about: About) -> _Done | _Aside | _Later:
        async with self._database.transaction() as connection:
            rounds = await self._rounds(connection, about)
        outcome = await self._passing_on.forward(mail.raw or b"", rounds, self._clock.now())
        if outcome is None:
            return _Aside("nobody_to_forward_to")
        if outcome.state is State.SENT:
            return _Done("forwarded")
        if outcome.state is State.FAILED:
            ALARMS.labels("email", "forward_refused").inc()
            return _Aside("forward_refused")
        waiting = self._waiting.setdefault(mail.key, _Waiting())
        waiting.unknowns += outcome.state is State.UNKNOWN
        return _Aside("unknown_outcome") if waiting.unknowns >= _MOST_UNKNOWN else _Later(outcome.code)

    async def _rounds(self, connection: AsyncConnection, about: About) -> list[Round]:
        """What the answered message was about."""
        message = await self._find(connection, about)
        return [] if message is None else await grounds.rounds_of(connection, message)

    async def _find(self, connection: AsyncConnection, about: About) -> Message | None:
        if about.number is not None:
            return await self._late.by_number(connection, about.number)
        return await self._late.by_id(connection, about.message_id) if about.message_id is not None else None
