"""The mail that invites a business, reminds it, tells it of a change or of what came of its answers.

`render` makes the words: Swedish first, English second, the same in text and HTML, without anything fetched from
elsewhere. Text of a case is shown as text: the HTML template escapes it (FC-041). A reminder asks what the first mail
asked and nothing else; it says when that was sent, and is short.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from schemas.round import Purpose, Round
from services.rendering import asking, changes, dates, sections
from services.rendering.calendar import attached
from services.rendering.dates import Lang
from services.rendering.letter import Half, Letter, Links, Section, called
from services.rendering.message import LONGEST_SUBJECT, RenderedMail
from services.rendering.shorten import chop
from services.rendering.why import why_block
from services.rendering.wording import LANGUAGES, Wording, Words

_PREHEADER: Final = 130


@dataclass(frozen=True, slots=True)
class Personal:
    """What of a mail differs between its readers; the rest is the round's."""

    intro: Mapping[Lang, str]
    why: Mapping[Lang, tuple[str, ...]]
    preheader: str
    links: Links


def render(letter: Letter) -> RenderedMail:
    """The words of a mail."""
    return rendered(letter, personal(letter))


def rendered(letter: Letter, own: Personal) -> RenderedMail:
    """The words of a mail, with what is its reader's own given apart."""
    halves = tuple(half(letter, own, lang) for lang in LANGUAGES)
    subject = _subject(letter)
    values = {"subject": subject, "preheader": own.preheader, "halves": halves, "links": own.links}
    text, html = (letter.wording.template(f"mail.{kind}", asking.form(letter.round)) for kind in ("txt", "html"))
    file = attached([letter.round], letter.links.cases_url, "sv", letter.at)
    return RenderedMail(subject, own.preheader, text.render(values), html.render(values), file)


def personal(letter: Letter) -> Personal:
    """What is the reader's own."""
    why = {lang: tuple(_why(letter, lang)) for lang in LANGUAGES}
    intro = {lang: _intro(letter, letter.words(lang)) for lang in LANGUAGES}
    return Personal(intro, why, _preheader(letter, why["sv"]), letter.links)


def _subject(letter: Letter) -> str:
    """At most 65 characters: the title yields, at a word, never the date."""
    start, _, end = _subject_frame(letter).partition("{title}")
    start = rehearsal_mark(letter.wording, letter.lang, rehearsal=letter.rehearsal) + start
    return start + chop(asking.title(letter.round, letter.lang), LONGEST_SUBJECT - len(start) - len(end), "…") + end


def _subject_frame(letter: Letter) -> str:
    """The subject with a place for the title."""
    round_, lang, words = letter.round, letter.lang, letter.words(letter.lang, "mail.subject")
    if asking.is_change(round_):
        return changes.subject(round_, lang, letter.wording)
    if letter.kind == "reminder":
        return _last_day(round_.respond_by, dates.local(letter.at).date(), lang, words)
    if meeting := asking.meeting(round_):
        return words["meets"].replace("{day}", dates.short(dates.local(meeting.start).date(), lang))
    if asking.asks(round_):
        by = round_.respond_by
        return words["asks_by"].replace("{day}", dates.short(by, lang)) if by else words["asks"]
    return words["feeds_back" if round_.purpose is Purpose.FEEDBACK else "informs"]


def _last_day(by: date | None, on: date, lang: Lang, words: Words) -> str:
    """How long there is left to answer, seen from the day of sending."""
    if by is None:
        return words["reminds"]
    if timedelta() <= by - on <= timedelta(days=1):
        return words["reminds_today" if by == on else "reminds_tomorrow"]
    return words["reminds_by"].replace("{day}", dates.short(by, lang))


def rehearsal_mark(wording: Wording, lang: Lang, *, rehearsal: bool) -> str:
    """What the subject of a rehearsal begins with."""
    return wording.words("mail.subject", lang)["rehearsal"] if rehearsal else ""


def _preheader(letter: Letter, why: Sequence[str]) -> str:
    round_ = letter.round
    if asking.is_change(round_):
        return chop(asking.deadline(round_, "sv", letter.wording), _PREHEADER, "…")
    short = dates.short(round_.respond_by, "sv") if asking.asks(round_) and round_.respond_by else ""
    by = letter.words("sv")["answer_by"].format(day=short) + ". " if short else ""
    return chop(by + " ".join(why), _PREHEADER, "…")


def half(letter: Letter, own: Personal, lang: Lang) -> Half:
    """One language's half, in reading order."""
    round_, words = letter.round, letter.words(lang)
    return Half(
        lang=lang,
        rehearsal=words["rehearsal"] if letter.rehearsal else "",
        intro=own.intro[lang],
        heading=asking.heading(round_, lang, letter.wording),
        deadline=asking.deadline(round_, lang, letter.wording),
        lead=_lead(letter, lang),
        invitation=_invitation(round_, words),
        buttons=_buttons(letter, own.links.answer_url, lang),
        why=Section(words["why"], own.why[lang], listed=True),
        sections=tuple(section for section in _sections(letter, lang) if section.lines),
        stop=words["stop"],
        manage=words["manage"],
        note=words["other_language"],
    )


def _why(letter: Letter, lang: Lang) -> Sequence[str]:
    if asking.is_change(letter.round):
        return (changes.why(letter.told_at, lang, letter.wording),)
    return why_block(letter.round, letter.workplaces, letter.facts, lang, letter.more_workplaces)


def _sections(letter: Letter, lang: Lang) -> tuple[Section, ...]:
    """What stands below the question, in reading order. A change is short: the page has the rest."""
    who, words = sections.who(letter, lang), letter.words(lang)
    if asking.is_change(letter.round):
        return Section(words["to_do"], changes.to_do(letter.round, lang, letter.wording)), who
    privacy = sections.privacy(
        letter.brand, letter.links, letter.round, letter.workplaces, letter.facts, words, introduce=letter.introduce
    )
    return *sections.of_outcome(letter, lang), sections.about(letter, lang), sections.when(letter, lang), who, privacy


def _intro(letter: Letter, words: Words) -> str:
    if letter.kind == "reminder":
        kind = "reminds"
    elif letter.round.purpose is Purpose.FEEDBACK:
        kind = "feeds_back"
    else:
        kind = "invites" if asking.meeting(letter.round) else "asks" if asking.asks(letter.round) else "informs"
    return words[kind].format(municipality=letter.brand.municipality, recipient=called(letter.recipients, words))


def _lead(letter: Letter, lang: Lang) -> tuple[str, ...]:
    """Of a reminder: when the first message was sent, and that there will be no other. Of a feedback: what it is."""
    if letter.round.purpose is Purpose.FEEDBACK:
        return (letter.words(lang)["what_came_lead"],)
    if letter.kind != "reminder":
        return ()
    words, told = letter.words(lang), letter.told_at
    day = dates.day_and_month(dates.local(told).date(), lang) if told else ""
    return words["reminded_on"].format(day=day) if day else words["reminded"], words["reminded_once"]


def _invitation(round_: Round, words: Words) -> str:
    """The words before the visible link."""
    if not asking.asks(round_):
        return words["read_here"]
    minutes = round_.plan.minutes if round_.plan else 0
    return words["answer_takes"].format(minutes=minutes) if minutes else words["answer_here"]


def _buttons(letter: Letter, url: str, lang: Lang) -> tuple[tuple[str, str], ...]:
    """Labels and links. A question in the case's own words cannot be answered by yes or no: it gets one button."""
    round_, words = letter.round, letter.words(lang)
    if not asking.asks(round_):
        return ((words["read_button"], url),)
    if round_.texts.meeting is None and round_.texts.question:
        return ((words["answer_button"], url),)
    choices = letter.words(lang, "answers" if round_.texts.meeting is None else "coming")
    return tuple((label, f"{url}?svar={answer}") for answer, label in choices.items())
