"""A state of the ledger in the field's words (those of GOV.UK Notify), for whoever reads it.

Sent is not delivered. What failed is told apart by whose trouble it is: *permanent*, the address's, so that another try
is useless; *temporary*, theirs, and it may pass; *technical*, ours or our provider's, so that it may be tried again
once that is mended. A code that is not listed as the address's is technical: somebody should look.
"""

from typing import Final

from schemas.delivery import DeliveryState
from services.notifier.policy.unknown import UNKNOWN_OUTCOME

PASSES: Final = frozenset(
    {"mailbox_full", "greylisted", "try_later", "their_system", "unreachable", "queue_full", "undelivered"}
)
"""Codes of what may pass by itself; a message that failed with one waited as long as it could."""
OF_THE_ADDRESS: Final = frozenset({
    "no_such_address", "mailbox_disabled", "bad_address", "needs_smtputf8", "refused", "refused_otherwise",
    "not_mobile", "opted_out", "blocked",
})  # fmt: skip
"""Codes of addresses to which no other try would come through."""

TEMPORARY: Final = "temporary-failure"
PERMANENT: Final = "permanent-failure"
TECHNICAL: Final = "technical-failure"
_WORDS: Final = {
    "admitted": "waiting", "waiting": "held", "retry": TEMPORARY, "not_reachable": "not reachable",
    "addressed": "has a message", "put_back": "pending", "not_sent": "waiting for the channel",
}  # fmt: skip
STATES: Final = frozenset(DeliveryState) - {DeliveryState.COMPOSED} | {"admitted", "addressed", "pending", "sending"}
"""What a message or an invitation may be in the ledger."""


def word(state: str, code: str) -> str:
    """The field's word for a state that has this code."""
    if state != "failed":
        return _WORDS.get(state, state)
    if code in OF_THE_ADDRESS:
        return PERMANENT
    return TEMPORARY if code in PASSES else TECHNICAL


def states(asked: str) -> set[str]:
    """The ledger's states that have this word whatever their code is. Where none has, it is the ledger's own name."""
    found = {state for state, said in _WORDS.items() if said == asked}
    return found | {asked} if asked not in _WORDS else found or {asked}


def may_be_tried_again(state: str, code: str) -> bool:
    """Whether a failed message is worth another try, and surely was not taken the first time."""
    return state == "failed" and word(state, code) != PERMANENT and code != UNKNOWN_OUTCOME


KNOWN: Final = STATES | {word(state, "") for state in STATES} | {TEMPORARY, PERMANENT, TECHNICAL}
"""What may be asked for."""
