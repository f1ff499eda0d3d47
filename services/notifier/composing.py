"""What the sender needs of a composer: the exact bytes of one message from values, the same bytes for the same values.

The port is the notifier's; `composer.py` adapts services/rendering to it.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, Protocol

from schemas.company import Company
from schemas.invitation import Invitation
from schemas.round import Round

ANSWER_BY_SMS: Final = "answer_by_sms"
"""Kind of a notice to those who answer for a case: what somebody wrote to our number. In place of a link's path it
holds the number and the words, which are personal and stand nowhere else.
"""

_CASES: Final = "cases"


def about_cases(rounds: Sequence[Round]) -> dict[str, str]:
    """The parameters of such a notice: which cases the message told of that it answers."""
    return {_CASES: json.dumps([(one.texts.title, one.texts.diary_number or "") for one in rounds])}


def cases_of(parameters: Mapping[str, str]) -> list[tuple[str, str]]:
    """Title and diary number of each."""
    return [(title, diary_number) for title, diary_number in json.loads(parameters.get(_CASES, "[]"))]


@dataclass(frozen=True, slots=True)
class Draft:
    """A message that is to be written."""

    message_id: str
    number: int
    channel: str
    language: str
    address: str
    at: datetime
    told_at: datetime | None = None
    """Of a change or a reminder: when the first message left for this address."""
    introduce: bool = True
    """Whether this address is still owed what GDPR article 14 says. Telling twice harms nobody."""
    rehearsal: bool = False
    """Goes to own staff, and says so."""
    gathered: Literal["daily", "weekly", "ring", "budget"] = "weekly"
    """Of a digest: the reader's wish, a matter that all get once a week, or so as not to ask too often."""


@dataclass(frozen=True, slots=True)
class DigestItem:
    """One round in a digest, with the invitations to it that this address carries."""

    round_: Round
    invitations: Sequence[Invitation]


@dataclass(frozen=True, slots=True)
class Asked:
    """A notice that is to be written. It has the path of its link, or the number of the message that it is about."""

    kind: str
    parameters: Mapping[str, str]
    path: str | None
    about_number: int | None
    round_: Round | None
    """The round of that message, where it has one."""
    expires_at: datetime


class Composer(Protocol):
    """Writes messages."""

    @property
    def version(self) -> str:
        """Of the words and templates that it writes with: kept with each message. At most 32 signs."""
        ...

    def compose(
        self, draft: Draft, round_: Round, invitations: Sequence[Invitation], companies: Mapping[str, Company]
    ) -> bytes:
        """The bytes to send. Pure: reads nothing but its arguments."""
        ...

    def remind(
        self, draft: Draft, round_: Round, invitations: Sequence[Invitation], companies: Mapping[str, Company]
    ) -> bytes:
        """The bytes of a reminder of a round, as pure."""
        ...

    def digest(self, draft: Draft, items: Sequence[DigestItem], more: int, companies: Mapping[str, Company]) -> bytes:
        """The bytes of one message about several rounds, as pure. `more` counts the rounds beyond these that the
        message carries: it leads to them by its own page. Raises `ValueError` for no items.
        """
        ...

    def notice(self, draft: Draft, asked: Asked) -> bytes:
        """The bytes of a notice, as pure."""
        ...
