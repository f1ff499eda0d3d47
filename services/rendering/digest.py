"""Several matters in one mail, to somebody who wishes so or would be asked too often: sorted by their last day.

Each item says what is asked, until when, why, and has its own link to answer by; the mail says why it came as one. It
is never empty, and shows at most ten: the page that its link leads to has all.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Final, Literal

from schemas.invitation import InvitedWorkplace
from schemas.round import Round
from services.rendering import asking, sections
from services.rendering.calendar import attached
from services.rendering.dates import Lang
from services.rendering.letter import Brand, Links, Section, called
from services.rendering.mail import rehearsal_mark
from services.rendering.message import LONGEST_SUBJECT, RenderedMail
from services.rendering.shorten import chop
from services.rendering.why import Workplace, source_lines, why_lines
from services.rendering.wording import LANGUAGES, STANDARD, Wording, Words

MOST_ITEMS: Final = 10
_MOST_REASONS: Final = 2
_PREHEADER: Final = 130
Gathered = Literal["daily", "weekly", "ring", "budget"]
"""Why matters come gathered: the reader's wish, matters that all get once a week, or so as not to ask too often."""


@dataclass(frozen=True, slots=True)
class Item:
    """One round in a digest. `url` leads to its own form and holds a secret: never logged."""

    round: Round
    workplaces: tuple[InvitedWorkplace, ...]
    url: str = field(repr=False)
    more_workplaces: int = 0


@dataclass(frozen=True, slots=True)
class DigestLetter:
    """Everything a digest is made of. `more` counts rounds beyond the items, which the page has too."""

    brand: Brand
    recipients: tuple[str, ...]
    items: tuple[Item, ...]
    facts: Mapping[str, Workplace]
    links: Links
    at: datetime
    """When it is written."""
    gathered: Gathered = "weekly"
    more: int = 0
    introduce: bool = True
    rehearsal: bool = False
    wording: Wording = STANDARD
    lang: Lang = "sv"
    """Of the subject, which has no room for both."""


@dataclass(frozen=True, slots=True)
class ItemHalf:
    """One language's half of an item."""

    title: str
    about: tuple[str, ...]
    deadline: str
    reasons: tuple[str, ...]
    label: str
    url: str


@dataclass(frozen=True, slots=True)
class DigestHalf:
    """One language's half of a digest, in reading order."""

    lang: Lang
    rehearsal: str
    intro: str
    heading: str
    lead: str
    why: str
    items: tuple[ItemHalf, ...]
    more: str
    sections: tuple[Section, ...]
    stop: str
    manage: str
    note: str


def render_digest(letter: DigestLetter) -> RenderedMail:
    """The words of a digest. Raises `ValueError` for one without items, which must not be sent."""
    if not letter.items:
        raise ValueError("a digest without items is not sent: end it with its reason instead")
    ordered = in_order(letter.items)
    halves = tuple(half(letter, lang) for lang in LANGUAGES)
    subject = _subject(letter, len(ordered) + letter.more)
    preheader = chop(" ".join(item.title + "." for item in halves[0].items), _PREHEADER, "…")
    values = {"subject": subject, "preheader": preheader, "halves": halves, "links": letter.links}
    text, html = (letter.wording.template(f"digest.{kind}") for kind in ("txt", "html"))
    file = attached((item.round for item in ordered[:MOST_ITEMS]), letter.links.cases_url, "sv", letter.at)
    return RenderedMail(subject, preheader, text.render(values), html.render(values), file)


def in_order(items: tuple[Item, ...]) -> tuple[Item, ...]:
    """By last day, as the page has them."""
    return tuple(sorted(items, key=lambda item: asking.order(item.round)))


def _subject(letter: DigestLetter, count: int) -> str:
    words = letter.wording.words("mail.subject", letter.lang)
    mark = rehearsal_mark(letter.wording, letter.lang, rehearsal=letter.rehearsal)
    if count > 1:
        return mark + words[f"gathers_{letter.gathered}"].format(count=count)
    start, _, end = words["gathers_one"].partition("{title}")
    room = LONGEST_SUBJECT - len(mark + start + end)
    return mark + start + chop(asking.title(letter.items[0].round, letter.lang), room, "…") + end


def _counted(count: int, words: Words) -> str:
    """Such as `3 ärenden som rör er`."""
    return words["gathered_one"] if count == 1 else words["gathered"].format(count=count)


def half(letter: DigestLetter, lang: Lang) -> DigestHalf:
    """One language's half."""
    ordered = in_order(letter.items)
    words = letter.wording.words("mail", lang)
    shown = ordered[:MOST_ITEMS]
    left = len(ordered) - len(shown) + letter.more
    places = tuple(place for item in ordered for place in item.workplaces)
    newest = max((item.round for item in ordered), key=lambda round_: round_.register_date or date.min)
    below = (
        Section(words["facts"], tuple(source_lines(newest, places, letter.facts, lang))),
        sections.privacy(letter.brand, letter.links, newest, places, letter.facts, words, introduce=letter.introduce),
    )
    return DigestHalf(
        lang=lang,
        rehearsal=words["rehearsal"] if letter.rehearsal else "",
        intro=words["gathers"].format(
            municipality=letter.brand.municipality, recipient=called(letter.recipients, words)
        ),
        heading=_counted(len(ordered) + letter.more, words),
        lead=words[f"gathered_{letter.gathered}"],
        why=words["why"],
        items=tuple(_item(item, letter, lang) for item in shown),
        more=words["more_cases"].format(left=left) if left else words["all_cases"],
        sections=tuple(section for section in below if section.lines),
        stop=words["stop"],
        manage=words["manage"],
        note=words["other_language"],
    )


def _item(item: Item, letter: DigestLetter, lang: Lang) -> ItemHalf:
    round_ = item.round
    words = letter.wording.words("mail", lang, asking.form(round_))
    heading = asking.heading(round_, lang, letter.wording)
    reasons = why_lines(item.workplaces, letter.facts, round_.texts, lang, item.more_workplaces)
    short = [*reasons[:_MOST_REASONS], words["more_reasons"]] if len(reasons) > _MOST_REASONS else reasons
    return ItemHalf(
        title=heading,
        about=tuple(_about(round_, heading, lang, words)),
        deadline=asking.deadline(round_, lang, letter.wording),
        reasons=tuple(short),
        label=words["answer_button"] if asking.asks(round_) else words["read_button"],
        url=item.url,
    )


def _about(round_: Round, heading: str, lang: Lang, words: Words) -> Iterator[str]:
    """What the heading does not say: the case, and when and where one meets."""
    title = asking.title(round_, lang)
    if title not in heading:
        yield title
    if asking.meeting(round_):
        yield sections.of_meeting(round_, lang, words)
