"""A rehearsal: everything is computed, and only own staff are written to.

Guaranteed: a ledger is for rehearsals or it is real, from its first start, and is refused to the other kind. So nothing
that a rehearsal kept from somebody passes for told, and no rehearsal keeps from somebody what a real notifier owed. A
rehearsal has topics of its own too: on the real ones the portal would show that it was sent, and take staff's answers
for a business's.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import select

from services.notifier.channels.port import Channel, Outcome, Outgoing, State
from services.notifier.ledger.tables import CONTROLS, INVITATIONS, MESSAGES
from services.runtime.addresses import index_of
from services.runtime.errors import Fault, Rejected
from services.runtime.store.database import Database, micros, upsert

MARK: Final = "rehearsal"
_USED: Final = (INVITATIONS.c.invitation_id, MESSAGES.c.message_id)
SETTING: Final = "NARDIALOG_NOTIFIER__REHEARSAL"


def staff_indexes(addresses: Sequence[str], index_key: bytes) -> frozenset[str] | None:
    """The blind indexes of those who may be written to; None where it is no rehearsal. Raises `Fault`."""
    if not addresses:
        return None
    try:
        return frozenset(index_of("email" if "@" in address else "sms", address, index_key) for address in addresses)
    except Rejected:
        raise Fault(f"{SETTING} names something that is neither an e-mail address nor a telephone number") from None


class StaffOnly:
    """A channel that hands over to nobody else, whatever asks it to: also what goes by no message of the ledger."""

    def __init__(self, channel: Channel, staff: frozenset[str], index_key: bytes) -> None:
        self.name, self.provider, self.at_once = channel.name, channel.provider, channel.at_once
        self._channel = channel
        self._staff = staff
        self._index_key = index_key

    async def send(self, message: Outgoing) -> Outcome:
        """Refused for whom is not staff."""
        try:
            index = index_of("email" if self.name == "email" else "sms", message.address, self._index_key)
        except Rejected:
            return Outcome(State.FAILED, MARK)
        return await self._channel.send(message) if index in self._staff else Outcome(State.FAILED, MARK)

    async def look_up(self, message: Outgoing) -> Outcome | None:
        """As the channel says."""
        return await self._channel.look_up(message)

    async def close(self) -> None:
        """Lets go of connections."""
        await self._channel.close()


def check_topics(topic_prefix: str) -> None:
    """Raises `Fault` where a rehearsal would be told on the real topics."""
    if not topic_prefix:
        raise Fault(
            f"a rehearsal ({SETTING}) needs topics of its own: set NARDIALOG_KAFKA__TOPIC_PREFIX, for all services"
        )


async def claim_ledger(database: Database, now: datetime, *, rehearsal: bool) -> None:
    """Marks an empty ledger at a rehearsal's first start. Raises `Fault` where the ledger is of the other kind."""
    async with database.transaction() as connection:
        marked = await connection.scalar(select(CONTROLS.c.name).where(CONTROLS.c.name == MARK)) is not None
        first = [await connection.scalar(select(column).limit(1)) for column in _USED]
        if marked and not rehearsal:
            raise Fault(
                f"this ledger has rehearsed: nobody in it was told. Set {SETTING} again, or give "
                "NARDIALOG_NOTIFIER__DATABASE a database of its own for real messages"
            )
        if rehearsal and any(first) and not marked:
            raise Fault(
                f"this ledger is real: a rehearsal ({SETTING}) needs a database of its own, "
                "set NARDIALOG_NOTIFIER__DATABASE"
            )
        if rehearsal:
            await upsert(connection, CONTROLS, [{"name": MARK, "reason": "", "at": micros(now)}], keep=True)
