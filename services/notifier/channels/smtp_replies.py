"""What an SMTP reply means for the message, for its address and for the channel.

Guaranteed: every reply in every phase has exactly one outcome, decided by the phase, the class of the reply code
(RFC 5321 §4.2.1) and the enhanced status (RFC 3463), never by the number alone, and the reply's free text stays here,
because it quotes the address. That prevents three failures: a blocked content (`550 5.7.1`) that suppresses an innocent
person, a refused sender of ours (`550` to MAIL) that suppresses a whole register, and a greylisted first try (RFC 6647)
that counts as a refusal.

One transaction carries one recipient, so a refusal after DATA concerns that recipient as surely as one at RCPT.
"""

import re
from dataclasses import dataclass, replace
from typing import Literal

from services.notifier.channels.port import TOO_FAST, Outcome, State

Phase = Literal["connect", "ehlo", "auth", "mail", "rcpt", "data", "done"]
"""The last thing we said: nothing yet, EHLO or STARTTLS, AUTH, MAIL, RCPT, DATA, the end of the data."""

GREYLIST_WAIT = 300.0
"""Seconds; RFC 6647 §4.5 has greylisting servers wait at least one minute, five in the field."""
TOO_FAST_WAIT = 60.0
POLICY_WAIT = 14_400.0
"""Their policy is about us, and may be mended: one more try, hours later."""
FULL_IN_A_ROW = 3
PLAIN_IN_A_ROW = 2


@dataclass(frozen=True)
class _Rule:
    """One row: regular expressions for the phase, the code and the status without its class (`7.1`, "" when absent)."""

    phase: str
    code: str
    status: str
    outcome: Outcome
    words: str = ""


def _sent(code: str) -> Outcome:
    return Outcome(State.SENT, code)


def _retry(code: str, after: float | None = None, *, suppress_after: int = 0) -> Outcome:
    return Outcome(State.RETRY, code, retry_after=after, suppress_after=suppress_after)


def _failed(code: str, *, suppress: bool = False, suppress_after: int = 0, alarm: bool = False) -> Outcome:
    return Outcome(State.FAILED, code, suppress=suppress, suppress_after=suppress_after, alarm=alarm)


def _not_sent(code: str, *, alarm: bool = False, after: float | None = None) -> Outcome:
    return Outcome(State.NOT_SENT, code, alarm=alarm, retry_after=after)


_ALL = ".*"
_ONE_MESSAGE = "mail|rcpt|data|done"
_RECIPIENT = "rcpt|data|done"
_NO_REFUSAL = "(?![45]..$).*"
_NO_STATUS = r"([12]\.0)?"
"""None, or "something about the address" or "the mailbox" (RFC 3463 X.1.0, X.2.0): it may be nobody, or be us."""
_POLICY = Outcome(State.RETRY, "policy", alarm=True, retry_after=POLICY_WAIT, most_tries=2)
_REFUSED = _failed("refused", suppress_after=PLAIN_IN_A_ROW)
_BLOCKED_WORDS = r"spam|block|black-?list|deny-?list|\blisted\b|rbl\b|policy|reputation|\bspf\b|dkim|dmarc|relay"
_RATE_WORDS = r"\brate\b|throttl|too (fast|quickly)|too many (messages|connections)"

# The first row that matches decides.
_RULES = (
    _Rule("done", "2..", _ALL, _sent("accepted")),
    _Rule("done", _NO_REFUSAL, _ALL, Outcome(State.UNKNOWN, "unreadable_answer")),
    _Rule(_ALL, _NO_REFUSAL, _ALL, _not_sent("unreadable_answer", alarm=True)),
    # The channel: nothing of this is about the message.
    _Rule(_ALL, "421", r"7\..*", _not_sent(TOO_FAST, after=TOO_FAST_WAIT)),
    _Rule(_ALL, "421", _ALL, _not_sent("service_unavailable")),
    _Rule(_ONE_MESSAGE, "4..", r"7\.28", _not_sent(TOO_FAST, after=TOO_FAST_WAIT)),
    _Rule(_ONE_MESSAGE, "4..", r"(7\..*)?", _not_sent(TOO_FAST, after=TOO_FAST_WAIT), words=_RATE_WORDS),
    _Rule("auth", "4..", _ALL, _not_sent("login_unavailable")),
    _Rule("auth", "5..", _ALL, _not_sent("credentials", alarm=True)),
    _Rule(_ALL, "530|535|538", _ALL, _not_sent("credentials", alarm=True)),
    _Rule("connect|ehlo", "4..", _ALL, _not_sent("service_unavailable")),
    _Rule("connect|ehlo", "5..", _ALL, _not_sent("relay_refuses", alarm=True)),
    # Without a log-in nobody may say MAIL (RFC 4954 §6 has 530 for it; some say that the order is wrong).
    _Rule("mail", "50[023]", _ALL, _not_sent("relay_refuses", alarm=True)),
    # What passes. A full mailbox passes too, whatever class its server chose (RFC 3463 §3.3, X.2.2).
    _Rule(_RECIPIENT, "[45]..", r"2\.2", _retry("mailbox_full", suppress_after=FULL_IN_A_ROW)),
    _Rule("rcpt", "552", "", _retry("mailbox_full", suppress_after=FULL_IN_A_ROW)),
    _Rule(_ALL, "45[01]", r"7\.1", _retry("greylisted", GREYLIST_WAIT)),
    _Rule(_ALL, "4..", _ALL, _retry("greylisted", GREYLIST_WAIT), words="gr[ae]y-?list"),
    _Rule(_ALL, "4..", _ALL, _retry("try_later")),
    # What does not pass: the address.
    _Rule(_ALL, "5..", r"6\.(7|9)", _failed("needs_smtputf8")),
    _Rule(_ALL, "5..", r"1\.(7|8)", _not_sent("sender_refused", alarm=True)),
    _Rule(_RECIPIENT, "5..", r"1\.(1|2|3|6|10)", _failed("no_such_address", suppress=True)),
    _Rule(_RECIPIENT, "556", _ALL, _failed("no_such_address", suppress=True)),  # RFC 7504 §4: takes no mail at all
    _Rule(_RECIPIENT, "5..", r"2\.1", _retry("try_later"), words=_RATE_WORDS),  # a large hoster's busy mailbox
    _Rule(_RECIPIENT, "5..", r"2\.1", _failed("mailbox_disabled", suppress=True)),
    # What we made wrongly.
    _Rule(_ALL, "5..", r"3\.4|2\.3", _failed("too_big", alarm=True)),
    _Rule(_ALL, "552", "", _failed("too_big", alarm=True)),
    _Rule(_ALL, "5..", r"6\..*", _failed("content", alarm=True)),
    _Rule(_ALL, "50[0-4]|555", _ALL, _failed("protocol", alarm=True)),
    # MAIL names only our own sender: all messages would meet the same answer, so none is given up for it.
    _Rule("mail", "5..", _ALL, _not_sent("sender_refused", alarm=True)),
    # Their policy, and what is left.
    _Rule(_RECIPIENT, "5..", r"7\..*", _POLICY),
    _Rule("rcpt", "5..", r"4\.1", _REFUSED, words="recipient address rejected"),  # a large hoster's "nobody here"
    _Rule(_RECIPIENT, "5..", r"4\.(4|310)", _REFUSED),  # no way to its domain: it may be gone for good
    _Rule(_RECIPIENT, "5..", r"[34]\..*", _failed("their_system")),
    _Rule(_RECIPIENT, "554", _ALL, _POLICY),
    _Rule("data|done", "5..", "", _POLICY),
    _Rule("rcpt", "5..", _NO_STATUS, _POLICY, words=_BLOCKED_WORDS),
    _Rule("rcpt", "5..", _NO_STATUS, _REFUSED),
    _Rule(_ALL, "5..", _ALL, _failed("refused_otherwise")),
)

_ADDRESS = re.compile(r"\S*@\S*")
"""An address may hold any word."""
_UNDEFINED = "0.0"
"""RFC 3463 §3.1: nothing is known but the class, and so as much as no status."""
_ENHANCED = re.compile(r"\s*#?([245]\.(\d{1,3}\.\d{1,3}))(?!\.?\d)")
_QUEUE_ID = re.compile(r"\b(?:queued as|id=)\s*([0-9A-Za-z-]{4,40})(?![\w@.-])")


def outcome_of(phase: Phase, code: int, text: str) -> Outcome:
    """The outcome of a message whose dialogue ended with this reply."""
    enhanced, status = _status(text)
    found = next(rule.outcome for rule in _RULES if _matches(rule, phase, str(code), status, text))
    reference = _QUEUE_ID.search(text) if found.state is State.SENT else None
    return replace(found, detail=enhanced or str(code), provider_ref=reference[1] if reference else "")


def broken_off(phase: Phase, code: str) -> Outcome:
    """The outcome of a dialogue that ended without a reply: lost or timed out after the end of the data had been handed
    over, the relay may have the message (RFC 1047); before that it cannot have it.
    """
    return Outcome(State.UNKNOWN if phase == "done" else State.NOT_SENT, code)


def _status(text: str) -> tuple[str, str]:
    """The enhanced status and what of it says something, without the class; only at the beginning, where RFC 2034 §4
    puts it.
    """
    match = _ENHANCED.match(text)
    if match is None:
        return "", ""
    return match[1], "" if match[2] == _UNDEFINED else match[2]


def _matches(rule: _Rule, phase: str, code: str, status: str, text: str) -> bool:
    return bool(
        re.fullmatch(rule.phase, phase)
        and re.fullmatch(rule.code, code)
        and re.fullmatch(rule.status, status)
        and (not rule.words or re.search(rule.words, _ADDRESS.sub("", text), re.IGNORECASE))
    )
