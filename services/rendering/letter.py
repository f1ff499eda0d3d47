"""What a mail is made of, and its two halves in reading order."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal

from schemas.invitation import InvitedWorkplace
from schemas.round import Round
from services.rendering import asking
from services.rendering.dates import Lang
from services.rendering.why import Workplace
from services.rendering.wording import STANDARD, Wording, Words


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
    recipients: tuple[str, ...]
    """The companies that it is for; none for a reader who has none in the register."""
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
    wording: Wording = STANDARD
    lang: Lang = "sv"
    """Of the subject, which has no room for both."""

    def words(self, lang: Lang, table: str = "mail") -> Words:
        """The words of a language, for the form of dialogue."""
        return self.wording.words(table, lang, asking.form(self.round))


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


def called(names: tuple[str, ...], words: Words) -> str:
    """Those that a message is for, by name: a few, and how many there are besides (FC-050)."""
    if not names:
        return words["you"]
    shown, left = names[:_NAMED], len(names) - _NAMED
    if left > 0:
        return words["and_others"].format(names=", ".join(shown), left=left)
    return shown[0] if len(shown) == 1 else words["and"].format(names=", ".join(shown[:-1]), last=shown[-1])


_NAMED: Final = 3
