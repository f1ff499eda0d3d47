"""The composer that the notifier is run with: from values to the exact bytes of one mail or one SMS.

The bytes depend on nothing but the values (no clock, no random boundary), so a resend is the same mail with the same
Message-ID and Date. Mail is plain text, Swedish first and English second; what stands in a header is one line by its
type. SMS keeps to one part of 160 characters of GSM 03.38: the title yields, never the date or the link.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import Final

from schemas.company import Company
from schemas.invitation import Invitation, InvitedWorkplace, Reason
from schemas.round import Round
from services.notifier.composing import Draft
from services.notifier.numbers import mint
from services.notifier.settings import NotifierOptions

SMS_CHARACTERS: Final = 160
_MOST_PLACES: Final = 10
_FOLDED: Final = str.maketrans({"–": "-", "—": "-", "’": "'", "‘": "'", "”": '"', "“": '"', "…": "...", "\u00a0": " "})
_MONTHS: Final = tuple(
    "januari februari mars april maj juni juli augusti september oktober november december".split()  # noqa: SIM905
)
    "januari",
    "februari",
    "mars",
    "april",
    "maj",
    "juni",
    "juli",
    "augusti",
    "september",
    "oktober",
    "november",
    "december",
]


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
        if draft.channel == "sms":
            return self._sms(round_, link).encode()
        return self._mail(draft, round_, link, _why(invitations, companies))

    def _sms(self, round_: Round, link: str) -> str:
        until = (
            f" Svara senast {round_.respond_by.day}/{round_.respond_by.month}:" if round_.respond_by else " Läs mer:"
        )
        room = SMS_CHARACTERS - len(f"{self._name}:  kan påverka er.{until} {link}")
        title = _cut(round_.texts.title.translate(_FOLDED), room)
        return f"{self._name.translate(_FOLDED)}: {title} kan påverka er.{until} {link}"

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
    until = f" Svara senast {_day(round_.respond_by)}" if round_.respond_by else ""
    return f"{round_.texts.title} – påverkas ni?{until}"


def _swedish(round_: Round, link: str, why: Sequence[str]) -> list[str]:
    texts = round_.texts
    official = texts.official
    lines = [texts.title, ""]
    lines += [texts.question] if texts.question else []
    lines += [f"Svara senast {_day(round_.respond_by)}."] if round_.respond_by else []
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


def _why(invitations: Sequence[Invitation], companies: Mapping[str, Company]) -> list[str]:
    places = {place.workplace_id: place for invitation in invitations for place in invitation.workplaces}
    shown = sorted(places.values(), key=lambda p: (p.distance_m is None, p.distance_m or 0, p.workplace_id))
    lines = [_place(place, companies.get(place.workplace_id)) for place in shown[:_MOST_PLACES]]
    more = len(shown) - len(lines) + sum(invitation.more_workplaces for invitation in invitations)
    return [*lines, f"och {more} arbetsställen till"] if more > 0 else lines


def _place(place: InvitedWorkplace, company: Company | None) -> str:
    named = ", ".join(part for part in (company.name, company.street) if part) if company else "Ert arbetsställe"
    said = list(dict.fromkeys(_reason(reason) for reason in place.reasons))
    return f"{named}: {'; '.join(said)}."


def _reason(reason: Reason) -> str:
    if reason.kind == "distance" and reason.distance_m is not None:
        return f"ligger {reason.distance_m:.0f} meter från området"
    words = {
        "distance": "ligger nära området",
        "industry": f"er bransch {reason.code or ''} berörs".replace("  ", " "),
        "municipality": "ni är verksamma i kommunen",
        "subscription": "ni bevakar det här",
        "named": "ni är särskilt utpekade i ärendet",
        "participant": "ni har deltagit tidigare",
        "added": "en handläggare har lagt till er",
    }
    return words[reason.kind]


def _day(day: date) -> str:
    return f"{day.day} {_MONTHS[day.month - 1]}"


def _cut(text: str, room: int) -> str:
    """Cut at a word, with room for the dots."""
    if len(text) <= room:
        return text
    return text[: max(room - 3, 0)].rsplit(" ", 1)[0].rstrip() + "..."
