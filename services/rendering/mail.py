"""The mail that invites a business, and its exact bytes.

`render` makes the words: Swedish first, English second, the same in text and HTML, without anything fetched from
elsewhere. Text of a case is shown as text: the HTML template escapes it (FC-041). `compose` makes the message of them.
It is deterministic, since the notifier stores the bytes with the intent and must be able to send the same again, and
no line break can come into a header (FC-039): words are put in one line, addresses and links with one are refused.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from email.header import Header
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8, EmailPolicy
from email.utils import format_datetime
from typing import Final, Literal

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from schemas.case import Meeting
from schemas.invitation import InvitedWorkplace
from schemas.round import Purpose, Round
from services.rendering import changes, dates
from services.rendering.dates import Lang
from services.rendering.plaintext import wrap
from services.rendering.shorten import chop
from services.rendering.why import Workplace, is_own_wish, why_block
from services.rendering.words import ANSWERS, COMING, WORDS

LONGEST_SUBJECT: Final = 65
_PREHEADER: Final = 130
_SUMMARY: Final = 800
_STATEMENT: Final = 160
_MOST: Final = 4
"""Statements and documents that a mail shows: Gmail hides what is beyond 100 kB, and the page has all."""
_PLAIN_NAME: Final = 60


@dataclass(frozen=True, slots=True)
class Brand:
    """Who speaks: `Danderyds kommun`, the sender's display name, and whom to ask about personal data."""

    municipality: str
    sender: str
    privacy_contact: str = ""


@dataclass(frozen=True, slots=True)
class Links:
    """The recipient's own pages: answer, stop, change. Each holds a secret: never logged."""

    answer_url: str = field(repr=False)
    stop_url: str = field(repr=False)
    manage_url: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Letter:
    """Everything a mail is made of."""

    brand: Brand
    recipient: str
    """The company; empty for a reader who has none in the register."""
    round: Round
    workplaces: tuple[InvitedWorkplace, ...]
    facts: Mapping[str, Workplace]
    links: Links
    kind: Literal["first"] = "first"
    more_workplaces: int = 0
    told_at: datetime | None = None
    """Of a change: when the first message was sent."""


@dataclass(frozen=True, slots=True)
class RenderedMail:
    """A mail's words."""

    subject: str
    preheader: str
    text: str
    html: str


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


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and its paragraphs; `listed` ones are shown as points."""

    title: str
    lines: tuple[str, ...]
    listed: bool = False


@dataclass(frozen=True, slots=True)
class Half:
    """One language's half of a mail, in reading order."""

    lang: Lang
    intro: str
    heading: str
    deadline: str
    invitation: str
    buttons: tuple[tuple[str, str], ...]
    why: Section
    sections: tuple[Section, ...]
    stop: str
    manage: str
    note: str


def render(letter: Letter) -> RenderedMail:
    """The words of a mail."""
    halves = (_half(letter, "sv"), _half(letter, "en"))
    subject = _subject(letter.round)
    preheader = _preheader(letter.round, halves[0])
    values = {"subject": subject, "preheader": preheader, "halves": halves, "links": letter.links}
    return RenderedMail(subject, preheader, _TEXT.render(values), _HTML.render(values))


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
    """Both parts as quoted-printable, so that no line is long and no relay has to re-encode, after the MIME headers."""
    message = EmailMessage(policy)
    message.set_content(rendered.text, charset="utf-8", cte="quoted-printable")
    message.add_alternative(rendered.html, subtype="html", charset="utf-8", cte="quoted-printable")
    message.set_boundary("=_" + hashlib.blake2b(message_id.encode(), digest_size=16).hexdigest())
    return message.as_bytes()


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


def _is_change(round_: Round) -> bool:
    """It tells of what happened to an earlier message, and asks nothing, whatever its plan was copied from."""
    return round_.purpose is Purpose.CHANGE


def _asks(round_: Round) -> bool:
    return not _is_change(round_) and round_.plan is not None and round_.plan.asks


def _meeting(round_: Round) -> Meeting | None:
    """The meeting, where the mail invites to it."""
    return round_.texts.meeting if _asks(round_) else None


def _title(round_: Round, lang: Lang) -> str:
    return (round_.texts.title_en if lang == "en" else "") or round_.texts.title


def _subject(round_: Round) -> str:
    """At most 65 characters: the title yields, at a word, never the date."""
    meeting = _meeting(round_)
    if _is_change(round_):
        start, end = changes.subject_start(round_), ""
    elif meeting is not None:
        start, end = f"Dialogmöte {dates.short(dates.local(meeting.start).date(), 'sv')} om ", " – kommer ni?"
    elif _asks(round_):
        by = f" Svara senast {dates.short(round_.respond_by, 'sv')}" if round_.respond_by else ""
        start, end = "", f" – påverkas ni?{by}"
    else:
        start, end = _NEWS[round_.purpose], ""
    return start + chop(_title(round_, "sv"), LONGEST_SUBJECT - len(start) - len(end), "…") + end


_NEWS: Final = {
    Purpose.ASK: "Information: ",
    Purpose.INFORM: "Information: ",
    Purpose.FEEDBACK: "Så påverkade svaren: ",
}


def _preheader(round_: Round, half: Half) -> str:
    if _is_change(round_):
        return chop(half.deadline, _PREHEADER, "…")
    by = f"Svara senast {dates.short(round_.respond_by, 'sv')}. " if _asks(round_) and round_.respond_by else ""
    return chop(by + " ".join(half.why.lines), _PREHEADER, "…")


def _half(letter: Letter, lang: Lang) -> Half:
    round_, words = letter.round, WORDS[lang]
    if _is_change(round_):
        what: tuple[Section, ...] = (Section(words["to_do"], changes.to_do(round_, lang)), _who(letter, lang))
        why: Sequence[str] = (changes.why(letter.told_at, lang),)
    else:
        what = (_about(round_, lang), _when(round_, lang), _who(letter, lang), _privacy(letter, lang))
        why = why_block(round_, letter.workplaces, letter.facts, lang, letter.more_workplaces)
    return Half(
        lang=lang,
        intro=_intro(letter, lang),
        heading=_heading(round_, lang),
        deadline=_deadline(round_, lang),
        invitation=_invitation(round_, lang),
        buttons=_buttons(round_, letter.links.answer_url, lang),
        why=Section(words["why"], tuple(why), listed=True),
        sections=tuple(section for section in what if section.lines),
        stop=words["stop"],
        manage=words["manage"],
        note=words["other_language"],
    )


def _intro(letter: Letter, lang: Lang) -> str:
    kind = "invites" if _meeting(letter.round) else "asks" if _asks(letter.round) else "informs"
    recipient = letter.recipient or WORDS[lang]["you"]
    return WORDS[lang][kind].format(municipality=letter.brand.municipality, recipient=recipient)


def _heading(round_: Round, lang: Lang) -> str:
    title = _title(round_, lang)
    if _is_change(round_):
        return changes.heading(round_, lang)
    if not _asks(round_):
        return title
    if round_.texts.meeting is not None:
        return WORDS[lang]["come"].format(title=title)
    return _question(round_, lang) or WORDS[lang]["affected"].format(title=title)


def _question(round_: Round, lang: Lang) -> str:
    return (round_.texts.question_en if lang == "en" else "") or round_.texts.question


def _deadline(round_: Round, lang: Lang) -> str:
    """The line below the heading: the last day, or, of a change, what happened."""
    if _is_change(round_):
        return changes.happened(round_, lang)
    if not _asks(round_):
        return WORDS[lang]["just_information"]
    by = round_.respond_by
    return WORDS[lang]["answer_by"].format(day=dates.full(by, lang)) if by else ""


def _invitation(round_: Round, lang: Lang) -> str:
    """The words before the visible link."""
    if not _asks(round_):
        return WORDS[lang]["read_here"]
    minutes = round_.plan.minutes if round_.plan else 0
    return WORDS[lang]["answer_takes"].format(minutes=minutes) if minutes else WORDS[lang]["answer_here"]


def _buttons(round_: Round, url: str, lang: Lang) -> tuple[tuple[str, str], ...]:
    """Labels and links. A question in the case's own words cannot be answered by yes or no: it gets one button."""
    if not _asks(round_):
        return ((WORDS[lang]["read_button"], url),)
    if round_.texts.meeting is None and round_.texts.question:
        return ((WORDS[lang]["answer_button"], url),)
    choices = ANSWERS if round_.texts.meeting is None else COMING
    joint = "&" if "?" in url else "?"
    return tuple((label, f"{url}{joint}svar={answer}") for answer, label in choices[lang])


def _about(round_: Round, lang: Lang) -> Section:
    texts, words = round_.texts, WORDS[lang]
    title = _title(round_, lang)
    summary = (texts.summary_en if lang == "en" else "") or texts.summary
    lines = [] if title in _heading(round_, lang) else [title]
    if _meeting(round_) and _question(round_, lang):
        lines.append(_question(round_, lang))
    lines += [line for line in chop(summary, _SUMMARY, "…").split("\n") if line.strip()]
    lines += _some([words["open"].format(text=chop(text, _STATEMENT, "…")) for text in texts.open_questions], lang)
    lines += _some([words["decided"].format(text=chop(text, _STATEMENT, "…")) for text in texts.already_decided], lang)
    if texts.urgent_reason:
        lines.append(words["urgent"].format(text=texts.urgent_reason))
    lines += _some([f"{document.title}: {document.url}" for document in texts.documents], lang)
    return Section(words["about"], tuple(lines))


def _some(lines: list[str], lang: Lang) -> list[str]:
    left = len(lines) - _MOST
    return [*lines[:_MOST], WORDS[lang]["more"].format(left=left)] if left > 0 else lines


def _when(round_: Round, lang: Lang) -> Section:
    texts, words = round_.texts, WORDS[lang]
    lines = []
    if meeting := texts.meeting:
        day, at = dates.full(dates.local(meeting.start).date(), lang), dates.clock(meeting.start, lang)
        lines.append(words["meeting"].format(day=day, clock=at, place=meeting.place))
    if stage := (texts.stage_en if lang == "en" else "") or texts.stage:
        lines.append(words["stage"].format(stage=stage))
    if round_.event_at is not None:
        lines.append(words["event"].format(day=dates.full(dates.local(round_.event_at).date(), lang)))
    if round_.decision_at is not None:
        key = "decision_body" if texts.decision_body else "decision"
        day = dates.full(round_.decision_at, lang)
        lines.append(words[key].format(day=day, body=texts.decision_body))
    return Section(words["when"], tuple(lines))


def _who(letter: Letter, lang: Lang) -> Section:
    """The trust strip: a named official, a phone number, the diary number; and whether a click is a formal comment."""
    texts, words = letter.round.texts, WORDS[lang]
    official = texts.official
    named = [official.name, official.title, texts.unit, official.phone, official.email] if official else [texts.unit]
    shown = ", ".join(part for part in named if part)
    number = texts.diary_number
    strip = " ".join(
        part
        for part in (f"{shown}." if shown else "", words["diary_number"].format(number=number) if number else "")
        if part
    )
    lines = [strip] if strip else [f"{letter.brand.municipality}."]
    if letter.round.plan is not None and letter.round.plan.statutory:
        lines.append(words["statutory"].format(reference=words["reference"].format(number=number) if number else ""))
    if number:
        lines.append(words["doubt"])
    return Section(words["who"], tuple(lines))


def _privacy(letter: Letter, lang: Lang) -> Section:
    """What the first mail must say to somebody whose data came from elsewhere (GDPR art. 14)."""
    if letter.kind != "first":
        return Section("", ())
    words, contact = WORDS[lang], letter.brand.privacy_contact
    line = words["controller_own" if is_own_wish(letter.workplaces, letter.facts) else "controller"].format(
        municipality=letter.brand.municipality,
        source=words["made_up"] if letter.round.synthetic else words["register"],
        contact=words["contact"].format(contact=contact) if contact else "",
    )
    return Section(words["privacy"], (line,))


def templates() -> Environment:
    """The templates of mails, shared by every kind of them."""
    return _TEMPLATES


_TEMPLATES: Final = Environment(
    loader=PackageLoader("services.rendering", "templates"),
    autoescape=select_autoescape(disabled_extensions=("txt.j2",), default=True, default_for_string=True),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
    auto_reload=False,
)
_TEMPLATES.filters["wrap"] = wrap
_TEXT: Final = _TEMPLATES.get_template("mail.txt.j2")
_HTML: Final = _TEMPLATES.get_template("mail.html.j2")
