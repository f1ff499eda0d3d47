"""A reply that a person wrote to us, passed on to those who answer for the case, whole, as an attachment.

Its bytes are what came, not what a parser made of them. Whoever gets it answers the person, not us: Reply-To says so.
It says that a machine sent it (RFC 3834), so that no holiday notice answers, and bears a mark that we know again.
"""

from dataclasses import dataclass
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

from services.rendering import cases_meant
from services.rendering.cases_meant import Cases
from services.rendering.message import subject_line
from services.rendering.shorten import chop

_SUBJECT = 120


@dataclass(frozen=True, slots=True)
class Forward:
    """What a forward is made of besides the mail. `mark` is a name of ours for it and stands in its Message-ID."""

    mark: str
    at: datetime
    sender_name: str
    sender_address: str
    to_address: str
    reply_to: str = ""
    cases: Cases = ()


def forwarded(raw: bytes, about: Forward, mark_header: str) -> bytes:
    """The bytes of the forward."""
    boundary = f"=_{about.mark}"
    text = EmailMessage(policy=SMTP)
    text.set_content(_words(about), cte="base64")
    edge = f"--{boundary}".encode()
    return b"\r\n".join(
        (
            _head(about, mark_header),
            f'Content-Type: multipart/mixed; boundary="{boundary}"'.encode(),
            b"",
            edge,
            text.as_bytes().rstrip(),
            edge,
            _attached(raw),
            edge + b"--",
            b"",
        )
    )


def _head(about: Forward, mark_header: str) -> bytes:
    head = EmailMessage(policy=SMTP)
    head["From"] = Address(about.sender_name, addr_spec=about.sender_address)
    head["To"] = Address(addr_spec=about.to_address)
    if about.reply_to:
        head["Reply-To"] = Address(addr_spec=about.reply_to)
    subject = f"Svar från ett företag: {cases_meant.for_subject(about.cases)}"
    head["Date"] = format_datetime(about.at)
    head["Message-ID"] = f"<{about.mark}@{about.sender_address.rpartition('@')[2]}>"
    head["Auto-Submitted"] = "auto-generated"
    head[mark_header] = about.mark
    head["MIME-Version"] = "1.0"
    return subject_line(chop(subject, _SUBJECT, "…")).encode() + head.as_bytes().rstrip()


def _attached(raw: bytes) -> bytes:
    encoding = b"7bit" if raw.isascii() else b"8bit"
    return (
        b"Content-Type: message/rfc822\r\n"
        b'Content-Disposition: attachment; filename="svar.eml"\r\n'
        b"Content-Transfer-Encoding: " + encoding + b"\r\n\r\n" + raw
    )


def _words(about: Forward) -> str:
    return (
        f"Ett företag har svarat på ett utskick med e-post. Svaret ligger bifogat.\n\n"
        f"Ärende: {cases_meant.in_swedish(about.cases)}\n\n"
        f"Svara avsändaren direkt. Närdialog svarar inte.\n\n"
        f"--\n\n"
        f"A business answered one of our mails by mail. The answer is attached.\n\n"
        f"Case: {cases_meant.in_english(about.cases)}\n\n"
        f"Please answer its sender yourself: Närdialog does not.\n"
    )
