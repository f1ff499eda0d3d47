"""Where a command stands: the cases as they are now, read from the topics, and a publisher."""

from contextlib import AsyncExitStack

from schemas.dialogue import Dialogue
from services.portal.case_orders import Steps, stands
from services.portal.case_settings import CaseSettings
from services.portal.case_topics import CaseBook, reading
from services.portal.orders import Matter
from services.runtime import logs
from services.runtime.broker import Broker
from services.runtime.clock import SystemClock


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

    async def look(self) -> None:
        """The book as the topics are now."""
        await self._reader.caught_up()

    async def stands(self, decided: Dialogue) -> bool:
        """Whether a decision that was published is kept: of two that are taken at once one replaces the other."""
        await self._reader.caught_up()
        return stands(decided, self.book.decisions.get(decided.key))

    def matter(self, asked: str) -> Matter:
        """What is known of the case that is called so. Raises `Permanent`."""
        key = self.book.key_of(asked)
        known = self.book.cases.get(key)
        so_far = self.book.decisions.get(key)
        return Matter(key, self.book.of_case(key), so_far, known.version if known else 0)
