"""A letter on paper to a recipient whom nothing else reaches: what stands on it, Swedish first and English second.

The words are those of the mail, with a code to type and a QR to scan in the place of links: both open the answer page.
What is made here is what is kept: printed again it is the same letter. `printing` makes the pages of it.
"""

from dataclasses import dataclass, field

from pydantic import TypeAdapter

from services.rendering import asking, dates
from services.rendering.dates import Lang
from services.rendering.letter import Letter, Section
from services.rendering.mail import half, personal


@dataclass(frozen=True, slots=True)
class Postal:
    """A name and a visiting address, as the register has them."""

    name: str
    street: str
    postcode: str
    town: str

    @property
    def lines(self) -> tuple[str, ...]:
        """As they stand in an envelope's window."""
        return tuple(line for line in (self.name, self.street, f"{self.postcode} {self.town}".strip()) if line)


@dataclass(frozen=True, slots=True)
class Way:
    """How the answer page is reached from paper. Each holds a secret: never logged."""

    url: str = field(repr=False)
    """What the QR holds."""
    code: str = field(repr=False)
    code_url: str
    """The page on which the code is typed."""


@dataclass(frozen=True, slots=True)
class PaperHalf:
    """One language's half, in reading order."""

    lang: Lang
    rehearsal: str
    intro: str
    heading: str
    deadline: str
    lead: tuple[str, ...]
    answer: str
    """Leads to the code, which stands below it."""
    scan: str
    qr_alt: str
    sections: tuple[Section, ...]
    stop: str
    note: str


@dataclass(frozen=True, slots=True)
class Paper:
    """One letter."""

    title: str
    sender: str
    address: tuple[str, ...]
    date: str
    way: Way
    halves: tuple[PaperHalf, PaperHalf]


_KEPT = TypeAdapter(Paper)


def paper(letter: Letter, to: Postal, way: Way) -> Paper:
    """The letter."""
    return Paper(
        title=asking.heading(letter.round, "sv", letter.wording),
        sender=letter.brand.municipality,
        address=to.lines,
        date=dates.full(dates.local(letter.at).date(), "sv"),
        way=way,
        halves=(_half(letter, way, "sv"), _half(letter, way, "en")),
    )


def kept(letter: Paper) -> bytes:
    """A letter as it is kept."""
    return _KEPT.dump_json(letter)


def again(data: bytes) -> Paper:
    """A letter that was kept. Raises `ValueError`."""
    return _KEPT.validate_json(data)


def _half(letter: Letter, way: Way, lang: Lang) -> PaperHalf:
    words, mail = letter.words(lang, "paper"), half(letter, personal(letter), lang)
    shown = way.code_url.partition("://")[2]
    return PaperHalf(
        lang=lang,
        rehearsal=mail.rehearsal,
        intro=mail.intro,
        heading=mail.heading,
        deadline=mail.deadline,
        lead=mail.lead,
        answer=words["answer" if asking.asks(letter.round) else "read"].format(url=shown),
        scan=words["scan"],
        qr_alt=words["qr"],
        sections=(mail.why, *(_on_paper(letter, section, lang) for section in mail.sections)),
        stop=words["stop"].format(url=shown, code=way.code),
        note=words["other_language"],
    )


def _on_paper(letter: Letter, section: Section, lang: Lang) -> Section:
    """A mail's section; whoever doubts a letter has no mail in hand."""
    doubt, instead = letter.words(lang)["doubt"], letter.words(lang, "paper")["doubt"]
    return Section(section.title, tuple(instead if line == doubt else line for line in section.lines), section.listed)
