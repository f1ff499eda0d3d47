"""Rounds and invitations on their way out: one batch is acknowledged, then known to our own tables.

An event's id says what it is about and which revision it is, so that the same thing told twice has the same id.
"""

from typing import Final

from schemas.invitation import INVITATION_CHANGED, Invitation
from schemas.round import ROUND_CHANGED, Round, RoundState
from schemas.topics import INVITATIONS, ROUNDS
from services.matcher.memberships import Membership
from services.matcher.steps import Batch
from services.matcher.tables import MembershipTable, RoundTable, said
from services.runtime import metrics
from services.runtime.clock import Clock
from services.runtime.logs import logger
from services.runtime.parsing import outgoing
from services.runtime.records import Outgoing, Publisher
from services.runtime.settings import KafkaSettings

SOURCE: Final = "nardialog/matcher"


class Writer:
    """Publishes batches."""

    def __init__(
        self, kafka: KafkaSettings, output: Publisher, rounds: RoundTable, members: MembershipTable, clock: Clock
    ) -> None:
        self._kafka = kafka
        self._output = output
        self._rounds = rounds
        self._members = members
        self._clock = clock

    async def write(self, batch: Batch) -> None:
        """Returns when the broker has the whole batch and the tables know it."""
        records = [self._record(item) for item in batch]
        await self._output.publish(records)
        for item, record in zip(batch, records, strict=True):
            if isinstance(item, Round):
                self._wrote_round(item)
            else:
                self._members.put(Membership.of(item, record.value))
                metrics.INVITATIONS.labels(item.state.value).inc()

    def _wrote_round(self, round_: Round) -> None:
        self._rounds.wrote(round_)
        if round_.state is not RoundState.MATCHING:
            metrics.ROUNDS.labels(round_.state.value).inc()
            logger().info(
                "round", round_id=round_.round_id, state=round_.state.value, reason=round_.reason,
                count=round_.counts.invitations,
            )  # fmt: skip

    def _record(self, item: Round | Invitation) -> Outgoing:
        if isinstance(item, Round):
            topic, key, kind, id_ = ROUNDS, item.round_id, ROUND_CHANGED, said(item)
        else:
            topic, key, kind = INVITATIONS, item.case_key, INVITATION_CHANGED
            id_ = f"{item.invitation_id}/{item.revision}"
        return outgoing(self._kafka.topic(topic), key, item, type=kind, id=id_, source=SOURCE, time=self._clock.now())
