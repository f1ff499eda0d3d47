"""The composer that the notifier is run with: from values to the exact bytes of one mail or one SMS.

The bytes depend on nothing but the values (no clock, no random boundary), so a resend is the same mail with the same
Message-ID and Date. Mail is plain text, Swedish first and English second; what stands in a header is one line by its
type. The words of the SMS and of the why-block are services/rendering's.
"""

from collections.abc import Mapping, Sequence
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

from schemas.company import Company
from schemas.invitation import Invitation
from schemas.round import Round
from services.notifier.composing import Draft
from services.notifier.numbers import mint
from services.notifier.settings import NotifierOptions
from services.rendering import dates
from services.rendering.dates import Lang
from services.rendering.sms import render_sms
from services.rendering.why import Workplace, why_block


class PlainComposer:
    """Plain mails and SMS for one installation."""

    def __init__(self, *, portal_url: str, sender_name: str, sender_email: str, token_key: bytes) -> None:
        self._portal = portal_url
        self._name = sender_name
        self._email = sender_email
        self._key = token_key

    def compose(
        self, draft: Draft, round_: Round, invitations: Sequence[Invitation], companies: Mapping[str, Company]
    ) -> bytes:
        """The bytes of one message."""
        link = f"{self._portal}/i/{mint(draft.number, self._key)}"
        lang: Lang = "en" if draft.language == "en" else "sv"
        places = {place.workplace_id: place for invitation in invitations for place in invitation.workplaces}
        facts = {key: _facts(companies[key]) for key in places if key in companies}
        if draft.channel == "sms":
            street = next((fact.street for _, fact in sorted(facts.items())), "")
            return render_sms(round_, sender=self._name, link=link, address=street, lang=lang).encode()
        more = sum(invitation.more_workplaces for invitation in invitations)
        why = why_block(round_, list(places.values()), facts, "sv", more)
        return self._mail(draft, round_, link, why)

    def _mail(self, draft: Draft, round_: Round, link: str, why: Sequence[str]) -> bytes:
        stop = link.replace("/i/", "/avsluta/")
        domain = self._email.partition("@")[2]
        mail = EmailMessage(policy=SMTP)
        mail["From"] = Address(self._name, addr_spec=self._email)
        mail["To"] = draft.address
        mail["Subject"] = _subject(round_)
        mail["Date"] = format_datetime(draft.at)
        mail["Message-ID"] = f"<{draft.message_id}@{domain}>"
        mail["List-Unsubscribe"] = f"<{stop}>"
        mail["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
        mail["Auto-Submitted"] = "auto-generated"
        mail["Content-Language"] = "sv, en"
        if round_.texts.official is not None and round_.texts.official.email:
            mail["Reply-To"] = round_.texts.official.email
        mail.set_content("\n".join([*_swedish(round_, link, why), "", *_english(round_, link, stop), ""]))
        return mail.as_bytes()


def composer_for(options: NotifierOptions) -> PlainComposer:
    """The composer for these settings."""
    return PlainComposer(
        portal_url=options.portal_url,
        sender_name=options.sender_name,
        sender_email=options.sender_email,
        token_key=options.key("token_key"),
    )


def _subject(round_: Round) -> str:
    until = f" Svara senast {dates.day_and_month(round_.respond_by, 'sv')}" if round_.respond_by else ""
    return f"{round_.texts.title} – påverkas ni?{until}"


def _swedish(round_: Round, link: str, why: Sequence[str]) -> list[str]:
    texts = round_.texts
    official = texts.official
    lines = [texts.title, ""]
    lines += [texts.question] if texts.question else []
    lines += [f"Svara senast {dates.day_and_month(round_.respond_by, 'sv')}."] if round_.respond_by else []
    lines += [f"Läs mer och svara här: {link}", "", "VARFÖR FÅR NI DETTA?", *(f" - {reason}" for reason in why), ""]
    lines += ["DET HÄR GÄLLER", texts.summary, ""] if texts.summary else []
    lines += [f"Kontakt: {official.name}, {official.phone or ''}".rstrip(", ")] if official else []
    lines += [f"Diarienummer: {texts.diary_number}"] if texts.diary_number else []
    return [*lines, f"Sluta få inbjudningar: {link.replace('/i/', '/avsluta/')}"]


def _english(round_: Round, link: str, stop: str) -> list[str]:
    texts = round_.texts
    lines = ["-- English --", texts.title_en or texts.title]
    lines += [texts.question_en] if texts.question_en else []
    lines += [f"Reply by {round_.respond_by.isoformat()}."] if round_.respond_by else []
    return [*lines, f"Read more and reply: {link}", f"Stop invitations: {stop}"]


def _facts(company: Company) -> Workplace:
    codes = tuple(industry.code for industry in company.sni)
    return Workplace(company.workplace_id, company.name, company.street, codes)
