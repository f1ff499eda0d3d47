"""Who is reminded of a round's question, when, and at which address.

One reminder, only to those who have not answered and whose first message reached them; a right may be lost with the
last day, so the plan may ask for it by SMS. Nobody is reminded of what they only just got: a late comer's first message
is left alone for two days, and where the last day comes sooner there is no reminder. A first message whose outcome
stayed unknown may have been read, so it is followed up: two silences would be worse. Source: the dialogue model's
`reminder`, and its rule that only those who have not answered are asked again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Final

from schemas.round import Purpose, Round, RoundState
from services.notifier.policy.unknown import UNKNOWN_OUTCOME
from services.notifier.policy.windows import ZONE

REST: Final = timedelta(days=2)
"""How long a first message is left alone."""
REACHED: Final = ("sent", "delivered", "failed")
"""States of a first message that may be followed up; of the failed only those whose outcome stayed unknown."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a message went, or may go."""

    channel: str
    language: str
    address_index: str
    address_encrypted: bytes


def last_moment(round_: Round) -> datetime | None:
    """The end of the last day to answer, or the round's expiry where that comes sooner."""
    ends = [round_.expires_at] if round_.expires_at else []
    if round_.respond_by is not None:
        ends.append(datetime.combine(round_.respond_by + timedelta(days=1), time(), ZONE))
    return min(ends, default=None)


def is_due(round_: Round, now: datetime) -> bool:
    """Whether those who have not answered this round are reminded at this moment."""
    if round_.purpose is not Purpose.ASK or round_.state is not RoundState.OPEN:
        return False
    plan, last = round_.plan, last_moment(round_)
    if plan is None or not plan.asks or plan.reminder is None or round_.remind_at is None or last is None:
        return False
    return round_.remind_at <= now < last


def may_follow(state: str, code: str, left_at: datetime | None, now: datetime) -> bool:
    """Whether a first message reached its address, and long enough ago. `state` and `code` are its own."""
    reached = state in REACHED and (state != "failed" or code == UNKNOWN_OUTCOME)
    return reached and left_at is not None and now - left_at >= REST


def addresses(wanted: str, had: Sequence[Address], phones: Sequence[Address]) -> tuple[Address, ...]:
    """Where one invitation is reminded of: at what had the question by the `wanted` channel; an SMS also at the
    recipient's phone where that had none; and otherwise wherever the question went.
    """
    same = tuple(one for one in had if one.channel == wanted)
    return same or (tuple(phones) if wanted == "sms" else ()) or tuple(had)
