"""Sending, driven from the ledger: claim, intent, call with no transaction open, outcome.

Guaranteed: the bytes and the intent are committed before a provider is called (intents), and the outcome after
(recording); a crash between the two leaves `sending`, whose lease runs out, and the channel's policy for unknown
outcomes decides (unknown_outcomes). Stops, undone rounds, withdrawals and answers are read to the end before a claim
and once more after *composed* is acknowledged, so that what was said before the call is obeyed. Each channel has its
own loop: one in trouble delays only itself.
"""

import asyncio
import contextlib
import math
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Final

from services.notifier.addressing import Addressing
from services.notifier.calls import Calls
from services.notifier.channels.port import Channel
from services.notifier.intents import Intents
from services.notifier.ledger import claims, pauses, provider_states
from services.notifier.ledger.events import Outbox
from services.notifier.ledger.messages import Message
from services.notifier.pause_alarm import PauseAlarm
from services.notifier.policy.windows import Mode
from services.notifier.providers import Providers
from services.notifier.reminding import Reminding
from services.notifier.sms_budget import CHANNEL as SMS
from services.notifier.sms_budget import SmsBudget
from services.notifier.stride import Stride
from services.notifier.sweep import sweep
from services.notifier.table_readers import Tables
from services.notifier.unknown_outcomes import UnknownOutcomes
from services.runtime.clock import Clock
from services.runtime.errors import Transient
from services.runtime.logs import logger
from services.runtime.metrics import CHANNEL_PAUSED
from services.runtime.store.database import Database

_PARTS: Final = 3
"""A claim goes in so many groups: one is written and told of while those before it are called and written down. A crash
leaves all of them unknown, called or not: never more than one claim of a channel. What is sent again goes alone, and as
few as are called at once: a third try there is not, and a second crash must not end a whole claim that nobody got.
"""


@dataclass(frozen=True, slots=True)
class SenderOptions:
    """How much at once, how long a claim holds, how often to look, when messages may leave."""

    lease: timedelta = timedelta(seconds=120)
    batch: int = 500
    parallel: int = 10
    poll: float = 0.5
    windows: Mode = "working_hours"


class Sender:
    """One notifier's sending, `owner` of what it claims. Several may share a PostgreSQL ledger."""

    def __init__(
        self,
        database: Database,
        outbox: Outbox,
        tables: Tables,
        clock: Clock,
        options: SenderOptions,
        owner: str,
        *,
        addressing: Addressing,
        reminding: Reminding,
        providers: Providers,
        sms_budget: SmsBudget,
        unknown_outcomes: UnknownOutcomes,
        intents: Intents,
        calls: Calls,
    ) -> None:
        self._database = database
        self._outbox = outbox
        self._tables = tables
        self._clock = clock
        self._options = options
        self._owner = owner
        self._addressing = addressing
        self._reminding = reminding
        self._providers = providers
        self._sms_budget = sms_budget
        self._unknown_outcomes = unknown_outcomes
        self._intents = intents
        self._calls = calls
        self._held: set[str] = set()
        self._strides = {name: Stride(options.parallel * 2, options.batch) for name in providers.channels}
        self.alarm = PauseAlarm(providers.channels)
        self.ready = False

    async def run(self, stop: asyncio.Event) -> None:
        """Works until `stop` is set; what is under way then is finished."""
        loops = [self._loop("plan", self.plan, stop), self._heartbeat(stop)]
        loops += [self._loop(name, partial(self.deliver, name), stop) for name in self._providers.channels]
        await asyncio.gather(*loops)

    async def turn(self) -> int:
        """One pass over everything; returns how many messages were handled."""
        await self.plan()
        return sum([await self.deliver(name) for name in self._providers.channels])

    async def _loop(self, name: str, work: Callable[[], Awaitable[int]], stop: asyncio.Event) -> None:
        while not stop.is_set():
            try:
                busy = await work()
            except Transient as error:
                logger().warning("waiting for a dependency", name=name, error=str(error)[:120])
                busy = 0
            if not busy:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), self._options.poll)

    async def _heartbeat(self, stop: asyncio.Event) -> None:
        """Renews the leases of what this sender holds, in the ledger's time."""
        while not stop.is_set():
            sleeping = asyncio.ensure_future(self._clock.sleep(self._options.lease.total_seconds() / 3))
            stopping = asyncio.ensure_future(stop.wait())
            await asyncio.wait({sleeping, stopping}, return_when=asyncio.FIRST_COMPLETED)
            for task in (sleeping, stopping):
                task.cancel()
            if self._held:
                with contextlib.suppress(Transient):
                    async with self._database.transaction() as connection:
                        await claims.renew(connection, self._owner, self._held, self._clock.now() + self._options.lease)

    async def plan(self) -> int:
        """Addresses what was admitted, plans reminders, ends what is late or called off, tells what is to be told."""
        before = self._clock.now()
        await self._tables.caught_up()
        await self._addressing.run(self._clock.now(), before)
        await self._reminding.run(self._clock.now())
        now = self._clock.now()
        async with self._database.transaction() as connection:
            self.alarm.see(await pauses.standing(connection), now)
            await sweep(connection, self._outbox, self._sms_budget, self._held, now)
        self.ready = True
        await self._outbox.flush()
        return 0

    async def deliver(self, channel: str) -> int:
        """One batch of one channel, by its first provider that is well; returns how many messages it took on."""
        provider = self._providers.well(channel, self._clock.now())
        if provider is None:
            return 0
        await self._tables.caught_up()
        claimed = await self._claim(channel, self._most(provider))
        self._held |= {message.message_id for message in claimed}
        began = asyncio.get_running_loop().time()
        try:
            await self._carry(provider, claimed)
            self._strides[channel].took(len(claimed), asyncio.get_running_loop().time() - began)
        finally:
            self._held -= {message.message_id for message in claimed}
        await self._note_news()
        left_alone = self._providers.well(channel, self._clock.now()) is None
        CHANNEL_PAUSED.labels(channel).set(int(left_alone))
        return 0 if left_alone else len(claimed)

    def _most(self, provider: Channel) -> int:
        """What is claimed for it at once: one message to try it, after trouble; no more than it wants in a minute, and
        few where each is paid for.
        """
        most = 1 if self._providers.breaker(provider).failures else self._strides[provider.name].claim
        wanted = self._providers.pace(provider).allowance(self._clock.now())
        paid = self._options.parallel if provider.name == SMS and self._sms_budget.capped else most
        return min(most, paid, provider.at_once or most, most if wanted is None else wanted)

    async def _claim(self, channel: str, limit: int) -> list[Message]:
        now = self._clock.now()
        async with self._database.transaction() as connection:
            paused = any(pause.holds(channel) for pause in await pauses.standing(connection))
            capped = channel == SMS and await self._sms_budget.reached(connection, now)
            until, allowed = now + self._options.lease, {"notices_only": paused, "urgent_only": capped}
            return await claims.take(connection, channel, self._owner, now, until, limit, **allowed)

    async def _carry(self, provider: Channel, claimed: Sequence[Message]) -> None:
        """From the claim to the outcomes; while one group is called, the next is written and told of."""
        if not claimed:
            return
        to_send = await self._unknown_outcomes.resolve(claimed)
        slots = asyncio.Semaphore(self._options.parallel)
        groups = deque(self._grouped(await self._parted(provider, to_send), math.ceil(len(claimed) / _PARTS)))
        sending: list[asyncio.Task[None]] = []
        try:
            while groups:
                going_by, group = groups.popleft()
                if group[0].repeats:
                    await asyncio.gather(*sending)
                written = await self._intents.record(going_by, group)
                if written.messages:
                    going = await self._intents.announce(written)
                    sending.append(asyncio.create_task(self._calls.make(going_by, going, slots)))
        except Transient:
            await self._let_go([message for _, group in groups for message in group])
            raise
        finally:
            await asyncio.gather(*sending)  # what is being called is finished, whatever became of those behind it
        await self._outbox.flush()

    async def _parted(self, provider: Channel, to_send: Sequence[Message]) -> list[tuple[Channel, list[Message]]]:
        """What goes by which provider: what is sent again, by the one that may have it; that one is waited for."""
        now = self._clock.now()
        parts: dict[str, tuple[Channel, list[Message]]] = {}
        for message in to_send:
            going_by = self._providers.named(message.channel, message.provider) if message.repeats else provider
            parts.setdefault(going_by.provider, (going_by, []))[1].append(message)
        async with self._database.transaction() as connection:
            for going_by, part in parts.values():
                breaker = self._providers.breaker(going_by)
                if breaker.is_open(now):
                    await claims.release(connection, part, breaker.until)
        return [(by, part) for by, part in parts.values() if not self._providers.breaker(by).is_open(now)]

    def _grouped(
        self, parts: Sequence[tuple[Channel, Sequence[Message]]], third: int
    ) -> Iterator[tuple[Channel, Sequence[Message]]]:
        for by, part in parts:
            again, fresh = [m for m in part if m.repeats], [m for m in part if not m.repeats]
            for messages, few in ((again, self._options.parallel), (fresh, third)):
                yield from ((by, messages[start : start + few]) for start in range(0, len(messages), few))

    async def _let_go(self, untouched: Sequence[Message]) -> None:
        """What was claimed and not begun need not wait for its lease to run out."""
        with contextlib.suppress(Transient):
            async with self._database.transaction() as connection:
                await claims.release(connection, await claims.still_held(connection, untouched, self._owner))

    async def _note_news(self) -> None:
        """How the providers are, for whoever looks at them in the ledger."""
        if news := self._providers.news():
            async with self._database.transaction() as connection:
                for state in news:
                    await provider_states.note(connection, state, self._clock.now())
