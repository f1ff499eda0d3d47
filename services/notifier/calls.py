"""Calling the providers, with no transaction open: some calls at once, each outcome handed on as it comes."""

import asyncio
from collections.abc import Iterator, Mapping
from typing import Final

from services.notifier.channels.port import TOO_FAST, Channel, Outcome, State
from services.notifier.envelopes import Envelopes
from services.notifier.intents import Group
from services.notifier.ledger.messages import Message
from services.notifier.providers import Providers
from services.notifier.recording import Outcomes, Recorder
from services.runtime.clock import Clock
from services.runtime.logs import logger
from services.runtime.metrics import ALARMS

_LEFT_ALONE: Final = Outcome(State.NOT_SENT, "channel_down")


class Calls:
    """`parallel` calls at once for each channel."""

    def __init__(
        self, providers: Providers, envelopes: Envelopes, recorder: Recorder, clock: Clock, parallel: int
    ) -> None:
        self._providers = providers
        self._envelopes = envelopes
        self._recorder = recorder
        self._clock = clock
        self._parallel = parallel

    async def make(self, channel: Channel, group: Group, slots: asyncio.Semaphore) -> None:
        """Calls the provider for each message; outcomes are written meanwhile, many in one commit."""
        outcomes: Outcomes = asyncio.Queue()
        writing = asyncio.create_task(self._recorder.as_they_come(outcomes, group.facts.links))
        try:
            waiting = iter(group.messages)
            in_turn = (self._in_turn(channel, waiting, group.written, slots, outcomes) for _ in range(self._parallel))
            await asyncio.gather(*in_turn)
        finally:
            outcomes.put_nowait(None)
            await writing

    async def _in_turn(
        self,
        channel: Channel,
        waiting: Iterator[Message],
        written: Mapping[str, bytes],
        slots: asyncio.Semaphore,
        outcomes: Outcomes,
    ) -> None:
        """One call after the other; `slots` are shared with the group before."""
        for message in waiting:
            async with slots:
                outcome = await self._call(channel, message, written.get(message.message_id))
                outcomes.put_nowait((message, outcome))

    async def _call(self, channel: Channel, message: Message, words: bytes | None) -> Outcome:
        outcome = _LEFT_ALONE
        if not self._providers.breaker(channel).is_open(self._clock.now()):
            outcome = await channel.send(self._envelopes.outgoing(message, words))
            self._watch(channel, outcome)
        if outcome.alarm:
            ALARMS.labels(channel.name, outcome.code).inc()
            logger().error("alarm", channel=channel.provider, code=outcome.code, message_id=message.message_id)
        return outcome

    def _watch(self, channel: Channel, outcome: Outcome) -> None:
        """What the outcome says of the provider: whether it is well, and how fast it may be given messages."""
        breaker, pace = self._providers.breaker(channel), self._providers.pace(channel)
        pace.given(self._clock.now())
        if outcome.code == TOO_FAST:
            pace.too_fast(self._clock.now())
        if outcome.state is State.NOT_SENT:
            breaker.tripped(self._clock.now(), outcome.code, outcome.retry_after)
            logger().warning("channel backs off", channel=channel.provider, code=outcome.code, attempt=breaker.failures)
        elif outcome.state is not State.UNKNOWN:
            breaker.healthy()
