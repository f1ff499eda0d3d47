"""Where a command stands: the cases as they are now, read from the topics, and a publisher."""

from collections.abc import Collection
from contextlib import AsyncExitStack

from schemas.dialogue import Dialogue
from schemas.round import Purpose, Round, RoundState
from services.portal.case_orders import Steps, stands
from services.portal.case_settings import CaseSettings
from services.portal.case_topics import CaseBook, reading
from services.runtime import logs
from services.runtime.broker import Broker
from services.runtime.clock import SystemClock
from services.runtime.errors import Permanent
from services.runtime.terminal import OK, failed, say


class Desk:
    """Where a command sees the cases as they are now, and publishes: `async with Desk(settings) as desk`."""

    def __init__(self, settings: CaseSettings) -> None:
        logs.configure(settings.log, "case")
        clock = SystemClock()
        self.now = clock.now
        self.book: CaseBook = CaseBook(settings.model.load(), settings.matcher.allow_outside_sweden)
        self._kafka = settings.kafka
        self._broker = Broker(settings.kafka, service="case")

    async def __aenter__(self) -> "Desk":
        async with AsyncExitStack() as stack:
            self._reader = await stack.enter_async_context(reading(self.book, self._kafka))
            stack.push_async_callback(self._broker.stop)
            await self._broker.connect()
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def publish(self, steps: Steps) -> None:
        """Each group is acknowledged before the next."""
        for group in steps:
            if group:
                await self._broker.publish(group)

    async def decide(self, decided: Dialogue, steps: Steps, done: str) -> int:
        """Publishes a decision and looks whether it stands: of two that are taken at once one replaces the other."""
        await self.publish(steps)
        await self._reader.caught_up()
        if not stands(decided, self.book.decisions.get(decided.key)):
            return failed(f"{decided.key}: somebody decided on it at the same moment; look again with `case list`")
        say(f"{done} (decision {decided.number})")
        return OK

    def one_round(
        self,
        asked: str,
        round_id: str | None,
        states: Collection[RoundState],
        said: str,
        *,
        only: Collection[Purpose] = frozenset(Purpose),
        but: Purpose | None = None,
    ) -> Round:
        """The one round of a case in these states and for these purposes; one for the purpose `but` only where it is
        named.

        Raises `Permanent` where there is none, or several.
        """
        key = self.book.key_of(asked)
        found = [
            item
            for item in self.book.of_case(key)
            if item.state in states
            and item.purpose in only
            and (item.round_id == round_id if round_id else item.purpose is not but)
        ]
        if not found:
            states_now = ", ".join(f"{item.stage}: {item.state.value}" for item in self.book.of_case(key)) or "none"
            raise Permanent(f"{key} has no such round that is {said}; its rounds: {states_now}")
        if len(found) > 1:
            ids = ", ".join(f"{item.round_id} ({item.stage}, {item.purpose.value})" for item in found)
            raise Permanent(f"{key} has {len(found)} rounds that are {said}: say --round and one of {ids}")
        return found[0]
