"""What follows when nobody knows whether a provider took a message (decision 0011).

SMTP cannot be asked: the same bytes with the same Message-ID go once more, so that stores which fold by Message-ID
show one. An SMS provider can: ask its history, after ten minutes because it may lag; resend only what it does not know.
A second unknown outcome ends as failed: one silence with a stated reason rather than a third copy.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

LOOK_UP_AFTER: Final = timedelta(minutes=10)
ASK_AGAIN: Final = timedelta(minutes=5)
"""When to ask again, where the question itself failed."""
MOST_UNKNOWNS: Final = 2
UNKNOWN_OUTCOME: Final = "unknown_outcome"
"""The code of a message that failed although it may have been taken."""


@dataclass(frozen=True, slots=True)
class Resolution:
    """When to act, whether to ask the provider first, and whether a resend is then allowed."""

    wait: timedelta
    ask: bool
    resend: bool


def resolution(channel: str, unknowns: int) -> Resolution:
    """How the unknown outcome number `unknowns` of one message is resolved."""
    resend = unknowns < MOST_UNKNOWNS
    if channel == "sms":
        return Resolution(LOOK_UP_AFTER, ask=True, resend=resend)
    return Resolution(timedelta(0), ask=False, resend=resend)
