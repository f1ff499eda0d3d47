"""How soon somebody wants to hear: at once, daily, weekly.

A subscriber chose it; a ring of the model that only the digest carries is weekly. Whoever has another reason hears at
once: of several reasons, and of several invitations on one message, the most urgent decides.
"""

from collections.abc import Iterable, Mapping
from enum import IntEnum

from schemas.invitation import Invitation, Reason


class Wish(IntEnum):
    """The most urgent first."""

    AT_ONCE = 0
    DAILY = 1
    WEEKLY = 2
    RING = 3
    """Weekly, because the model says so."""


_CHOSEN = {"at_once": Wish.AT_ONCE, "daily": Wish.DAILY, "weekly": Wish.WEEKLY}


def wish(invitations: Iterable[Invitation], frequencies: Mapping[str, str]) -> Wish:
    """The wish of one message. `frequencies` are those of subscriptions, by id; one that is not known is at once."""
    reasons = (reason for invitation in invitations for place in invitation.workplaces for reason in place.reasons)
    return min((_of(reason, frequencies) for reason in reasons), default=Wish.AT_ONCE)


def _of(reason: Reason, frequencies: Mapping[str, str]) -> Wish:
    if reason.delivery == "digest":
        return Wish.RING
    if reason.kind != "subscription" or reason.subscription_id is None:
        return Wish.AT_ONCE
    return _CHOSEN.get(frequencies.get(reason.subscription_id, "at_once"), Wish.AT_ONCE)
