"""The intent: what may leave is written, committed with whom it goes by, told, and looked at once more.

Guaranteed: the bytes and the intent are in the ledger, and *composed* is acknowledged, before a provider is called.
What was said meanwhile (a stop, an undo, an answer, a change) still stops the call.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.company import Company
from schemas.delivery import DeliveryState
from services.notifier.channels.port import Channel
from services.notifier.ledger import claims, deliveries, transitions
from services.notifier.ledger.endings import end
from services.notifier.ledger.events import Outbox
from services.notifier.ledger.links import unlink
from services.notifier.ledger.messages import Message
from services.notifier.policy.windows import Mode
from services.notifier.sifting import Facts, Verdict, closed, companies_of, gone, look, verdict
from services.notifier.table_readers import Tables
from services.notifier.writing import Writer
from services.runtime.clock import Clock
from services.runtime.errors import Transient
from services.runtime.logs import logger
from services.runtime.metrics import ALARMS
from services.runtime.sealing import Vault
from services.runtime.store.database import Database

_AGAIN: Final = timedelta(seconds=5)
"""When to look again at a message whose round is not ready for it."""
_PAUSE_S: Final = 0.5
"""Before a ledger that did not answer is asked again."""

_Waiting = Callable[[AsyncConnection, Message, Verdict, datetime], Awaitable[None]]
"""Gives a message back to the ledger, and why, at a moment."""


@dataclass(frozen=True)
class Group:
    """Messages that go together, and what was known of them at the last look."""

    messages: Sequence[Message]
    facts: Facts
    written: Mapping[str, bytes]
    """The bytes that were made for it, by message; those of a resend stand in the ledger."""


class Intents:
    """Of one sender, `owner` of its claims. In a rehearsal `staff` are the only addresses."""

    def __init__(
        self,
        database: Database,
        outbox: Outbox,
        tables: Tables,
        writer: Writer,
        vault: Vault,
        clock: Clock,
        owner: str,
        *,
        lease: timedelta,
        windows: Mode,
        staff: frozenset[str] | None = None,
    ) -> None:
        self._database = database
        self._outbox = outbox
        self._tables = tables
        self._writer = writer
        self._vault = vault
        self._clock = clock
        self._owner = owner
        self._lease = lease
        self._windows: Mode = windows
        self._staff = staff

    async def record(self, provider: Channel, messages: Sequence[Message]) -> Group:
        """Composes what may leave and commits bytes, intent and whom it goes by; the rest ends, or waits, with its
        reason.
        """
        try:
            return await self._record(provider, messages)
        except Transient:
            await self._take_back(messages)  # the ledger may have committed, and not have been able to say so
            raise

    async def announce(self, written: Group) -> Group:
        """Tells that the messages are composed and looks once more. When that fails, nothing has been called: the
        intent is taken back, so that a broker that is down makes no outcome unknown.
        """
        try:
            await self._outbox.flush()
            await self._tables.caught_up()
            return await self._look_once_more(written)
        except BaseException:
            await self._take_back(written.messages)
            raise

    async def _record(self, provider: Channel, messages: Sequence[Message]) -> Group:
        now = self._clock.now()
        async with self._database.transaction() as connection:
            held = await claims.read_again(connection, messages, self._owner)
            await self._sort_out(connection, held, now)
            facts = await look(connection, held)
            companies = await companies_of(connection, held, facts)
            going = await self._sift(connection, held, facts, companies, now, waiting=_not_yet)
            written = await self._compose(connection, going, facts, companies, now)
            kept = {message_id: self._vault.encrypt(words) for message_id, words in written.items()}
            composed = [(m, body) for m in going if (body := m.body_encrypted or kept.get(m.message_id))]
            told = await transitions.record_intents(connection, composed, provider.provider, self._writer.version, now)
            carried = {message.message_id: facts.carried(message) for message in told}
            await deliveries.tell(connection, self._outbox, told, DeliveryState.COMPOSED, "ok", now, linked=carried)
            for message in told:
                await unlink(connection, message, facts.answered_on(message))
        return Group(told, facts, written)

    async def _take_back(self, messages: Sequence[Message]) -> None:
        """Nothing was called, and nobody else knows: the ledger is asked until it answers, or the lease is over."""
        loop = asyncio.get_running_loop()
        until = loop.time() + self._lease.total_seconds()
        while True:
            try:
                async with self._database.transaction() as connection:
                    held = await claims.still_held(connection, messages, self._owner, state="sending")
                    now = self._clock.now()
                    await transitions.put_back(connection, held, now, code="not_announced", now=now)
                return
            except Transient as error:
                if loop.time() >= until:
                    raise
                logger().warning("intents not taken back yet", count=len(messages), error=str(error)[:120])
            await asyncio.sleep(_PAUSE_S)

    async def _look_once_more(self, written: Group) -> Group:
        """What was said while the messages were composed still stops or changes them: nothing has been called."""
        now = self._clock.now()
        async with self._database.transaction() as connection:
            held = await claims.still_held(connection, written.messages, self._owner, state="sending")
            await self._sort_out(connection, held, now)
            facts = await look(connection, held, written.facts)
            going = await self._sift(connection, held, facts, {}, now, waiting=_taken_back)  # all are written
            stale = [
                message
                for message in going
                if not message.repeats and facts.words_of(message) != written.facts.words_of(message)
            ]
            await transitions.put_back(connection, stale, now, code="words_changed", now=now)
            going = [message for message in going if message not in stale]
            called = {message.message_id for message in going}
            await claims.renew(connection, self._owner, called, now + self._lease)
        return Group(going, facts, written.written)

    async def _sort_out(self, connection: AsyncConnection, held: Sequence[Message], now: datetime) -> None:
        """Leaves off digests what must not leave now: it ends with its reason, or waits for another digest."""
        digests = [message for message in held if message.is_digest and not message.repeats]
        if not digests:
            return
        facts = await look(connection, digests)
        items = [item for digest in digests for item in facts.items.get(digest.message_id, ())]
        companies = await companies_of(connection, items, facts)
        for item in items:
            why = verdict(item, facts, now) or gone(item, facts, companies)
            if why is not None:
                await transitions.leave_off(connection, item)
                await deliveries.note(connection, [item], "waiting", why.code, now)
                if why.state is not None:
                    await end(connection, self._outbox, item, why.state, why.code, now)

    async def _sift(
        self,
        connection: AsyncConnection,
        held: Sequence[Message],
        facts: Facts,
        companies: Mapping[str, Company],
        now: datetime,
        *,
        waiting: _Waiting,
    ) -> list[Message]:
        """Those that may leave; the others end, or are given to `waiting`, with their reason."""
        going = []
        for message in held:
            why = (
                verdict(message, facts, now, self._staff)
                or closed(message, facts, now, self._windows)
                or gone(message, facts, companies)
            )
            if why is None:
                going.append(message)
            elif why.state is None:
                await waiting(connection, message, why, now)
            else:
                await end(connection, self._outbox, message, why.state, why.code, now)
        return going

    async def _compose(
        self,
        connection: AsyncConnection,
        going: Sequence[Message],
        facts: Facts,
        companies: Mapping[str, Company],
        now: datetime,
    ) -> dict[str, bytes]:
        """The bytes of those that have none yet. One that cannot be written ends, and the others go on."""
        written = {}
        for message in going:
            if message.body_encrypted is not None:
                continue
            try:
                written[message.message_id] = self._writer.write(message, facts, companies, now)
            except Exception as error:
                logger().error("composing failed", message_id=message.message_id, error=type(error).__name__)
                ALARMS.labels(message.channel, "compose_failed").inc()
                await end(connection, self._outbox, message, DeliveryState.FAILED, "compose_failed", now)
        return written


async def _not_yet(connection: AsyncConnection, message: Message, why: Verdict, now: datetime) -> None:
    """Nothing was written for it: the round is not ready, or nobody is at work, and that is no step."""
    await claims.release(connection, [message], why.until or now + _AGAIN)


async def _taken_back(connection: AsyncConnection, message: Message, why: Verdict, now: datetime) -> None:
    await transitions.put_back(connection, [message], why.until or now + _AGAIN, code=why.code, now=now)
