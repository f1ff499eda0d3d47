"""Outcomes that nobody knows, found out before anything is sent again, as the channel's policy says."""

import asyncio
from collections.abc import Sequence

from schemas.delivery import DeliveryState
from services.notifier.channels.port import Outcome, State
from services.notifier.envelopes import Envelopes
from services.notifier.ledger import claims
from services.notifier.ledger.endings import end
from services.notifier.ledger.events import Outbox
from services.notifier.ledger.messages import Message
from services.notifier.policy.unknown import ASK_AGAIN, UNKNOWN_OUTCOME, resolution
from services.notifier.providers import Providers
from services.notifier.recording import Recorder
from services.runtime.clock import Clock
from services.runtime.store.database import Database


class UnknownOutcomes:
    """Of the messages that one sender has claimed."""

    def __init__(
        self,
        database: Database,
        outbox: Outbox,
        providers: Providers,
        envelopes: Envelopes,
        recorder: Recorder,
        clock: Clock,
        owner: str,
    ) -> None:
        self._database = database
        self._outbox = outbox
        self._providers = providers
        self._envelopes = envelopes
        self._recorder = recorder
        self._clock = clock
        self._owner = owner

    async def resolve(self, claimed: Sequence[Message]) -> list[Message]:
        """Asks each provider about its unknown outcomes, where it can be asked; returns what is to be sent (again)."""
        unknown = [message for message in claimed if message.state == "unknown"]
        answers = await asyncio.gather(*(self._ask(message) for message in unknown))
        asked = [(message, answer) for message, answer in zip(unknown, answers, strict=True) if answer is not None]
        found = [(message, answer) for message, answer in asked if answer.state is not State.UNKNOWN]
        if found:
            await self._recorder.record(found, looked_up=True)
        now = self._clock.now()
        waiting = [m for m, answer in asked if answer.state is State.UNKNOWN and now < m.expires_at]
        done = {message.message_id for message, _ in found} | {message.message_id for message in waiting}
        lost = [m for m in unknown if m.message_id not in done and not resolution(m.channel, m.unknowns).resend]
        if waiting or lost:
            async with self._database.transaction() as connection:
                await claims.release(connection, waiting, now + ASK_AGAIN)
                for message in await claims.still_held(connection, lost, self._owner):
                    await end(connection, self._outbox, message, DeliveryState.FAILED, UNKNOWN_OUTCOME, now)
        done |= {message.message_id for message in lost}
        return [message for message in claimed if message.message_id not in done]

    async def _ask(self, message: Message) -> Outcome | None:
        if not resolution(message.channel, message.unknowns).ask or message.body_encrypted is None:
            return None
        tried_at = self._providers.named(message.channel, message.provider)
        return await tried_at.look_up(self._envelopes.outgoing(message))
