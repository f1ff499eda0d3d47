"""Whom a change or a feedback may be told to: those whom the earlier round's message reached, and nobody else.

A message that a provider took reached its address; so may one whose outcome stayed unknown, and silence would be worse
there. One on its way is waited for. One that waits still will be written from the round as it is now, and so needs no
change; but only once the ledger's round is at least as new as the change. A feedback, which is always newer, waits for
it: whoever is asked is told what came of it.
"""

from enum import StrEnum

from services.notifier.policy.unknown import UNKNOWN_OUTCOME


class Told(StrEnum):
    """What the earlier round's message was to an address."""

    REACHED = "reached"
    UNDECIDED = "undecided"
    NEVER = "never"


def told(state: str, code: str, *, round_is_current: bool) -> Told:
    """`state` and `code` are those of the earlier message."""
    if state in ("sent", "delivered", "unknown") or (state == "failed" and code == UNKNOWN_OUTCOME):
        return Told.REACHED
    if state in ("sending", "merged") or (state in ("pending", "retry", "waiting") and not round_is_current):
        return Told.UNDECIDED
    return Told.NEVER
