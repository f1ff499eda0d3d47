"""What became of a call, written down: accepted, to be tried again, failed for good, or known to nobody."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.delivery import DeliveryState
from services.notifier.channels.port import Outcome, State
from services.notifier.ledger import claims, deliveries, transitions
from services.notifier.ledger.endings import end, leave_unknown, unwritten
from services.notifier.ledger.events import Outbox
from services.notifier.ledger.links import Link
from services.notifier.ledger.messages import Message
from services.notifier.ledger.notices import forget_notices
from services.notifier.outcomes.dead_addresses import DeadAddresses
from services.notifier.policy.retry import next_try
from services.notifier.providers import Providers
from services.notifier.refusal_stop import RefusalStop
from services.runtime.clock import Clock
from services.runtime.errors import Transient
from services.runtime.logs import logger
from services.runtime.metrics import RESENT_UNKNOWN
from services.runtime.store.database import Database, micros

Outcomes = asyncio.Queue[tuple[Message, Outcome] | None]
"""Of one group's calls, as they come; None is the last."""


class Recorder:
    """Of the messages that `owner` holds. `poll` seconds pass before a ledger that did not answer is tried again."""

    def __init__(
        self,
        database: Database,
        outbox: Outbox,
        providers: Providers,
        dead: DeadAddresses,
        refusals: RefusalStop,
        clock: Clock,
        owner: str,
        *,
        poll: float,
    ) -> None:
        self._database = database
        self._outbox = outbox
        self._providers = providers
        self._dead = dead
        self._refusals = refusals
        self._clock = clock
        self._owner = owner
        self._poll = poll

    async def as_they_come(self, outcomes: Outcomes, linked: Mapping[str, list[Link]]) -> None:
        """Writes what is there, many in one commit, until the last."""
        ended = False
        while not ended:
            ready = [await outcomes.get()]
            while not outcomes.empty():
                ready.append(outcomes.get_nowait())
            ended = None in ready
            await self._surely([item for item in ready if item is not None], linked)

    async def _surely(self, outcomes: Sequence[tuple[Message, Outcome]], linked: Mapping[str, list[Link]]) -> None:
        """A known outcome is not given up: forgetting it would send the message twice."""
        while outcomes:
            try:
                await self.record(outcomes, linked)
                return
            except Transient as error:
                logger().error("outcomes not written yet", count=len(outcomes), error=str(error)[:120])
                await asyncio.sleep(self._poll)

    async def record(
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

    async def _not_accepted(self, connection: AsyncConnection, message: Message, outcome: Outcome) -> None:
        now = self._clock.now()
        if outcome.state is State.UNKNOWN:
            await leave_unknown(connection, self._outbox, message, outcome.code, now)
        elif outcome.state is State.NOT_SENT:
            await self._not_sent(connection, message, outcome, now)
        elif outcome.state is State.RETRY and (due := _next(message, outcome, now)):
            await self._try_again(connection, message, outcome, due, now)
        else:
            await end(connection, self._outbox, message, DeliveryState.FAILED, outcome.code, now, outcome.detail)
            await self._dead.failed(connection, message, outcome, now)

    async def _not_sent(self, connection: AsyncConnection, message: Message, outcome: Outcome, now: datetime) -> None:
        """The provider is in trouble: that is no attempt of the message's."""
        until, state = self._free_again(message, now), "unknown" if message.repeats else "retry"
        await deliveries.note(connection, [message], "not_sent", outcome.code, now, outcome.detail)
        values = {"code": outcome.code, "due": micros(until)}
        await transitions.change(connection, message, state, **values, **unwritten(message))

    def _free_again(self, message: Message, now: datetime) -> datetime:
        """When it may be tried by the next provider, or where it is sent again, by its own."""
        if message.repeats:
            tried_at = self._providers.named(message.channel, message.provider)
            return self._providers.breaker(tried_at).until or now
        return self._providers.free_again(message.channel, now)

    async def _try_again(
        self, connection: AsyncConnection, message: Message, outcome: Outcome, due: datetime, now: datetime
    ) -> None:
        code, detail = outcome.code, outcome.detail
        await deliveries.tell(connection, self._outbox, [message], DeliveryState.RETRY, code, now, detail=detail)
        values = {"code": code, "due": micros(due), "attempts": message.attempts + 1}
        await transitions.change(connection, message, "retry", **values, **unwritten(message))


def _next(message: Message, outcome: Outcome, now: datetime) -> datetime | None:
    """When it is tried again, or None where that is in vain."""
    if outcome.most_tries is not None and message.attempts + 1 >= outcome.most_tries:
        return None
    return next_try(message.attempts + 1, now, message.created_at, message.expires_at, outcome.retry_after)
