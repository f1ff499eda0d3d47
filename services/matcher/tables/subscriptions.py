"""Who subscribes to what, and who follows a case."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from schemas.subscription import CASE_FOLLOWED, SUBSCRIPTION_CHANGED, Following, Subscription
from schemas.types import Event
from services.matcher.subscriptions import Subscribers, columns, complaint, in_order
from services.matcher.tables.records import event_in
from services.runtime.logs import logger
from services.runtime.records import Record


class SubscriptionTable:
    """Every subscription, and who follows a case because they answered. Its position counts the records read of every
    partition; `changes` counts those after which cases are looked at again: not each answer, only one on a case that
    `asks_participants` now.
    """

    def __init__(self, asks_participants: Callable[[str], bool] = lambda _: True) -> None:
        self._asks_participants = asks_participants
        self._rows: dict[str, Subscription] = {}
        self._followings: dict[str, Following] = {}
        self._followers: dict[str, tuple[Following, ...]] = {}
        self._next: dict[int, int] = {}
        self._columns: Subscribers | None = None
        self.changes = 0

    async def apply(self, records: Sequence[Record]) -> None:
        """Takes a batch of the topic."""
        types: dict[str, type[Event]] = {SUBSCRIPTION_CHANGED: Subscription, CASE_FOLLOWED: Following}
        for record in records:
            self._next[record.partition] = record.offset + 1
            if record.value is None:
                self._forget((record.key or b"").decode(errors="replace"))
                continue
            event = event_in(record, types, "se.nardialog.subscription.")
            if isinstance(event, Subscription):
                self._take(event, record)
            elif isinstance(event, Following):
                self._follow(event)

    def _take(self, subscription: Subscription, record: Record) -> None:
        if wrong := complaint(subscription):
            logger().warning(
                "table skips a record", topic=record.topic, partition=record.partition, offset=record.offset,
                reason=wrong.code, pointer=wrong.pointer,
            )  # fmt: skip
            return
        self._rows[subscription.subscription_id] = subscription
        self._columns = None
        self.changes += 1

    def _follow(self, following: Following) -> None:
        self._followings[following.subscription_id] = following
        others = (item for item in self._followers.get(following.case_key, ()) if not _same(item, following))
        self._followers[following.case_key] = in_order([*others, following])
        self.changes += self._asks_participants(following.case_key)

    def _forget(self, subscription_id: str) -> None:
        if (gone := self._followings.pop(subscription_id, None)) is not None:
            left = tuple(item for item in self._followers[gone.case_key] if not _same(item, gone))
            self._followers[gone.case_key] = left
        if self._rows.pop(subscription_id, None) is not None:
            self._columns = None
            self.changes += 1

    def snapshot(self) -> Subscribers:
        """The columns as they stand. An answer, of which there are many, does not build them anew."""
        if self._columns is None:
            self._columns = columns(self._rows.values())
        return replace(self._columns, position=sum(self._next.values()), followers=self._followers)


def _same(one: Following, other: Following) -> bool:
    return one.subscription_id == other.subscription_id
