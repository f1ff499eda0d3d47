"""What every page and API route stands on: the store, the ways out to topics, the clock, the installation's words."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from schemas.model import DialogueModel
from schemas.topics import Topic
from services.portal.settings import PortalSettings
from services.runtime.clock import Clock
from services.runtime.errors import Transient
from services.runtime.records import Outgoing, Publisher
from services.runtime.store.database import Database
from services.runtime.store.outbox import Outbox

SOURCE: Final = "/nardialog/portal"
"""The `source` of the events that the portal writes."""


class Tables(Protocol):
    """How far the views have come."""

    async def caught_up(self) -> None:
        """Returns when everything that was written before this call is in the views."""
        ...


@dataclass(frozen=True)
class Portal:
    """A running portal, as its routes see it.

    Two ways lead out. `outbox.put` inside a transaction, then `wake`: the event is published after the commit, however
    long that takes. `publish` is for what must be acknowledged before the reply is sent.
    """

    settings: PortalSettings
    token_keys: tuple[bytes, ...]
    model: DialogueModel
    database: Database
    outbox: Outbox
    publisher: Publisher
    tables: Tables
    clock: Clock
    _waiting: asyncio.Event

    def topic(self, topic: Topic) -> str:
        """The topic's name on this broker."""
        return self.settings.kafka.topic(topic)

    def wake(self) -> None:
        """Tells the relay that something is in the outbox."""
        self._waiting.set()

    async def caught_up(self) -> None:
        """Returns when the views have what was written before. Raises `Transient` when not within the time set."""
        try:
            async with asyncio.timeout(self.settings.portal.publish_seconds):
                await self.tables.caught_up()
        except TimeoutError:
            raise Transient("the broker did not answer in time") from None

    async def publish(self, records: Sequence[Outgoing]) -> None:
        """Returns when the broker has acknowledged all. Raises `Transient` when it has not within the time set."""
        try:
            async with asyncio.timeout(self.settings.portal.publish_seconds):
                await self.publisher.publish(records)
        except TimeoutError:
            raise Transient("the broker did not acknowledge in time; try again") from None
