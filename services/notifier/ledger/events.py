"""What the notifier tells the others, through the outbox: what became of messages, which addresses are dead."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.delivery import DELIVERY_RECORDED, Delivery, DeliveryState
from schemas.identity import derived
from schemas.suppression import SUPPRESSION_CHANGED, Suppression
from schemas.topics import DELIVERIES, SUPPRESSIONS
from services.notifier.ledger import steps
from services.notifier.ledger.steps import Step
from services.notifier.ledger.tables import OUTBOX
from services.runtime.parsing import outgoing
from services.runtime.records import Outgoing, Publisher
from services.runtime.settings import KafkaSettings
from services.runtime.store import outbox
from services.runtime.store.database import Database

SOURCE: Final = "/nardialog/notifier"


class Topics:
    """The names of the topics that the notifier writes."""

    def __init__(self, deliveries: str = "deliveries", suppressions: str = "suppressions") -> None:
        self.deliveries = deliveries
        self.suppressions = suppressions

    @classmethod
    def of(cls, kafka: KafkaSettings) -> "Topics":
        """Those of an installation."""
        return cls(kafka.topic(DELIVERIES), kafka.topic(SUPPRESSIONS))


class Outbox(outbox.Outbox):
    """The ledger's outbox."""

    def __init__(self, database: Database, publisher: Publisher, topics: Topics) -> None:
        super().__init__(database, OUTBOX, publisher)
        self._topics = topics

    async def deliveries(self, connection: AsyncConnection, events: Sequence[Delivery]) -> None:
        """Notes what became of messages and invitations: for the others, and in their history."""
        await self.put(connection, [self._delivery(event) for event in events])
        await steps.take(connection, [_step(event) for event in events])

    async def suppression(self, connection: AsyncConnection, event: Suppression) -> None:
        """Notes that nothing more may go to an address, or that it may again."""
        key = event.suppression_id
        identity = derived("event", key, str(event.lifted), event.at.isoformat())
        record = outgoing(
            self._topics.suppressions, key, event, type=SUPPRESSION_CHANGED, id=identity, source=SOURCE, time=event.at
        )
        await self.put(connection, [record])

    def _delivery(self, event: Delivery) -> Outgoing:
        identity, at = event.delivery_id, event.at
        return outgoing(
            self._topics.deliveries, _key(event), event, type=DELIVERY_RECORDED, id=identity, source=SOURCE, time=at
        )


def _key(event: Delivery) -> str:
    return event.message_id or event.invitation_ids[0]


def _step(event: Delivery) -> Step:
    return Step(_key(event), event.at, event.state.value, event.code, event.detail, event.attempt)


def invitation_ended(
    state: DeliveryState,
    code: str,
    at: datetime,
    *,
    municipality: str,
    invitation_id: str,
    round_id: str,
    recipient_id: str,
    revision: int,
) -> Delivery:
    """An invitation that came to its end without a message of its own."""
    return Delivery(
        municipality=municipality,
        delivery_id=derived("delivery", invitation_id, state, code, str(revision)),
        invitation_ids=[invitation_id],
        round_ids=[round_id],
        recipient_ids=[recipient_id],
        state=state,
        code=code,
        at=at,
    )
