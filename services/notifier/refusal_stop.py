"""Stops a channel in the ledger, for all notifiers that share it, when too many of its messages are refused by policy.

It is a pause like an operator's: it alarms while it lasts, and an operator lifts it when the cause is mended.
"""

from datetime import datetime
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from services.notifier.channels.port import Outcome, State
from services.notifier.ledger import pauses
from services.notifier.policy.refusals import Refusals
from services.runtime.logs import logger
from services.runtime.metrics import ALARMS

NEVER: Final = 0
"""The share that stops nothing."""
_CHANNEL: Final = "email"
_COUNTED: Final = frozenset({State.SENT, State.RETRY, State.FAILED})
_REASON: Final = "too many are refused by policy (5.7.x): look at SPF, DKIM, DMARC and blocklists"


class RefusalStop:
    """Fed with what became of mails at the send, and later by reports; works in the caller's transaction."""

    def __init__(self, most_percent: int) -> None:
        self._refusals = Refusals(most_percent)

    async def see(self, connection: AsyncConnection, channel: str, outcome: Outcome, now: datetime) -> None:
        """Takes one outcome, and stops the channel where it is one too many."""
        if channel != _CHANNEL or outcome.state not in _COUNTED:
            return
        if not self._refusals.too_many(refused=outcome.code == "policy"):
            return
        if any(pause.holds(channel) for pause in await pauses.standing(connection)):
            return
        await pauses.pause(connection, _REASON, now, channel)
        ALARMS.labels(channel, "stopped_by_refusals").inc()
        logger().error("alarm", channel=channel, code="stopped_by_refusals")
