"""Who answered follows the case until it is closed (dialogue rule 7): then the portal, which began it, ends it.

Several portals may end the same one; a tombstone twice is a tombstone.
"""

from typing import Final

from sqlalchemy import select

from schemas.case import CaseState
from schemas.topics import SUBSCRIPTIONS as TOPIC
from services.portal.portal import Portal
from services.portal.store.tables import CASES, SUBSCRIPTIONS
from services.runtime.records import Outgoing

MOST: Final = 1000
"""Ended at a time; the others an hour later."""
ENDED: Final = (CaseState.CLOSED.value, CaseState.WITHDRAWN.value)


class Followings:
    """Ends what has no case to follow any more."""

    def __init__(self, portal: Portal) -> None:
        self._portal = portal

    async def forget(self) -> int:
        """Ends the followings of cases that have ended; returns how many."""
        over = (
            select(SUBSCRIPTIONS.c.subscription_id)
            .join(CASES, CASES.c.case_key == SUBSCRIPTIONS.c.case_key)
            .where(CASES.c.state.in_(ENDED))
            .order_by(SUBSCRIPTIONS.c.subscription_id)
            .limit(MOST)
        )
        async with self._portal.database.transaction() as connection:
            ids = list((await connection.execute(over)).scalars())
            if ids:
                topic = self._portal.topic(TOPIC)
                await self._portal.outbox.put(connection, [Outgoing(topic, id_, None) for id_ in ids])
        if ids:
            self._portal.wake()
        return len(ids)
