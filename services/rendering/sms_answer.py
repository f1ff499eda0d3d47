"""A mail to those who answer for a case: what somebody wrote to our number, and the number to answer to.

Plain text. It says that a machine sent it (RFC 3834), so that no holiday notice answers it.
"""

from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

from services.rendering.message import MailHeaders, subject_line
from services.rendering.shorten import chop

_SUBJECT = 120


def sms_answer(phone: str, words: str, case: str, headers: MailHeaders, mark_header: str) -> bytes:
    """The bytes of the mail. `case` is its title and diary number, or empty; `mark_header` names a forward of ours."""
    mail = EmailMessage(policy=SMTP)
    mail["From"] = Address(headers.from_name, addr_spec=headers.from_address)
    mail["To"] = Address(addr_spec=headers.to_address)
    subject = f"Svar per SMS från ett företag: {case or 'okänt ärende'}"
    mail["Date"] = format_datetime(headers.date)
    mail["Message-ID"] = f"<{headers.message_id}>"
    mail["Auto-Submitted"] = "auto-generated"
    mail[mark_header] = headers.message_id
    mail.set_content(_words(phone, words, case), cte="base64")
    return subject_line(chop(subject, _SUBJECT, "…")).encode() + mail.as_bytes()


def _words(phone: str, words: str, case: str) -> str:
    return (
        f"{phone} har svarat per SMS:\n\n"
        f"{words.strip() or '(tomt)'}\n\n"
        f"Ärende: {case or 'framgår inte'}\n\n"
        f"Svara till numret, inte på det här mejlet. Närdialog svarar inte.\n\n"
        f"--\n\n"
        f"An answer by SMS, about: {case or 'a case that is not known'}. Please answer to the number yourself:\n"
        f"Närdialog does not.\n"
    )
