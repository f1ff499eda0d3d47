"""Sending, driven from the ledger: claim, intent, call with no transaction open, outcome.

Guaranteed: the bytes and the intent are committed before a provider is called, and the outcome after; a crash between
the two leaves `sending`, whose lease runs out, and the channel's policy for unknown outcomes decides (policy/unknown).
Stops, undone rounds, withdrawals and answers are read to the end before a claim and once more after *composed* is
acknowledged, so that what was said before the call is obeyed. Each channel has its own loop: one in trouble delays only
itself.
"""

import asyncio
import contextlib
import math
import uuid
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from functools import partial
from typing import Any, Final, Protocol

from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.company import Company
from schemas.delivery import DeliveryState
from schemas.invitation import Invitation
from services.notifier.addressing import Addressing
from services.notifier.channels.port import TOO_FAST, Channel, Outcome, Outgoing, State
from services.notifier.composing import Asked, Composer, DigestItem, Draft
from services.notifier.ledger import claims, deliveries, endings, pauses, provider_states, transitions
from services.notifier.ledger.events import Outbox
from services.notifier.ledger.links import Link, unlink
from services.notifier.ledger.messages import Message
from services.notifier.ledger.notices import NoticeRow, forget_notices
from services.notifier.outcomes.dead_addresses import DeadAddresses
from services.notifier.outcomes.return_path import ReturnPaths
from services.notifier.pause_alarm import PauseAlarm
from services.notifier.policy import month_cap
from services.notifier.policy.digest import MOST_ITEMS, gathered
from services.notifier.policy.retry import next_try
from services.notifier.policy.unknown import ASK_AGAIN, UNKNOWN_OUTCOME, resolution
from services.notifier.policy.windows import Mode
from services.notifier.providers import Breaker, Providers
from services.notifier.refusal_stop import NEVER, RefusalStop
from services.notifier.reminding import Reminding
from services.notifier.sifting import Facts, Verdict, closed, companies_of, gone, look, verdict
from services.notifier.sms_budget import CHANNEL as SMS
from services.notifier.sms_budget import SmsBudget
from services.notifier.stride import Stride
from services.runtime.clock import Clock
from services.runtime.errors import Transient
from services.runtime.link_tokens import Purpose, mint
from services.runtime.logs import logger
from services.runtime.metrics import ALARMS, CHANNEL_PAUSED, RESENT_UNKNOWN
from services.runtime.sealing import Vault
from services.runtime.store.database import Database, micros

_SWEEP: Final = 500
_PARTS: Final = 3
"""A claim goes in so many groups: one is written and told of while those before it are called and written down. A crash
leaves all of them unknown, called or not: never more than one claim of a channel.
"""
_AGAIN: Final = timedelta(seconds=5)
"""When to look again at a message whose round is not ready for it."""


class Tables(Protocol):
    """The whole-topic readers behind the ledger's facts."""

    async def caught_up(self) -> None:
        """Returns when everything published before this call has been applied."""
        ...


_Waiting = Callable[[AsyncConnection, Message, Verdict, datetime], Awaitable[None]]
"""Gives a message back to the ledger, and why, at a moment."""


@dataclass(frozen=True, slots=True)
class SenderOptions:
    """How much at once, how long a claim holds, how often to look, when messages may leave."""

    lease: timedelta = timedelta(seconds=120)
    batch: int = 500
    parallel: int = 10
    poll: float = 0.5
    windows: Mode = "working_hours"


@dataclass(frozen=True)
class _Group:
    """Messages that go together, and what was known of them at the last look."""

    messages: Sequence[Message]
    facts: Facts
    written: Mapping[str, bytes]
    """The bytes that were made for it, by message; those of a resend stand in the ledger."""


@dataclass
class _Batch:
    """The outcomes of one group that are not yet written."""

    group: _Group
    outcomes: asyncio.Queue[tuple[Message, Outcome] | None] = field(default_factory=asyncio.Queue)


class Sender:
    """One notifier's sending. Several may share a PostgreSQL ledger."""

    def __init__(
        self,
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
    ) -> None:
        self._database = database
        self._outbox = outbox
        self._addressing = addressing
        self._reminding = reminding
        self._tables = tables
        self._providers = Providers(channels)
        self._composer = composer
        self._vault = vault
        self._clock = clock
        self._options = options or SenderOptions()
        self._dead = DeadAddresses(outbox, index_key)
        self._return_paths = return_paths
        self._receipt_key = receipt_key
        self._sms_budget = sms_budget or SmsBudget(None)
        self._staff = staff
        self._refusals = refusals or RefusalStop(NEVER)
        self._owner = uuid.uuid4().hex
        self._held: set[str] = set()
        least = self._options.parallel * 2
        self._strides = {name: Stride(least, self._options.batch) for name in self._providers.channels}
        self.alarm = PauseAlarm(self._providers.channels)
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
        await self._sweep()
        self.ready = True
        await self._outbox.flush()
        return 0

    async def _sweep(self) -> None:
        now = self._clock.now()
        async with self._database.transaction() as connection:
            self.alarm.see(await pauses.standing(connection), now)
            for message in await claims.abandoned(connection, now, self._held, _SWEEP):
                await endings.leave_unknown(connection, self._outbox, message, "sender_died", now)
            for message in await self._sms_budget.too_late(connection, now, _SWEEP):
                await self._end(connection, message, DeliveryState.FAILED, month_cap.CODE)
            for message in await claims.overdue(connection, now, _SWEEP):
                await self._end(connection, message, DeliveryState.EXPIRED, "expired")
            for message in await claims.called_off(connection, now, _SWEEP):
                await self._end(connection, message, DeliveryState.CANCELLED, "round_ended")

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
        if news := self._providers.news():
            async with self._database.transaction() as connection:
                for state in news:
                    await provider_states.note(connection, state, self._clock.now())
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
        if not claimed:
            return
        to_send = await self._resolve(claimed)
        few, slots = math.ceil(len(claimed) / _PARTS), asyncio.Semaphore(self._options.parallel)
        parts = await self._parted(provider, to_send)
        groups = deque((by, part[start : start + few]) for by, part in parts for start in range(0, len(part), few))
        sending: list[asyncio.Task[None]] = []
        try:
            while groups:
                going_by, group = groups.popleft()
                written = await self._intend(going_by, group)
                if written.messages:
                    going = await self._announced(written)
                    sending.append(asyncio.create_task(self._send(going_by, going, slots)))
        except Transient:
            await self._let_go([message for _, group in groups for message in group])
            raise
        finally:
            await asyncio.gather(*sending)  # what is being called is finished, whatever became of those behind it
        await self._outbox.flush()

    async def _let_go(self, untouched: Sequence[Message]) -> None:
        """What was claimed and not begun need not wait for its lease to run out."""
        with contextlib.suppress(Transient):
            async with self._database.transaction() as connection:
                await claims.release(connection, await claims.still_held(connection, untouched, self._owner))

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

    async def _resolve(self, claimed: Sequence[Message]) -> list[Message]:
        """Asks each provider about its unknown outcomes, where it can be asked; returns what is to be sent (again)."""
        unknown = [message for message in claimed if message.state == "unknown"]
        answers = await asyncio.gather(*(self._ask(message) for message in unknown))
        asked = [(message, answer) for message, answer in zip(unknown, answers, strict=True) if answer is not None]
        found = [(message, answer) for message, answer in asked if answer.state is not State.UNKNOWN]
        if found:
            await self._record(found, looked_up=True)
        now = self._clock.now()
        waiting = [m for m, answer in asked if answer.state is State.UNKNOWN and now < m.expires_at]
        done = {message.message_id for message, _ in found} | {message.message_id for message in waiting}
        lost = [m for m in unknown if m.message_id not in done and not resolution(m.channel, m.unknowns).resend]
        if waiting or lost:
            async with self._database.transaction() as connection:
                await claims.release(connection, waiting, now + ASK_AGAIN)
                for message in await claims.still_held(connection, lost, self._owner):
                    await self._end(connection, message, DeliveryState.FAILED, UNKNOWN_OUTCOME)
        done |= {message.message_id for message in lost}
        return [message for message in claimed if message.message_id not in done]

    async def _ask(self, message: Message) -> Outcome | None:
        if not resolution(message.channel, message.unknowns).ask or message.body_encrypted is None:
            return None
        tried_at = self._providers.named(message.channel, message.provider)
        return await tried_at.look_up(self._outgoing(message, self._vault.decrypt(message.body_encrypted)))

    async def _intend(self, provider: Channel, messages: Sequence[Message]) -> _Group:
        """Composes what may leave and commits bytes, intent and whom it goes by; the rest ends, or waits, with its
        reason.
        """
        now = self._clock.now()
        async with self._database.transaction() as connection:
            held = await claims.read_again(connection, messages, self._owner)
            await self._sort_out(connection, held, now)
            facts = await look(connection, held)
            companies = await companies_of(connection, held, facts)
            going = await self._sift(connection, held, facts, companies, now, waiting=_not_yet)
            written = await self._compose_all(connection, going, facts, companies, now)
            kept = {message_id: self._vault.encrypt(words) for message_id, words in written.items()}
            composed = [(m, body) for m in going if (body := m.body_encrypted or kept.get(m.message_id))]
            told = await transitions.record_intents(
                connection, composed, provider.provider, self._composer.version, now
            )
            carried = {message.message_id: facts.carried(message) for message in told}
            await deliveries.tell(connection, self._outbox, told, DeliveryState.COMPOSED, "ok", now, linked=carried)
            for message in told:
                await unlink(connection, message, facts.answered_on(message))
        return _Group(told, facts, written)

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
                    await self._end(connection, item, why.state, why.code)

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
                or closed(message, facts, now, self._options.windows)
                or gone(message, facts, companies)
            )
            if why is None:
                going.append(message)
            elif why.state is None:
                await waiting(connection, message, why, now)
            else:
                await self._end(connection, message, why.state, why.code)
        return going

    async def _compose_all(
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
                written[message.message_id] = self._written(message, facts, companies, now)
            except Exception as error:
                logger().error("composing failed", message_id=message.message_id, error=type(error).__name__)
                ALARMS.labels(message.channel, "compose_failed").inc()
                await self._end(connection, message, DeliveryState.FAILED, "compose_failed")
        return written

    def _written(self, message: Message, facts: Facts, companies: Mapping[str, Company], now: datetime) -> bytes:
        address = self._vault.decrypt(message.address_encrypted).decode()
        told_at = facts.told.get(message.message_id)
        draft = Draft(
            message.message_id,
            message.number,
            message.channel,
            message.language,
            address,
            now,
            told_at,
            introduce=message.address_index not in facts.introduced,
            rehearsal=self._staff is not None,
        )
        if message.is_notice:
            return self._composer.notice(draft, self._asked(facts.notices[message.message_id], message))
        if message.is_digest:
            return self._gathered(draft, facts.items[message.message_id], facts, companies)
        write = self._composer.remind if message.is_reminder else self._composer.compose
        return write(draft, facts.rounds[message.round_id], _invitations(message, facts), companies)

    def _gathered(
        self, draft: Draft, carried: Sequence[Message], facts: Facts, companies: Mapping[str, Company]
    ) -> bytes:
        items = [DigestItem(facts.rounds[item.round_id], _invitations(item, facts)) for item in carried]
        items.sort(key=lambda item: (item.round_.respond_by or date.max, item.round_.round_id))
        draft = replace(draft, gathered=gathered(item.waits for item in carried))
        return self._composer.digest(draft, items[:MOST_ITEMS], len(items[MOST_ITEMS:]), companies)

    def _asked(self, row: NoticeRow, message: Message) -> Asked:
        path = self._vault.decrypt(row.path_encrypted).decode() if row.path_encrypted is not None else None
        return Asked(row.kind, row.parameters, path, row.about_number, row.round_, message.expires_at)

    async def _announced(self, written: _Group) -> _Group:
        """Tells that the messages are composed and looks once more. When that fails, nothing has been called: the
        intent is taken back, so that a broker that is down makes no outcome unknown.
        """
        try:
            await self._outbox.flush()
            await self._tables.caught_up()
            return await self._look_once_more(written)
        except BaseException:
            async with self._database.transaction() as connection:
                held = await claims.still_held(connection, written.messages, self._owner, state="sending")
                now = self._clock.now()
                await transitions.put_back(connection, held, now, code="not_announced", now=now)
            raise

    async def _look_once_more(self, written: _Group) -> _Group:
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
            await claims.renew(connection, self._owner, called, now + self._options.lease)
        return _Group(going, facts, written.written)

    async def _send(self, channel: Channel, group: _Group, slots: asyncio.Semaphore) -> None:
        """Calls the provider for each, some at once; outcomes are written as they come, many in one commit."""
        batch = _Batch(group)
        writing = asyncio.create_task(self._write_outcomes(batch))
        try:
            waiting = iter(group.messages)
            await asyncio.gather(*(self._calls(channel, waiting, slots, batch) for _ in range(self._options.parallel)))
        finally:
            batch.outcomes.put_nowait(None)
            await writing

    async def _calls(
        self, channel: Channel, waiting: Iterator[Message], slots: asyncio.Semaphore, batch: _Batch
    ) -> None:
        """One call after the other; `slots` are shared with the group before."""
        for message in waiting:
            async with slots:
                await self._call(channel, message, batch)

    async def _call(self, channel: Channel, message: Message, batch: _Batch) -> None:
        breaker = self._providers.breaker(channel)
        if breaker.is_open(self._clock.now()):
            outcome = Outcome(State.NOT_SENT, "channel_down")
        else:
            words = batch.group.written.get(message.message_id) or self._vault.decrypt(message.body_encrypted or b"")
            outcome = await channel.send(self._outgoing(message, words))
            self._watch(channel, outcome)
        if outcome.alarm:
            ALARMS.labels(channel.name, outcome.code).inc()
            logger().error("alarm", channel=channel.provider, code=outcome.code, message_id=message.message_id)
        batch.outcomes.put_nowait((message, outcome))

    def _watch(self, channel: Channel, outcome: Outcome) -> None:
        breaker, pace = self._providers.breaker(channel), self._providers.pace(channel)
        pace.given(self._clock.now())
        if outcome.code == TOO_FAST:
            pace.too_fast(self._clock.now())
        if outcome.state is State.NOT_SENT:
            breaker.tripped(self._clock.now(), outcome.code, outcome.retry_after)
            logger().warning("channel backs off", channel=channel.provider, code=outcome.code, attempt=breaker.failures)
        elif outcome.state is not State.UNKNOWN:
            breaker.healthy()

    async def _write_outcomes(self, batch: _Batch) -> None:
        ended = False
        while not ended:
            ready = [await batch.outcomes.get()]
            while not batch.outcomes.empty():
                ready.append(batch.outcomes.get_nowait())
            ended = None in ready
            await self._record_surely([item for item in ready if item is not None], batch.group.facts.links)

    async def _record_surely(
        self, outcomes: Sequence[tuple[Message, Outcome]], linked: Mapping[str, list[Link]]
    ) -> None:
        """A known outcome is not given up: forgetting it would send the message twice."""
        while outcomes:
            try:
                await self._record(outcomes, linked)
                return
            except Transient as error:
                logger().error("outcomes not written yet", count=len(outcomes), error=str(error)[:120])
                await asyncio.sleep(self._options.poll)

    async def _record(
        self,
        outcomes: Sequence[tuple[Message, Outcome]],
        linked: Mapping[str, list[Link]] | None = None,
        *,
        looked_up: bool = False,
    ) -> None:
        """Writes outcomes of messages; what they carry is looked up where it is not given."""
        by_id = {message.message_id: outcome for message, outcome in outcomes}
        async with self._database.transaction() as connection:
            held = await claims.still_held(connection, [message for message, _ in outcomes], self._owner)
            became = [(message, by_id.pop(message.message_id)) for message in held]
            await transitions.note_accepted(connection, by_id, self._clock.now())
            sent = [(message, outcome) for message, outcome in became if outcome.state is State.SENT]
            await self._sent(connection, sent, linked, looked_up=looked_up)
            for message, outcome in became:
                await self._refusals.see(connection, message.channel, outcome, self._clock.now())
                if outcome.state is not State.SENT:
                    await self._not_accepted(connection, message, outcome)

    async def _not_accepted(self, connection: AsyncConnection, message: Message, outcome: Outcome) -> None:
        now = self._clock.now()
        if outcome.state is State.UNKNOWN:
            await endings.leave_unknown(connection, self._outbox, message, outcome.code, now)
        elif outcome.state is State.NOT_SENT:
            until, state = self._free_again(message, now), "unknown" if message.repeats else "retry"
            await deliveries.note(connection, [message], "not_sent", outcome.code, now, outcome.detail)
            await transitions.change(
                connection, message, state, code=outcome.code, due=micros(until), **_unwritten(message)
            )
        elif outcome.state is State.RETRY and (due := self._next(message, outcome, now)):
            await deliveries.tell(
                connection, self._outbox, [message], DeliveryState.RETRY, outcome.code, now, detail=outcome.detail
            )
            values = {"code": outcome.code, "due": micros(due), "attempts": message.attempts + 1}
            await transitions.change(connection, message, "retry", **values, **_unwritten(message))
        else:
            await self._failed(connection, message, outcome, now)

    def _free_again(self, message: Message, now: datetime) -> datetime:
        """When it may be tried by the next provider, or where it is sent again, by its own."""
        if message.repeats:
            return self._breaker_of(message).until or now
        return self._providers.free_again(message.channel, now)

    def _breaker_of(self, message: Message) -> Breaker:
        return self._providers.breaker(self._providers.named(message.channel, message.provider))

    def _next(self, message: Message, outcome: Outcome, now: datetime) -> datetime | None:
        if outcome.most_tries is not None and message.attempts + 1 >= outcome.most_tries:
            return None
        return next_try(message.attempts + 1, now, message.created_at, message.expires_at, outcome.retry_after)

    async def _sent(
        self,
        connection: AsyncConnection,
        became: Sequence[tuple[Message, Outcome]],
        linked: Mapping[str, list[Link]] | None,
        *,
        looked_up: bool,
    ) -> None:
        now = self._clock.now()
        said = [(message, outcome.code, outcome.detail) for message, outcome in became]
        await deliveries.tell_each(connection, self._outbox, said, DeliveryState.SENT, now, linked=linked)
        changes = []
        for message, outcome in became:
            resent = message.repeats and not looked_up
            if resent:
                RESENT_UNKNOWN.labels(message.channel).inc()
            values = {
                "state": "sent",
                "code": outcome.code,
                "sent_at": micros(now),
                **transitions.acceptance(outcome),
                "attempts": message.attempts + 1,
                "resent_unknown": int(resent),
            }
            changes.append((message, values))
        await transitions.change_each(connection, changes)
        await forget_notices(connection, [message for message, _ in became])

    async def _failed(self, connection: AsyncConnection, message: Message, outcome: Outcome, now: datetime) -> None:
        await self._end(connection, message, DeliveryState.FAILED, outcome.code, outcome.detail)
        await self._dead.failed(connection, message, outcome, now)

    async def _end(
        self, connection: AsyncConnection, message: Message, state: DeliveryState, code: str, detail: str = ""
    ) -> None:
        """The message's end. One that may have been taken says so, whatever ended it."""
        if message.repeats and state is not DeliveryState.FAILED:
            state, code = DeliveryState.FAILED, "unknown_outcome"
        await deliveries.tell(connection, self._outbox, [message], state, code, self._clock.now(), detail=detail)
        emptied: dict[str, Any] = _unwritten(message) if state is DeliveryState.CANCELLED else {}
        if code == "erased":
            emptied = {"address_encrypted": b"", "body_encrypted": None}
        await transitions.change(connection, message, state.value, code=code, attempts=message.attempts + 1, **emptied)
        await forget_notices(connection, [message])

    def _outgoing(self, message: Message, words: bytes) -> Outgoing:
        address = self._vault.decrypt(message.address_encrypted).decode()
        at = message.intent_at or self._clock.now()
        path = self._return_paths.of(message.number) if self._return_paths and message.channel == "email" else ""
        return Outgoing(message.message_id, address, words, self._reference(message), at, path)

    def _reference(self, message: Message) -> str:
        """What a receipt of ours names the message by; else its id."""
        if self._receipt_key is None or message.channel != "sms":
            return message.message_id
        return mint(message.number, self._receipt_key, Purpose.RECEIPT)


async def _not_yet(connection: AsyncConnection, message: Message, why: Verdict, now: datetime) -> None:
    """Nothing was written for it: the round is not ready, or nobody is at work, and that is no step."""
    await claims.release(connection, [message], why.until or now + _AGAIN)


async def _taken_back(connection: AsyncConnection, message: Message, why: Verdict, now: datetime) -> None:
    await transitions.put_back(connection, [message], why.until or now + _AGAIN, code=why.code, now=now)


def _invitations(message: Message, facts: Facts) -> list[Invitation]:
    return [link.invitation() for link in facts.live(message)]


def _unwritten(message: Message) -> dict[str, Any]:
    """What was surely not taken has not left: its next bytes are made of what is known then. Where an attempt's outcome
    stayed unknown the bytes stay, for a resend must be the same.
    """
    return {} if message.repeats else {"intent_at": None, "body_encrypted": None}
