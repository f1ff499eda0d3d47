"""When a text that failed gives way to the recipient's other addresses, or to a letter: it reached nobody for certain,
and that was neither a person's word nor our own trouble.

A provider that gave up after trying for hours, and a month's cap, are such ends. Not here: an address that is dead
(it gives way for good, policy/dead_address), one whose reader said stop or that is blocked, what we or our provider
have to mend (an operator tries it again), and an unknown outcome, which may have been taken. A mail that failed gives
way only where its address is dead: a relay that refuses everything would turn all mails into texts, which are paid for.
"""

from services.notifier.policy import month_cap
from services.notifier.policy.field_words import PASSES

GIVES_WAY = PASSES | {month_cap.CODE}
"""Codes of such ends."""


def gives_way(channel: str, code: str) -> bool:
    """Whether a message that failed by this channel with this code leaves its invitations to another way."""
    return channel == "sms" and code in GIVES_WAY
