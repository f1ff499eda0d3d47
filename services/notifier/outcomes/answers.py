"""What people write back to a two-way number: a stop is obeyed at once, anything else is for a person.

A stop by SMS holds for the number, in every municipality whose messages went to it from here, for everything; said
twice it is the same stop. Nothing is ever answered by us: a machine that answers a machine has no end.
"""

from typing import Final, Literal

from sqlalchemy import select

from services.notifier.channels.callbacks import Text
from services.notifier.ledger.events import Outbox
from services.notifier.ledger.tables import MESSAGES
from services.notifier.policy.stop_words import asks_to_stop
from services.notifier.stops import suppress_address
from services.runtime.addresses import normal
from services.runtime.clock import Clock
from services.runtime.errors import Rejected
from services.runtime.sealing import blind_index
from services.runtime.store.database import Database

Taken = Literal["stopped", "words", "stranger"]
_REASON: Final = "stopped by SMS"


class Answers:
    """Takes one text at a time."""

    def __init__(self, database: Database, outbox: Outbox, index_key: bytes, clock: Clock) -> None:
        self._database = database
        self._outbox = outbox
        self._index_key = index_key
        self._clock = clock

    async def take(self, text: Text) -> Taken:
        """What came of it; `stranger` where nothing ever went to that number from here. Raises `Transient`."""
        try:
            _, phone = normal("sms", text.sender)
        except Rejected:
            return "stranger"
        index = blind_index(self._index_key, "sms", phone)
        async with self._database.transaction() as connection:
            told = select(MESSAGES.c.municipality).where(MESSAGES.c.address_index == index).distinct()
            municipalities = sorted((await connection.execute(told)).scalars())
            if not municipalities:
                return "stranger"
            if not asks_to_stop(text.words):
                return "words"
            for municipality in municipalities:
                await suppress_address(
                    connection,
                    self._outbox,
                    self._index_key,
                    kind="stop",
                    municipality=municipality,
                    address_index=index,
                    reason=_REASON,
                    now=self._clock.now(),
                )
        return "stopped"
