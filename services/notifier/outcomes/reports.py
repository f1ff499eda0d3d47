"""Delivery reports (RFC 3464; 6533 for addresses in Unicode): what one says of a message, by the same table as the
replies at the send.

Guaranteed: a report's `failed` is an end, whatever class its status has (a relay gives up on a 4.x.x too), its
`delayed` changes nothing, and its free text, which quotes the address, goes no further than this module. One message of
ours has one recipient; where that is a list whose members are reported one by one, the best word counts, so that one
dead member does not silence the list.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from email import message_from_bytes
from email.message import Message
from email.policy import compat32
from typing import Final, Literal

from services.notifier.channels.port import Outcome, State
from services.notifier.channels.smtp_replies import outcome_of

Action = Literal["delivered", "relayed", "expanded", "delayed", "failed"]

_BEST_FIRST: Final[tuple[Action, ...]] = ("delivered", "relayed", "expanded", "delayed", "failed")
_STATUS: Final = re.compile(r"\b([245])\.(\d{1,3})\.(\d{1,3})\b")
_REPLY: Final = re.compile(r"(?:^|said:)\s*([45]\d\d)[ -]+(#?[45]\.\d{1,3}\.\d{1,3})?")
_STATUS_TYPE: Final = "message/delivery-status"
_ENCODED: Final = ("base64", "quoted-printable")
_HEX: Final = re.compile(r"\+([0-9A-F]{2})")


@dataclass(frozen=True, slots=True)
class Reported:
    """What a report says. `outcome` stands with `failed`; `detail` is a status and never text."""

    action: Action
    detail: str = ""
    outcome: Outcome | None = None


def read_report(part: Message) -> Reported | None:
    """What a `message/delivery-status` part says, or None where it says nothing of any recipient."""
    said = [found for group in _groups(part) if (found := _of_recipient(group)) is not None]
    return min(said, key=lambda reported: _BEST_FIRST.index(reported.action), default=None)


def envelope_id(part: Message) -> str:
    """The ENVID that we sent the message with, if the report gives it back (RFC 3464 §2.2.1; xtext of RFC 3461 §4)."""
    given = next((str(group["Original-Envelope-Id"]) for group in _groups(part) if group["Original-Envelope-Id"]), "")
    return _HEX.sub(lambda match: chr(int(match[1], 16)), given.strip())


def bounced(*, permanent: bool) -> Reported:
    """What a bounce in a form of its own says: that it failed, and no more; or that it is still tried."""
    return Reported("failed", outcome=_failure("", "")) if permanent else Reported("delayed")


def _groups(part: Message) -> Iterable[Message]:
    """The fields about the message, then those about each recipient (§2.1). The library parts only what is not encoded
    and of RFC 3464's own type; RFC 6533 §3 has another, and servers encode both.
    """
    found = _messages(part.get_payload())
    encoding = str(part.get("Content-Transfer-Encoding", "7bit"))
    if part.get_content_type() == _STATUS_TYPE and encoding.strip().lower() not in _ENCODED:
        return found
    whole = Message()
    whole["Content-Transfer-Encoding"] = encoding
    whole.set_payload("\n".join(group.as_string() for group in found))
    decoded = whole.get_payload(decode=True)
    fields = decoded if isinstance(decoded, bytes) else b""
    head = f"Content-Type: {_STATUS_TYPE}\n\n".encode()
    return _messages(message_from_bytes(head + fields.lstrip(), policy=compat32).get_payload())


def _messages(payload: object) -> list[Message]:
    return [group for group in payload if isinstance(group, Message)] if isinstance(payload, list) else []


def _of_recipient(group: Message) -> Reported | None:
    action = str(group.get("Action", "")).partition(";")[0].strip().lower()
    known = next((word for word in _BEST_FIRST if word == action), None)
    status = _STATUS.search(str(group.get("Status", "")))
    if known is None:
        return None
    detail = status[0] if status else ""
    if known != "failed":
        return Reported(known, detail)
    outcome = _failure(detail, str(group.get("Diagnostic-Code", "")))
    return Reported("failed", outcome.detail, outcome)


def _failure(status: str, diagnostic: str) -> Outcome:
    """The table's row for a reply that was met by another than us. Its recipient is the only one, and so RCPT is where
    that reply belongs.
    """
    _, typed, said = diagnostic.partition(";")
    text = said if typed else diagnostic
    reply = _REPLY.search(text)
    code = int(reply[1]) if reply else (450 if status.startswith("4") else 550)
    told = (reply[2] or "").lstrip("#") if reply else ""
    known = told if told and not _is_vague(told) else "" if _is_vague(status) else status
    words = text[reply.end() :] if reply else ""
    outcome = outcome_of("rcpt", code, f"{known} {words}".strip())
    return replace(outcome, state=State.FAILED, retry_after=None, most_tries=None, detail=known or told or status)


def _is_vague(status: str) -> bool:
    """RFC 3463 §3.1: X.0.0 is what is said where nothing is known, and so says less than nothing."""
    return status[1:] in (".0.0", "")
