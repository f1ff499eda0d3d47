"""Identity of messages: ids that derive, numbers that are drawn.

A message id derives from (round, address, kind), so working twice gives the same message. Its number is random, because
it stands in links and must not be guessed or counted.
"""

import secrets

from schemas.identity import derived
from schemas.types import MessageId


def message_id(round_id: str, address_index: str, kind: str) -> MessageId:
    """One first message, and one reminder, per round and address."""
    return MessageId(derived("message", round_id, address_index, kind))


def new_number() -> int:
    """A random number below 2**63, which both databases hold."""
    return secrets.randbits(63)
