"""A mail's exact bytes, from its words and its headers.

Deterministic, since the notifier stores the bytes with the intent and must be able to send the same again. No line
break can come into a header (FC-039): words are put in one line, addresses and links with one are refused.
"""

import hashlib
import re
from dataclasses import dataclass, field
from datetime import datetime
from email.header import Header
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8, EmailPolicy
from email.utils import format_datetime
from typing import Final

LONGEST_SUBJECT: Final = 65
_PLAIN_NAME: Final = 60


@dataclass(frozen=True, slots=True)
class RenderedMail:
    """A mail's words, and the calendar file that goes with it, if any."""

    subject: str
    preheader: str
    text: str
    html: str
    calendar: str = ""


@dataclass(frozen=True, slots=True)
class MailHeaders:
    """What the ledger decides. Ids stand without angle brackets; `unsubscribe_url` takes the one-click POST. A mail
    that its reader asked for has no list and nothing to unsubscribe from: both are empty.
    """

    message_id: str
    date: datetime
    from_name: str
    from_address: str
    to_address: str
    list_id: str = ""
    unsubscribe_url: str = field(default="", repr=False)
    unsubscribe_mailto: str = field(default="", repr=False)
    """A `mailto:` link that does the same, for clients that know no other (RFC 2369 §3.2)."""
    reply_to: str = ""


def compose(rendered: RenderedMail, headers: MailHeaders) -> bytes:
    """The message's bytes, the same for the same values. Raises `ValueError` for an address or link with a line break.

    An address with a non-ASCII local part gives raw UTF-8 headers, which only an SMTPUTF8 relay takes (RFC 6531); an
    encoded-word has no place in an address (RFC 2047 §5).
    """
    to, sender = _address(headers.to_address), _address(headers.from_address)
    policy = SMTP if (to + sender).isascii() else SMTPUTF8
    head = _mailbox("From", headers.from_name, sender) + _mailbox("To", "", to)
    head += _subject_line(rendered.subject, policy)
    if headers.reply_to:
        head += _mailbox("Reply-To", "", _address(headers.reply_to))
    verbatim = [("Message-ID", f"<{headers.message_id}>"), ("Date", format_datetime(headers.date))]
    if headers.list_id:
        verbatim.append(("List-Id", f"<{headers.list_id}>"))
    if headers.unsubscribe_url:
        ways = [way for way in (headers.unsubscribe_url, headers.unsubscribe_mailto) if way]
        verbatim.append(("List-Unsubscribe", ", ".join(f"<{way}>" for way in ways)))
        verbatim.append(("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"))
    verbatim += [
        ("Auto-Submitted", "auto-generated"),
        ("X-Auto-Response-Suppress", "All"),
        ("Content-Language", "sv, en"),
    ]
    head += "".join(_verbatim(name, value) for name, value in verbatim)
    return head.encode() + _body(rendered, headers.message_id, policy)


def _body(rendered: RenderedMail, message_id: str, policy: "EmailPolicy[EmailMessage]") -> bytes:
    """The parts as quoted-printable, so that no line is long and no relay has to re-encode, after the MIME headers."""
    message = EmailMessage(policy)
    message.set_content(rendered.text, charset="utf-8", cte="quoted-printable")
    message.add_alternative(rendered.html, subtype="html", charset="utf-8", cte="quoted-printable")
    message.set_boundary(_boundary("", message_id))
    if rendered.calendar:
        message.add_attachment(
            rendered.calendar,
            subtype="calendar",
            charset="utf-8",
            cte="quoted-printable",
            filename="invite.ics",
            params={"method": "PUBLISH"},
        )
        message.set_boundary(_boundary("mixed", message_id))
    return message.as_bytes()


def _boundary(part: str, message_id: str) -> str:
    return "=_" + hashlib.blake2b(f"{part}{message_id}".encode(), digest_size=16).hexdigest()


def _subject_line(subject: str, policy: "EmailPolicy[EmailMessage]") -> str:
    line: str = policy.header_factory("Subject", _one_line(subject)).fold(policy=policy)
    return line


def _mailbox(header: str, name: str, address: str) -> str:
    """A name and an address. Made here, because Python 3.11 loses the quotes of a long name when it folds it, and then
    each comma begins another address.
    """
    shown = _one_line(name)
    if not shown:
        return f"{header}: {address}\r\n"
    if shown.isascii() and len(shown) <= _PLAIN_NAME:
        quoted = re.sub(r'(["\\])', r"\\\1", shown)
        return f'{header}: "{quoted}"\r\n <{address}>\r\n'
    words = Header(shown, "utf-8", header_name=header).encode(splitchars="", linesep="\r\n")
    return f"{header}: {words}\r\n <{address}>\r\n"


def _verbatim(name: str, value: str) -> str:
    """Ids and links as they are: the library's folding would write a long one as encoded-words, which nobody reads."""
    if not re.fullmatch(r"[\x20-\x7e]+", value) or len(value) > 900:
        raise ValueError(f"{name}: must be one line of at most 900 ASCII characters; correct the id or link")
    return f"{name}:{' ' if len(name) + len(value) < 76 else chr(13) + chr(10) + ' '}{value}\r\n"


def _address(address: str) -> str:
    """The address, its domain as an A-label. Refused without its value: it may be a person's."""
    local, at, domain = address.rpartition("@")
    if not (local and at) or not re.fullmatch(r"[^\s\x00-\x1f\x7f<>,;:\"()\[\]\\@]+", local):
        raise ValueError("an address is not of the form local@domain; correct it at its source")
    label = domain.encode("idna").decode()
    if not re.fullmatch(r"[A-Za-z0-9.-]+", label):
        raise ValueError("an address has an impossible domain; correct it at its source")
    return f"{local}@{label}"


def _one_line(text: str) -> str:
    return " ".join(re.sub(r"[\x00-\x1f\x7f]", " ", text).split())
