"""What is said of a message after it was handed over, by a receipt or a report that comes back, may move its state.

A state only moves forward: *delivered* wins over all that may have left, *failed* never overrides *delivered*, and
neither is ever overwritten by a later *sent*. What comes before our own outcome is written counts as well. A provider
that answered with a failure may have taken the message all the same (RFC 1047, an HTTP 500): *delivered* ends what is
to be tried again. What surely never left cannot have been delivered: such a word changes nothing.
"""

from typing import Final, Literal

_BEFORE: Final = {
    "delivered": frozenset({"sending", "unknown", "retry", "sent", "failed"}),
    "failed": frozenset({"sending", "unknown", "sent"}),
    "sent": frozenset({"unknown"}),
}
"""What is said → the states that it may follow."""


def moves(state: str, said: Literal["delivered", "failed", "sent"]) -> bool:
    """Whether a message in this state becomes what is said of it."""
    return state in _BEFORE[said]
