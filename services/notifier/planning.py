"""When each message of a round leaves: the ledger's facts about its readers, and the pure rules on them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.delivery import DeliveryState
from schemas.invitation import Invitation
from schemas.round import Round
from services.notifier.ledger import burden, deliveries
from services.notifier.ledger.events import Outbox
from services.notifier.ledger.messages import message_of
from services.notifier.policy.attention import is_exempt, over_budget
from services.notifier.policy.frequency import wish
from services.notifier.policy.timing import Rules, Timing, goes_alone, timing
from services.notifier.policy.windows import ZONE
from services.runtime.store.database import moment_of


@dataclass
class Group:
    """What is to be one message: an address's invitations to one round."""

    channel: str
    expires_at: datetime
    invitations: list[Invitation] = field(default_factory=list)


def cost(round_: Round) -> tuple[int, int]:
    """What a message of this round asks: how many questions, how many minutes."""
    return (int(round_.plan.asks), round_.plan.minutes) if round_.plan else (0, 0)


async def timings(
    connection: AsyncConnection, rules: Rules, round_: Round, groups: Mapping[str, Group], now: datetime
) -> dict[str, Timing]:
    """The timing of each address's message."""
    standing = await burden.of_addresses(connection, round_.round_id, groups, now)
    recipients = {event.recipient_id for group in groups.values() for event in group.invitations}
    companies = await burden.of_companies(connection, round_.round_id, recipients, now)
    frequencies = await burden.frequencies(connection, _subscriptions(groups))
    made = {}
    for index, group in groups.items():
        at = standing[index]
        asked = [companies[event.recipient_id] for event in group.invitations]
        much = not is_exempt(round_, group.invitations) and over_budget(
            rules.burden, at.asked, asked, now, *cost(round_)
        )
        made[index] = timing(
            round_, group.channel, wish(group.invitations, frequencies), at.left, rules, now, group.expires_at,
            over_budget=much,
        )  # fmt: skip
    return made


def may_be_merged(round_: Round, channel: str, rules: Rules) -> bool:
    """Whether messages of this round may become one with others to the same address."""
    return channel == "email" and rules.merge and not goes_alone(round_)


async def tell_waiting(connection: AsyncConnection, outbox: Outbox, waiting: Sequence[Row[Any]], now: datetime) -> None:
    """Tells of each of these messages what it waits for, and until when."""
    said = [
        (message_of(row), row.waits, f"until {moment_of(row.due).astimezone(ZONE).isoformat(timespec='minutes')}")
        for row in waiting
    ]
    await deliveries.tell_each(connection, outbox, said, DeliveryState.WAITING, now)


def _subscriptions(groups: Mapping[str, Group]) -> set[str]:
    return {
        reason.subscription_id
        for group in groups.values()
        for event in group.invitations
        for place in event.workplaces
        for reason in place.reasons
        if reason.subscription_id is not None
    }
