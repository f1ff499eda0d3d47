"""The short mails that somebody asked for by what they just did: confirm, open one's list, a receipt, a stop.

Swedish first, English second, the same in text and HTML, one link. What the reader typed is shown nowhere; a kind has
its parameters, and one that is missing is left out.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from schemas.notice import CONFIRM, MAGIC_LINK, RECEIPT, STOPPED
from schemas.round import Round
from services.rendering import dates
from services.rendering.dates import Lang
from services.rendering.letter import Brand
from services.rendering.mail import rehearsal_mark
from services.rendering.message import LONGEST_SUBJECT, RenderedMail
from services.rendering.shorten import chop
from services.rendering.sms import LONGEST_LINK, PART, fold, septets
from services.rendering.wording import LANGUAGES, STANDARD, Wording, Words

_PREHEADER: Final = 130


@dataclass(frozen=True, slots=True)
class NoticeLetter:
    """Everything a notice's mail is made of. `url` holds a secret: never logged."""

    brand: Brand
    kind: str
    parameters: Mapping[str, str]
    url: str = field(repr=False)
    expires_at: datetime
    round: Round | None = None
    rehearsal: bool = False
    """Goes to the municipality's own staff, and says so."""
    wording: Wording = STANDARD
    lang: Lang = "sv"
    """Of the subject, which has no room for both."""

    def words(self, lang: Lang, table: str = "") -> Words:
        """The words of its kind, or of another table of notices."""
        return self.wording.words(f"notices.{table or _kind(self)}", lang)


@dataclass(frozen=True, slots=True)
class Half:
    """One language's half, in reading order."""

    lang: Lang
    intro: str
    heading: str
    lines: tuple[str, ...]
    button: str
    visible: str
    foot: tuple[str, ...]
    note: str


def render_notice(letter: NoticeLetter) -> RenderedMail:
    """The words of a notice. Raises `ValueError` for a kind that has none."""
    if not letter.words("sv"):
        raise ValueError(f"no words for a notice of kind {letter.kind}")
    halves = tuple(half(letter, lang) for lang in LANGUAGES)
    subject, preheader = _subject(letter), chop(" ".join(halves[0].lines), _PREHEADER, "…")
    values = {"subject": subject, "preheader": preheader, "halves": halves, "url": letter.url}
    text, html = (letter.wording.template(f"notice.{form}") for form in ("txt", "html"))
    return RenderedMail(subject, preheader, text.render(values), html.render(values))


def notice_sms(letter: NoticeLetter, lang: Lang) -> str:
    """The same in one SMS; the title yields. Raises `ValueError` for a kind that has none, or too long a link."""
    frame = letter.words(lang, "sms").get(_kind(letter))
    if frame is None:
        raise ValueError(f"no SMS for a notice of kind {letter.kind}")
    if septets(letter.url) > LONGEST_LINK:
        raise ValueError(f"link: at most {LONGEST_LINK} septets; use a shorter base address")
    who, reference = (
        chop(fold(letter.brand.municipality), 30, "", septets),
        fold(letter.parameters.get("reference", "")),
    )
    filled = frame.format(who=who, title="\x00", reference=chop(reference, 20, "", septets), link=letter.url)
    room = PART - septets(filled.replace("\x00", ""))
    return filled.replace("\x00", chop(fold(_title(letter, lang)), room, "...", septets))


def _kind(letter: NoticeLetter) -> str:
    """A stop of a case, a kind of cases, or an area that is named has words of its own; any other stops all."""
    scope = letter.parameters.get("scope", "all")
    own = scope in ("case", "kind") or (scope == "area" and letter.parameters.get("title"))
    return f"stopped_{scope}" if letter.kind == STOPPED and own else letter.kind


def _subject(letter: NoticeLetter) -> str:
    start, title, end = letter.words(letter.lang, "subject")[_kind(letter)].partition("{title}")
    start = rehearsal_mark(letter.wording, letter.lang, rehearsal=letter.rehearsal) + start
    if not title:
        return start
    return start + chop(_title(letter, letter.lang), LONGEST_SUBJECT - len(start) - len(end), "…") + end


def half(letter: NoticeLetter, lang: Lang) -> Half:
    """One language's half."""
    words = letter.words(lang)
    title = _title(letter, lang)
    return Half(
        lang=lang,
        intro=letter.brand.municipality,
        heading=words["heading"].format(title=title),
        lines=_lines(letter, lang),
        button=words["button"],
        visible=letter.words(lang, "any")["visible"],
        foot=_foot(letter, lang),
        note="In English below" if lang == "sv" else "",
    )


def _lines(letter: NoticeLetter, lang: Lang) -> tuple[str, ...]:
    words = letter.words(lang)
    given = {**letter.parameters, "title": _title(letter, lang), "municipality": letter.brand.municipality}
    lines = [letter.wording.words("mail", lang)["rehearsal"]] if letter.rehearsal else []
    lines.append(words["line"].format_map(_Blank(given)))
    if letter.kind == CONFIRM:
        lines.append(words["industries"].format_map(_Blank(given)) if given.get("industries") else words["every"])
    if letter.kind == RECEIPT:
        lines += _receipt(letter, lang)
    return tuple(line for line in lines if line)


def _receipt(letter: NoticeLetter, lang: Lang) -> list[str]:
    words, given, round_ = letter.words(lang), letter.parameters, letter.round
    lines = []
    if reference := given.get("reference"):
        lines.append(words["reference"].format(reference=reference))
    if round_ is not None and round_.texts.diary_number:
        lines.append(words["diary_number"].format(number=round_.texts.diary_number))
    if answer := _answer(letter, lang):
        lines.append(words["answer"].format(answer=answer))
    if (count := given.get("answers", "1")).isdigit() and int(count) > 1:
        lines.append(words["more"].format(left=int(count) - 1))
    lines.append(words["public"])
    if round_ is not None and round_.respond_by is not None:
        lines.append(words["until"].format(day=dates.full(round_.respond_by, lang)))
    return lines


def _answer(letter: NoticeLetter, lang: Lang) -> str:
    """The answer as its button said it; one that no button has is not shown."""
    answer = letter.parameters.get("answer", "").replace("_", "-")
    meets = letter.round is not None and letter.round.texts.meeting is not None
    words = letter.wording.words("coming" if meets else "answers", lang)
    return words.get(answer) or letter.words(lang, "any").get(answer, "")


def _foot(letter: NoticeLetter, lang: Lang) -> tuple[str, ...]:
    lines = []
    if letter.kind in (CONFIRM, MAGIC_LINK):
        day = dates.full(dates.local(letter.expires_at).date(), lang)
        clock = dates.clock(letter.expires_at, lang)
        lines.append(letter.words(lang, "any")["until"].format(day=day, clock=clock))
    lines.append(letter.words(lang)["foot"])
    official = letter.round.texts.official if letter.round else None
    if official is not None:
        shown = ", ".join(part for part in (official.name, official.title, official.phone, official.email) if part)
        lines.append(letter.words(lang, "any")["ask"].format(official=shown))
    return tuple(lines)


def _title(letter: NoticeLetter, lang: Lang) -> str:
    """What it is about: the case, the kind of cases, or the area that is followed."""
    about_case = _kind(letter) in (RECEIPT, "stopped_case")
    english = letter.round.texts.title_en if letter.round is not None and about_case and lang == "en" else ""
    return english or letter.parameters.get("title", "") or letter.parameters.get("area", "")


class _Blank(dict[str, str]):
    """What was not given is left out."""

    def __missing__(self, key: str) -> str:
        return ""
