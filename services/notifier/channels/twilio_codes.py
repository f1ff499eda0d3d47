"""What a Twilio error code means for the message, its address and the account (twilio.com/docs/api/errors).

The same table serves the answer to a call and a receipt, so that a dead number is dead whichever way it is learnt.
Codes 21xxx come with the answer, 30xxx with a receipt. A code that is not here is a refusal of this one message.
"""

from dataclasses import replace
from typing import Final

from services.notifier.channels.port import OPTED_OUT, TOO_FAST, Outcome, State

UNDELIVERED: Final = Outcome(State.FAILED, "undelivered")
_NO_SUCH_ADDRESS: Final = Outcome(State.FAILED, "no_such_address", suppress=True)
_NOT_MOBILE: Final = Outcome(State.FAILED, "not_mobile", suppress=True)
_NOT_ROUTED: Final = Outcome(State.FAILED, "not_routed", alarm=True)
_CONTENT: Final = Outcome(State.FAILED, "content", alarm=True)
_SENDER: Final = Outcome(State.NOT_SENT, "sender_refused", alarm=True)
_ACCOUNT: Final = Outcome(State.NOT_SENT, "credentials", alarm=True)
_TOO_FAST: Final = Outcome(State.NOT_SENT, TOO_FAST, retry_after=60.0)

_OUTCOMES: Final = {
    20003: _ACCOUNT,  # not authenticated
    20005: _ACCOUNT,  # account not active
    20429: _TOO_FAST,
    21211: _NO_SUCH_ADDRESS,  # no valid number to send to
    21212: _SENDER,  # no valid number to send from
    21408: _NOT_ROUTED,  # this country is not opened for the account
    21602: _CONTENT,  # no text
    21603: _SENDER,  # no sender
    21606: _SENDER,  # the sender cannot send SMS
    21608: _ACCOUNT,  # a trial account sends to verified numbers only
    21610: Outcome(State.FAILED, OPTED_OUT, suppress=True),
    21611: _TOO_FAST,  # the sender's queue is full
    21612: _NOT_ROUTED,  # no way from this sender to this number
    21614: _NOT_MOBILE,
    21617: _CONTENT,  # the text is too long
    21659: _SENDER,  # the sender is not the account's
    21660: _SENDER,
    30001: Outcome(State.FAILED, "queue_full"),
    30002: Outcome(State.FAILED, "account_suspended", alarm=True),
    30003: Outcome(State.FAILED, "unreachable"),  # off, or out of reach, for as long as the carrier tried
    30004: Outcome(State.FAILED, "blocked"),
    30005: _NO_SUCH_ADDRESS,
    30006: _NOT_MOBILE,
    30007: Outcome(State.FAILED, "policy", alarm=True),  # filtered as unwanted
    30008: UNDELIVERED,  # the carrier does not say why
}


def outcome_of_code(code: int) -> Outcome | None:
    """The outcome that a code stands for, with the code as its detail; None for one that is not known."""
    known = _OUTCOMES.get(code)
    return replace(known, detail=str(code)) if known else None


def outcome_of_failure(code: int) -> Outcome:
    """What a message has come to that Twilio took and then gave up: it is never tried again by us."""
    known = outcome_of_code(code)
    return known if known is not None and known.state is State.FAILED else replace(UNDELIVERED, detail=str(code or ""))
