"""A notifier without a broker: the application as `app.py` wires it, on topics in memory and a clock that is given."""

import asyncio
import base64
import hashlib
import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final
from unittest.mock import patch

from pydantic import SecretStr
from sqlalchemy import func, select

from schemas.contact import Contact, Sealed
from schemas.identity import contact_id
from schemas.topics import Topic
from schemas.types import Event
from services.notifier import app as notifier_app
from services.notifier.channels.port import Channel
from services.notifier.composing import Composer
from services.notifier.ledger.tables import INVITATIONS, MESSAGES, MIGRATIONS, OUTBOX
from services.notifier.settings import NotifierOptions, NotifierSettings
from services.runtime.clock import Clock
from services.runtime.errors import Rejected
from services.runtime.parsing import outgoing
from services.runtime.records import Handle, Outgoing, Record
from services.runtime.sealing import Seal
from services.runtime.store.database import migrate
from tests.topics_offline import Log

SECRETS: Final = ("vault_key", "index_key", "token_key")
PRIVATE: Final = hashlib.sha256(b"a test's private key").digest()
UNDER_WAY: Final = ("pending", "waiting", "retry", "sending", "unknown")
"""States of a message that owes something still."""


def keys() -> dict[str, Any]:
    """A notifier's keys: the same in every run, so that ids are too."""
    made: dict[str, Any] = {name: SecretStr(_base64(hashlib.sha256(name.encode()).digest())) for name in SECRETS}
    return made | {"private_keys": {"k1": SecretStr(_base64(PRIVATE))}}


def _base64(key: bytes) -> str:
    return base64.b64encode(key).decode()


def seal(address: str) -> Sealed:
    """An address as `contacts` carries it."""
    from nacl.public import PrivateKey

    public = bytes(PrivateKey(PRIVATE).public_key)
    return Seal("k1", public).seal(json.dumps({"address": address}).encode())


def contact(recipient: str, address: str, channel: str = "email", **given: Any) -> Contact:
    """A contact of a company as the register import writes it."""
    who: dict[str, Any] = {"source": "register", "workplace_id": None, "role": "register", **given}
    identity = contact_id(who["source"], recipient, who["workplace_id"], who["role"], channel)
    made = {"contact_id": identity, "recipient_id": recipient, "channel": channel, "sealed": seal(address)}
    return Contact.model_validate({"municipality": "0162", "language": "sv", **who, **made})


def say(log: Log, topic: Topic, key: str, event: Event, type: str, at: datetime) -> Record:
    """Puts an event into a topic, as whoever writes it does."""
    number = len(log.records)
    made = outgoing(topic.name, key, event, type=type, id=f"e{number}", source="/test", time=at)
    return log.append(topic.name, key, made.value, made.headers)


class MemoryBroker:
    """What the notifier needs of a broker. What it publishes is acknowledged at once."""

    def __init__(self, log: Log) -> None:
        self.log = log
        self.handlers: dict[str, Handle] = {}

    def subscribe(self, topics: Sequence[str], *, group: str, handle: Handle, max_records: int = 500) -> None:
        self.handlers |= dict.fromkeys(topics, handle)

    async def publish(self, records: Sequence[Outgoing]) -> None:
        await self.log.publish(records)

    async def dead_letter(self, record: Record, error: Rejected, *, group: str) -> None:
        self.log.dead.append(error.reason)


class OfflineNotifier:
    """The wired application. `turn` reads what the log has and makes one pass; nothing runs by itself."""

    def __init__(
        self,
        log: Log,
        clock: Clock,
        options: NotifierOptions,
        *,
        channels: Sequence[Channel],
        composer: Composer | None = None,
    ) -> None:
        self.log = log
        self.broker = MemoryBroker(log)
        with patch.object(notifier_app, "Broker", lambda *_, **__: self.broker):
            settings = NotifierSettings(notifier=options)
            self.app = notifier_app.build(settings, clock, channels=channels, composer=composer)
        self.app._tables.reader = self  # type: ignore[assignment]
        self._tables, self._streams = 0, 0
        self._reading = asyncio.Lock()

    async def start(self) -> None:
        """Makes the ledger."""
        await migrate(self.app.database, MIGRATIONS)

    async def close(self) -> None:
        """Lets go of the ledger and of the providers."""
        for channel in self.app._channels:
            await channel.close()
        await self.app.database.close()

    async def caught_up(self) -> None:
        """Applies what is new in the topics that are read whole."""
        async with self._reading:
            fresh, self._tables = self.log.records[self._tables :], len(self.log.records)
            for batch in _batches(fresh, self.app._feeds):
                await self.app._feeder.apply(batch)

    async def admit(self) -> None:
        """Handles what is new in the topics that are read as a member of a group."""
        fresh, self._streams = self.log.records[self._streams :], len(self.log.records)
        for batch in _batches(fresh, self.broker.handlers):
            await self.broker.handlers[batch[0].topic](batch)

    async def turn(self) -> int:
        """One pass; returns how many messages were taken on."""
        await self.caught_up()
        await self.admit()
        return await self.app.sender.turn()

    async def under_way(self) -> int:
        """What owes something still: messages, invitations without a decision, events that nobody has heard."""
        async with self.app.database.transaction() as connection:
            owing = (
                select(func.count()).select_from(MESSAGES).where(MESSAGES.c.state.in_(UNDER_WAY)),
                select(func.count()).select_from(INVITATIONS).where(INVITATIONS.c.state == "admitted"),
                select(func.count()).select_from(OUTBOX),
            )
            return sum([int(await connection.scalar(statement) or 0) for statement in owing])

    async def settled(self) -> None:
        """Returns when nothing is owed any more: for a sender that runs by itself."""
        while True:
            if not await self.under_way():
                return
            await asyncio.sleep(0.05)


def _batches(records: Iterable[Record], topics: Iterable[str]) -> Iterable[list[Record]]:
    """Each topic's own, in order: between topics there is none."""
    found: dict[str, list[Record]] = {topic: [] for topic in topics}
    for record in records:
        if record.topic in found:
            found[record.topic].append(record)
    return [batch for batch in found.values() if batch]
