"""A mail's exact bytes, from its words and its headers.

Deterministic, since the notifier stores the bytes with the intent and must be able to send the same again. No line
break can come into a header (FC-039): words are put in one line, addresses and links with one are refused, and a title
that reads as an encoded-word (RFC 2047 §2), which may hold one, is encoded as the text that it is.
"""

import re
from dataclasses import dataclass, field
from datetime import datetime
from email.header import Header
from email.policy import SMTP, SMTPUTF8
from email.utils import format_datetime
from functools import lru_cache
from typing import Final

from services.rendering.quoted import quoted

LONGEST_SUBJECT: Final = 65
_PLAIN_NAME: Final = 60
_ENCODED_WORD: Final = "=?"


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
    feedback_id: str = ""
    """What a complaint is counted under at large mailbox providers: see `feedback_id`."""


def stop_mail(mailbox: str, stop_url: str) -> str:
    """The address of a stop by mail (RFC 2369 §3.2); empty where no mailbox reads them. The subject holds the link's
    token, so that whoever reads that mailbox knows what to stop.
    """
    return f"mailto:{mailbox}?subject=avsluta%20{stop_url.rpartition('/')[2]}" if mailbox else ""


def feedback_id(about: str, purpose: str, kind: str) -> str:
    """The value of `Feedback-ID` (Gmail's feedback loop): three groups and who sends, so that many complaints about one
    kind of mail are seen for what they are. It names kinds, never a message or a reader.
    """
    return f"{about}:{purpose}:{kind}:{_SENDER_ID}"


_SENDER_ID: Final = "nardialog"


def compose(rendered: RenderedMail, headers: MailHeaders) -> bytes:
    """The message's bytes, the same for the same values. Raises `ValueError` for an address or link with a line break.

    An address with a non-ASCII local part gives raw UTF-8 headers, which only an SMTPUTF8 relay takes (RFC 6531); an
    encoded-word has no place in an address (RFC 2047 §5).
    """
    return head(rendered.subject, headers) + body(
        quoted(rendered.text), quoted(rendered.html), quoted(rendered.calendar)
    )


def head(subject: str, headers: MailHeaders) -> bytes:
    """The header fields but those of MIME."""
    to, sender = _address(headers.to_address), _address(headers.from_address)
    lines = _mailbox("From", headers.from_name, sender) + _mailbox("To", "", to)
    lines += subject_line(subject, ascii_only=(to + sender).isascii())
    if headers.reply_to:
        lines += _mailbox("Reply-To", "", _address(headers.reply_to))
    verbatim = [("Message-ID", f"<{headers.message_id}>"), ("Date", format_datetime(headers.date))]
    if headers.list_id:
        verbatim.append(("List-Id", f"<{headers.list_id}>"))
    if headers.feedback_id:
        verbatim.append(("Feedback-ID", headers.feedback_id))
    if headers.unsubscribe_url:
        ways = [way for way in (headers.unsubscribe_url, headers.unsubscribe_mailto) if way]
        verbatim.append(("List-Unsubscribe", ", ".join(f"<{way}>" for way in ways)))
        verbatim.append(("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"))
    return (lines + "".join(_verbatim(name, value) for name, value in verbatim) + _AUTOMATIC).encode()


_AUTOMATIC: Final = (
    "Auto-Submitted: auto-generated\r\n"
    "X-Auto-Response-Suppress: All\r\n"
    "Content-Language: sv, en\r\n"
    "MIME-Version: 1.0\r\n"
)  # fmt: skip


def body(text: bytes, html: bytes, calendar: bytes) -> bytes:
    """The MIME parts, each in quoted-printable, after their header fields. No calendar is no part."""
    words = _multipart("alternative", _part("text/plain", text), _part("text/html", html))
    if not calendar:
        return words
    return _multipart("mixed", words, _part("text/calendar; method=PUBLISH", calendar, _ATTACHED))


def _multipart(kind: str, *parts: bytes) -> bytes:
    """Parts between boundaries that no line of quoted-printable can be: there, `=` is followed by two hex digits or the
    line's end (RFC 2045 §6.7).
    """
    mark = f"=_{kind}".encode()
    between = b"\r\n--" + mark + b"\r\n"
    start = f'Content-Type: multipart/{kind}; boundary="=_{kind}"\r\n'.encode()
    return start + between + between.join(parts) + b"\r\n--" + mark + b"--\r\n"


def _part(kind: str, content: bytes, *fields: str) -> bytes:
    top = (f'Content-Type: {kind}; charset="utf-8"', "Content-Transfer-Encoding: quoted-printable", *fields)
    return "".join(f"{field}\r\n" for field in (*top, "")).encode() + content


_ATTACHED: Final = 'Content-Disposition: attachment; filename="invite.ics"'


@lru_cache(256)
def subject_line(subject: str, *, ascii_only: bool = True) -> str:
    """The header field of a subject. One goes to many readers, and folding it costs more than the rest of a head."""
    text = _one_line(subject)
    if _ENCODED_WORD in text:  # the library would decode it, whatever stands in it
        return f"Subject: {_encoded('Subject', text)}\r\n"
    policy = SMTP if ascii_only else SMTPUTF8
    line: str = policy.header_factory("Subject", text).fold(policy=policy)
    return line


def _mailbox(header: str, name: str, address: str) -> str:
    """A name and an address. Made here, because Python 3.11 loses the quotes of a long name when it folds it, and then
    each comma begins another address.
    """
    shown = _one_line(name)
    if not shown:
        return f"{header}: {address}\r\n"
    if shown.isascii() and len(shown) <= _PLAIN_NAME and _ENCODED_WORD not in shown:
        quoted = re.sub(r'(["\\])', r"\\\1", shown)
        return f'{header}: "{quoted}"\r\n <{address}>\r\n'
    return f"{header}: {_encoded(header, shown)}\r\n <{address}>\r\n"


@lru_cache(64)
def _encoded(header: str, name: str) -> str:
    """A text as encoded-words, whatever it is. One sender's name is on many mails."""
    return Header(name, "utf-8", header_name=header).encode(splitchars="", linesep="\r\n")


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
