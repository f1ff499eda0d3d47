"""The sections of a mail below its question: what came of the answers, what it is about, when, who, personal data."""

from collections.abc import Mapping, Sequence
from typing import Final

from schemas.invitation import InvitedWorkplace
from schemas.round import Purpose, Round
from services.rendering import asking, dates, outcome
from services.rendering.dates import Lang
from services.rendering.letter import Brand, Letter, Links, Section
from services.rendering.shorten import chop
from services.rendering.why import Workplace, is_own_wish
from services.rendering.wording import Words

_SUMMARY: Final = 800
_STATEMENT: Final = 160
_MOST: Final = 4
"""Statements and documents that a mail shows: Gmail hides what is beyond 100 kB, and the page has all."""


def of_outcome(letter: Letter, lang: Lang) -> tuple[Section, ...]:
    """Of a feedback: what came of the answers. The page has what is too long for a mail."""
    words = letter.words(lang)
    return tuple(
        Section(part.title, tuple(_some([chop(line, _SUMMARY, "…") for line in part.lines], words)))
        for part in outcome.told(letter.round, lang, letter.wording)
    )


def about(letter: Letter, lang: Lang) -> Section:
    """The case: what it is, what can be influenced, what is decided, what to read."""
    round_, texts, words = letter.round, letter.round.texts, letter.words(lang)
    title = asking.title(round_, lang)
    summary = (texts.summary_en if lang == "en" else "") or texts.summary
    lines = [] if title in asking.heading(round_, lang, letter.wording) else [title]
    if asking.meeting(round_) and asking.question(round_, lang):
        lines.append(asking.question(round_, lang))
    lines += [line for line in chop(summary, _SUMMARY, "…").split("\n") if line.strip()]
    if round_.purpose is not Purpose.FEEDBACK:  # what came of the answers stands above
        lines += _some([words["open"].format(text=chop(text, _STATEMENT, "…")) for text in texts.open_questions], words)
        decided = [words["decided"].format(text=chop(text, _STATEMENT, "…")) for text in texts.already_decided]
        lines += _some(decided, words)
    if texts.urgent_reason:
        lines.append(words["urgent"].format(text=texts.urgent_reason))
    lines += _some([f"{document.title}: {document.url}" for document in texts.documents], words)
    return Section(words["about"], tuple(lines))


def _some(lines: list[str], words: Words) -> list[str]:
    left = len(lines) - _MOST
    return [*lines[:_MOST], words["more"].format(left=left)] if left > 0 else lines


def when(letter: Letter, lang: Lang) -> Section:
    """The days that matter."""
    round_, texts, words = letter.round, letter.round.texts, letter.words(lang)
    lines = []
    if texts.meeting:
        lines.append(of_meeting(round_, lang, words))
    if stage := (texts.stage_en if lang == "en" else "") or texts.stage:
        lines.append(words["stage"].format(stage=stage))
    if round_.event_at is not None:
        lines.append(words["event"].format(day=dates.full(dates.local(round_.event_at).date(), lang)))
    if round_.decision_at is not None:
        key = "decision_body" if texts.decision_body else "decision"
        day = dates.full(round_.decision_at, lang)
        lines.append(words[key].format(day=day, body=texts.decision_body))
    return Section(words["when"], tuple(lines))


def of_meeting(round_: Round, lang: Lang, words: Words) -> str:
    """When and where one meets."""
    meeting = round_.texts.meeting
    if meeting is None:
        return ""
    day, at = dates.full(dates.local(meeting.start).date(), lang), dates.clock(meeting.start, lang)
    return words["meeting"].format(day=day, clock=at, place=meeting.place)


def who(letter: Letter, lang: Lang) -> Section:
    """The trust strip: a named official, a phone number, the diary number; and whether a click is a formal comment."""
    texts, words = letter.round.texts, letter.words(lang)
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


def privacy(
    brand: Brand,
    links: Links,
    round_: Round,
    workplaces: Sequence[InvitedWorkplace],
    facts: Mapping[str, Workplace],
    words: Words,
    *,
    introduce: bool,
) -> Section:
    """What a first mail must say of personal data: of those from elsewhere (GDPR art. 14), and of those that the reader
    gave (art. 13). A later mail says where it stands.
    """
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
