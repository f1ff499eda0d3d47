"""A mail to those who answer for a case: what somebody wrote to our number, and the number to answer to.

Plain text. It says that a machine sent it (RFC 3834), so that no holiday notice answers it.
"""

from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

from services.rendering import cases_meant
from services.rendering.cases_meant import Cases
from services.rendering.message import MailHeaders, subject_line
from services.rendering.shorten import chop

_SUBJECT = 120


def sms_answer(phone: str, words: str, cases: Cases, headers: MailHeaders, mark_header: str) -> bytes:
    """The bytes of the mail. `mark_header` names a forward of ours."""
    mail = EmailMessage(policy=SMTP)
    mail["From"] = Address(headers.from_name, addr_spec=headers.from_address)
    mail["To"] = Address(addr_spec=headers.to_address)
    subject = f"Svar per SMS från ett företag: {cases_meant.for_subject(cases)}"
    mail["Date"] = format_datetime(headers.date)
    mail["Message-ID"] = f"<{headers.message_id}>"
    mail["Auto-Submitted"] = "auto-generated"
    mail[mark_header] = headers.message_id
    mail.set_content(_words(phone, words, cases), cte="base64")
    return subject_line(chop(subject, _SUBJECT, "…")).encode() + mail.as_bytes()


def _words(phone: str, words: str, cases: Cases) -> str:
    return (
        f"{phone} har svarat per SMS:\n\n"
        f"{words.strip() or '(tomt)'}\n\n"
        f"Ärende: {cases_meant.in_swedish(cases)}\n\n"
        f"Svara till numret, inte på det här mejlet. Närdialog svarar inte.\n\n"
        f"--\n\n"
        f"An answer by SMS. Case: {cases_meant.in_english(cases)}\n\n"
        f"Please answer to the number yourself: Närdialog does not.\n"
    )
