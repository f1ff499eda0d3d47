"""What people write back to a two-way number: a stop is obeyed at once, anything else is for a person.

A stop by SMS holds for the number, in every municipality whose messages went to it from here, for everything; said
twice it is the same stop. Anything else goes by mail to those who answer for the case that the newest message to that
number was about; where that was a digest, to the mailbox for all cases, and it says which they were. It waits in the
ledger as a notice does, encrypted, and is forgotten once it has left. We answer nothing: a machine that answers a
machine has no end.
"""

import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final, Literal

from sqlalchemy import Row, select
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.identity import derived
from services.notifier.channels.callbacks import Text
from services.notifier.composing import ANSWER_BY_SMS, about_cases
from services.notifier.ledger import grounds
from services.notifier.ledger.events import Outbox
from services.notifier.ledger.links import links_on
from services.notifier.ledger.messages import NOTICE, message_of
from services.notifier.ledger.tables import MESSAGES, NOTICES
from services.notifier.numbers import message_id, new_number
from services.notifier.outcomes.passing_on import Ours, whom
from services.notifier.policy.stop_words import asks_to_stop
from services.notifier.stops import suppress_address
from services.runtime.addresses import normal
from services.runtime.clock import Clock
from services.runtime.errors import Rejected
from services.runtime.sealing import Vault, blind_index
from services.runtime.store.database import Database, micros, upsert

Taken = Literal["stopped", "passed_on", "nobody", "stranger"]
_REASON: Final = "stopped by SMS"
_KEPT: Final = timedelta(days=7)
"""How long the relay may be down before an answer is given up."""


class Answers:
    """Takes one text at a time."""

    def __init__(
        self, database: Database, outbox: Outbox, vault: Vault, index_key: bytes, clock: Clock, ours: Ours
    ) -> None:
        self._database = database
        self._outbox = outbox
        self._vault = vault
        self._index_key = index_key
        self._clock = clock
        self._ours = ours

    async def take(self, text: Text) -> Taken:
        """What came of it: `stranger` where nothing ever went to that number from here, `nobody` where nobody is named
        who could read it. Raises `Transient`.
        """
        try:
            _, phone = normal("sms", text.sender)
        except Rejected:
            return "stranger"
        index = blind_index(self._index_key, "sms", phone)
        async with self._database.transaction() as connection:
            newest_first = (
                select(MESSAGES).where(MESSAGES.c.address_index == index).order_by(MESSAGES.c.created_at.desc())
            )
            written = (await connection.execute(newest_first)).all()
            if not written:
                return "stranger"
            if asks_to_stop(text.words):
                await self._stop(connection, index, sorted({row.municipality for row in written}))
                return "stopped"
            return await self._pass_on(connection, text, phone, written[0])

    async def _stop(self, connection: AsyncConnection, index: str, municipalities: Sequence[str]) -> None:
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

    async def _pass_on(self, connection: AsyncConnection, text: Text, phone: str, about: Row[Any]) -> Taken:
        """As a notice whose id derives from the provider's, so that a text told twice goes once."""
        answered = message_of(about)
        rounds = await grounds.rounds_of(connection, answered)
        to = whom(rounds, self._ours)
        if to is None:
            return "nobody"
        address, indexed = normal("email", to)
        notice_id = derived(ANSWER_BY_SMS, text.id, phone)
        identity, now = message_id(notice_id, "", NOTICE), self._clock.now()
        row = {
            "message_id": identity,
            "number": new_number(),
            "round_id": notice_id,
            "address_index": blind_index(self._index_key, "email", indexed),
            "kind": NOTICE,
            "channel": "email",
            "municipality": about.municipality,
            "language": "sv",
            "state": "pending",
            "urgent": True,
            "due": micros(now),
            "attempts": 0,
            "unknowns": 0,
            "resent_unknown": 0,
            "address_encrypted": self._vault.encrypt(address.encode()),
            "provider_ref": "",
            "code": "",
            "created_at": micros(now),
            "expires_at": micros(now + _KEPT),
        }
        carried = await links_on(connection, [answered])
        said = {
            "message_id": identity,
            "kind": ANSWER_BY_SMS,
            "recipient_id": next((link.recipient_id for link in carried.get(about.message_id, ())), notice_id),
            "parameters": json.dumps(about_cases(rounds)),
            "path_encrypted": self._vault.encrypt(f"{phone}\n{text.words}".encode()),
            "about_number": about.number,
        }
        await upsert(connection, MESSAGES, [row], keep=True)
        known = select(MESSAGES.c.state).where(MESSAGES.c.message_id == identity)
        if await connection.scalar(known) == "pending":
            await upsert(connection, NOTICES, [said], keep=True)
        return "passed_on"
