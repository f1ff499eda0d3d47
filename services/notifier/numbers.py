"""Identity of messages: ids that derive, numbers that are drawn.

A message id derives from (round, address, kind), so working twice gives the same message. Its number is random, because
it stands in links and must not be guessed or counted.
"""

import secrets

from schemas.identity import derived
from schemas.types import MessageId
from services.runtime.errors import Rejected
from services.runtime.letter_codes import NUMBER_BITS


def message_id(round_id: str, address_index: str, kind: str) -> MessageId:
    """One first message, and one reminder, per round and address."""
    return MessageId(derived("message", round_id, address_index, kind))


def known_number(number: int | None) -> int | None:
    """A number that others name, if it can be one of ours. Raises `Rejected`: the databases hold no higher one."""
    if number is not None and number >= 2**63:
        raise Rejected("no_such_message", "no message has so high a number", "/message_number")
    return number


def new_letter_number() -> int:
    """A random number so small that its code is short enough to type (`letter_codes`)."""
    return secrets.randbits(NUMBER_BITS)


def new_number() -> int:
    """A random number below 2**63, which both databases hold."""
    return secrets.randbits(63)
