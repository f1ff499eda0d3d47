"""Rounds and invitations on their way out: one batch is acknowledged, then known to our own tables.

An event's id says what it is about and which revision it is, so that the same thing told twice has the same id.
"""

from collections import Counter
from typing import Final

from schemas.envelope import Envelope
from schemas.invitation import INVITATION_CHANGED
from schemas.round import ROUND_CHANGED, Round, RoundState
from schemas.topics import INVITATIONS, ROUNDS
from services.matcher.memberships import Membership
from services.matcher.steps import Batch
from services.matcher.tables.memberships import MembershipTable
from services.matcher.tables.rounds import RoundTable, said
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
        with self._rounds.written([item for item in batch if isinstance(item, Round)]):
            await self._output.publish([self._record(item) for item in batch])
        said_: Counter[str] = Counter()
        for item in batch:
            if isinstance(item, Round):
                _tell(item)
            else:
                self._members.put(item)
                said_[item.state.value] += 1
        for state, count in said_.items():
            metrics.INVITATIONS.labels(state).inc(count)

    def _record(self, item: Round | Membership) -> Outgoing:
        now = self._clock.now()
        if isinstance(item, Round):
            return outgoing(
                self._kafka.topic(ROUNDS), item.round_id, item,
                type=ROUND_CHANGED, id=said(item), source=SOURCE, time=now,
            )  # fmt: skip
        id_ = f"{item.invitation_id}/{item.revision}"
        headers = Envelope(id=id_, source=SOURCE, type=INVITATION_CHANGED, time=now).headers()
        return Outgoing(self._kafka.topic(INVITATIONS), item.case_key, item.body, headers)


def _tell(round_: Round) -> None:
    if round_.state is not RoundState.MATCHING:
        metrics.ROUNDS.labels(round_.state.value).inc()
        logger().info(
            "round", round_id=round_.round_id, state=round_.state.value, reason=round_.reason,
            count=round_.counts.invitations,
        )  # fmt: skip
