"""The mail that invites a business, or reminds it.

`render` makes the words: Swedish first, English second, the same in text and HTML, without anything fetched from
elsewhere. Text of a case is shown as text: the HTML template escapes it (FC-041). A reminder asks what the first mail
asked and nothing else; it says when that was sent, and is short.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Final, Literal

from schemas.invitation import InvitedWorkplace
from schemas.round import Purpose, Round
from services.rendering import asking, changes, dates, outcome
from services.rendering.calendar import attached
from services.rendering.dates import Lang
from services.rendering.message import LONGEST_SUBJECT, RenderedMail
from services.rendering.shorten import chop
from services.rendering.templating import templates
from services.rendering.why import Workplace, is_own_wish, why_block
from services.rendering.words import ANSWERS, COMING, WORDS

_PREHEADER: Final = 130
_SUMMARY: Final = 800
_STATEMENT: Final = 160
_MOST: Final = 4
"""Statements and documents that a mail shows: Gmail hides what is beyond 100 kB, and the page has all."""


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
    privacy_url: str
    """The page on personal data: the same for all."""
    cases_url: str
    """What the public pages of cases begin with."""


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
    at: datetime
    """When it is written: a reminder's words count from its day."""
    kind: Literal["first", "reminder"] = "first"
    more_workplaces: int = 0
    told_at: datetime | None = None
    """Of a change or a reminder: when the first message was sent."""
    introduce: bool = True
    """Whether its reader is still owed what GDPR article 14 says; without it a line leads to the page that has it."""
    rehearsal: bool = False
    """Goes to the municipality's own staff, and says so."""


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
    rehearsal: str
    intro: str
    heading: str
    deadline: str
    lead: tuple[str, ...]
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
    subject = _subject(letter)
    preheader = _preheader(letter.round, halves[0])
    values = {"subject": subject, "preheader": preheader, "halves": halves, "links": letter.links}
    text, html = (templates().get_template(f"mail.{form}.j2") for form in ("txt", "html"))
    file = attached([letter.round], letter.links.cases_url, "sv", letter.at)
    return RenderedMail(subject, preheader, text.render(values), html.render(values), file)


def _subject(letter: Letter) -> str:
    """At most 65 characters: the title yields, at a word, never the date."""
    start, end = _subject_parts(letter)
    start = rehearsal_mark(rehearsal=letter.rehearsal) + start
    return start + chop(asking.title(letter.round, "sv"), LONGEST_SUBJECT - len(start) - len(end), "…") + end


def _subject_parts(letter: Letter) -> tuple[str, str]:
    """What stands before the title and after it."""
    round_ = letter.round
    meeting = asking.meeting(round_)
    if asking.is_change(round_):
        return changes.subject_start(round_), ""
    if letter.kind == "reminder":
        return f"{last_day(round_.respond_by, dates.local(letter.at).date(), 'sv')}: ", ""
    if meeting is not None:
        return f"Dialogmöte {dates.short(dates.local(meeting.start).date(), 'sv')} om ", " – kommer ni?"
    if asking.asks(round_):
        by = f" Svara senast {dates.short(round_.respond_by, 'sv')}" if round_.respond_by else ""
        return "", f" – påverkas ni?{by}"
    return _NEWS[round_.purpose], ""


def rehearsal_mark(*, rehearsal: bool) -> str:
    """What a message of a rehearsal begins with."""
    return _REHEARSAL if rehearsal else ""


def last_day(by: date | None, on: date, lang: Lang) -> str:
    """How long there is left to answer, seen from the day of sending."""
    words = WORDS[lang]
    if by is None:
        return words["reminder"]
    if timedelta() <= by - on <= timedelta(days=1):
        return words["last_day_today" if by == on else "last_day_tomorrow"]
    return words["reminder_by"].format(day=dates.short(by, lang))


_REHEARSAL: Final = "ÖVNING: "
_NEWS: Final = {
    Purpose.ASK: "Information: ",
    Purpose.INFORM: "Information: ",
    Purpose.FEEDBACK: WORDS["sv"]["what_came"].partition("{title}")[0],
}


def _preheader(round_: Round, half: Half) -> str:
    if asking.is_change(round_):
        return chop(half.deadline, _PREHEADER, "…")
    by = f"Svara senast {dates.short(round_.respond_by, 'sv')}. " if asking.asks(round_) and round_.respond_by else ""
    return chop(by + " ".join(half.why.lines), _PREHEADER, "…")


def _half(letter: Letter, lang: Lang) -> Half:
    round_, words = letter.round, WORDS[lang]
    if asking.is_change(round_):
        what: tuple[Section, ...] = (Section(words["to_do"], changes.to_do(round_, lang)), _who(letter, lang))
        why: Sequence[str] = (changes.why(letter.told_at, lang),)
    else:
        privacy = privacy_section(
            letter.brand, letter.links, round_, letter.workplaces, letter.facts, lang, introduce=letter.introduce
        )
        what = (*_outcome(round_, lang), _about(round_, lang), _when(round_, lang), _who(letter, lang), privacy)
        why = why_block(round_, letter.workplaces, letter.facts, lang, letter.more_workplaces)
    return Half(
        lang=lang,
        rehearsal=words["rehearsal"] if letter.rehearsal else "",
        intro=_intro(letter, lang),
        heading=asking.heading(round_, lang),
        deadline=asking.deadline(letter.round, lang),
        lead=_lead(letter, lang),
        invitation=_invitation(round_, lang),
        buttons=_buttons(round_, letter.links.answer_url, lang),
        why=Section(words["why"], tuple(why), listed=True),
        sections=tuple(section for section in what if section.lines),
        stop=words["stop"],
        manage=words["manage"],
        note=words["other_language"],
    )


def _intro(letter: Letter, lang: Lang) -> str:
    if letter.kind == "reminder":
        kind = "reminds"
    elif letter.round.purpose is Purpose.FEEDBACK:
        kind = "feeds_back"
    else:
        kind = "invites" if asking.meeting(letter.round) else "asks" if asking.asks(letter.round) else "informs"
    recipient = letter.recipient or WORDS[lang]["you"]
    return WORDS[lang][kind].format(municipality=letter.brand.municipality, recipient=recipient)


def _lead(letter: Letter, lang: Lang) -> tuple[str, ...]:
    """Of a reminder: when the first message was sent, and that there will be no other. Of a feedback: what it is."""
    if letter.round.purpose is Purpose.FEEDBACK:
        return (WORDS[lang]["what_came_lead"],)
    if letter.kind != "reminder":
        return ()
    words, told = WORDS[lang], letter.told_at
    day = dates.day_and_month(dates.local(told).date(), lang) if told else ""
    return words["reminded_on"].format(day=day) if day else words["reminded"], words["reminded_once"]


def _invitation(round_: Round, lang: Lang) -> str:
    """The words before the visible link."""
    if not asking.asks(round_):
        return WORDS[lang]["read_here"]
    minutes = round_.plan.minutes if round_.plan else 0
    return WORDS[lang]["answer_takes"].format(minutes=minutes) if minutes else WORDS[lang]["answer_here"]


def _buttons(round_: Round, url: str, lang: Lang) -> tuple[tuple[str, str], ...]:
    """Labels and links. A question in the case's own words cannot be answered by yes or no: it gets one button."""
    if not asking.asks(round_):
        return ((WORDS[lang]["read_button"], url),)
    if round_.texts.meeting is None and round_.texts.question:
        return ((WORDS[lang]["answer_button"], url),)
    choices = ANSWERS if round_.texts.meeting is None else COMING
    joint = "&" if "?" in url else "?"
    return tuple((label, f"{url}{joint}svar={answer}") for answer, label in choices[lang])


def _outcome(round_: Round, lang: Lang) -> tuple[Section, ...]:
    """Of a feedback: what came of the answers. The page has what is too long for a mail."""
    return tuple(
        Section(part.title, tuple(_some([chop(line, _SUMMARY, "…") for line in part.lines], lang)))
        for part in outcome.told(round_, lang)
    )


def _about(round_: Round, lang: Lang) -> Section:
    texts, words = round_.texts, WORDS[lang]
    title = asking.title(round_, lang)
    summary = (texts.summary_en if lang == "en" else "") or texts.summary
    lines = [] if title in asking.heading(round_, lang) else [title]
    if asking.meeting(round_) and asking.question(round_, lang):
        lines.append(asking.question(round_, lang))
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


def privacy_section(
    brand: Brand,
    links: Links,
    round_: Round,
    workplaces: Sequence[InvitedWorkplace],
    facts: Mapping[str, Workplace],
    lang: Lang,
    *,
    introduce: bool,
) -> Section:
    """What a first mail must say of personal data: of those from elsewhere (GDPR art. 14), and of those that the reader
    gave (art. 13). A later mail says where it stands.
    """
    words = WORDS[lang]
    if not introduce:
        return Section(words["privacy"], (words["privacy_page"].format(url=links.privacy_url),))
    own, asked = is_own_wish(workplaces, facts), brand.privacy_contact
    source = words["made_up"] if round_.synthetic else words["register"]
    lines = (
        words["controller"].format(
            municipality=brand.municipality, contact=words["contact"].format(contact=asked) if asked else ""
        ),
        words["purpose"],
        words["from_you"] if own else words["from_source"].format(source=source),
        words["kept_own" if own else "kept"],
        words["rights"].format(url=links.privacy_url),
    )
    return Section(words["privacy"], lines)
