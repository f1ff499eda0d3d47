"""`dialogues`: what officials decided on a case, all of it in each event, numbered.

Facts (`cases`) and decisions meet only in the matcher, and neither overwrites the other. A decision's number is its
place in the case's history and part of the *basis* of what follows from it; a release names the exact set of
recipients that was looked at, so that a changed set is asked about again.
"""

from collections.abc import Mapping
from typing import Annotated, Final

from pydantic import Field, model_validator

from schemas.identity import case_key
from schemas.round import Outcome
from schemas.types import Count, Event, Hash, Key, Line, Moment, OpenId, OurId, Text, Value

DIALOGUE_CHANGED: Final = "se.nardialog.dialogue.changed.v1"

RELEASE: Final = "release"
"""The round may be sent: what held it was looked at."""
UNDO: Final = "undo"
"""The round goes back to *held*; what has not left does not leave."""
ADD: Final = "add"
"""Workplaces are invited to the round whatever the rings say, unless they are closed, or the applicant's."""
REMOVE: Final = "remove"
"""Workplaces are not invited to the round whatever the rings say."""
UNLIST: Final = "unlist"
"""What was added or removed of these workplaces counts no more: the rings decide again."""
REMIND: Final = "remind"
"""Those who have not answered are reminded now, and not when the plan says; once all the same."""
FEEDBACK: Final = "feedback"
"""Those who were asked in the round are told what came of it."""
CORRECT: Final = "correct"
"""Those whom the round's message reached are told what was wrong in it."""


class Decision(Value):
    """One decision. A kind that a reader does not know yet is skipped by it."""

    number: Annotated[int, Field(ge=1)]
    kind: OpenId
    round_id: OurId
    at: Moment
    by: Line
    """A role or function, such as `näringslivskontoret`; never a recipient's data."""
    reason: Line = ""
    set_hash: Hash | None = None
    """Of a release: the recipients and workplaces that it is for (`identity.set_hash`)."""
    send_at: Moment | None = None
    """Of a release: not before this; at once after the hold where it is left out."""
    workplaces: Annotated[list[Key], Field(max_length=500)] = []
    """Of `add`, `remove` and `unlist`: which; the `reason` says why."""
    outcome: Outcome | None = None
    """Of `feedback`: what is told."""
    correction: Text = ""
    """Of `correct`: what is told."""
    correction_en: Text = ""

    @model_validator(mode="after")
    def _says_why(self) -> "Decision":
        if self.kind in (ADD, REMOVE) and not (self.workplaces and self.reason):
            raise ValueError(f"{self.kind} needs workplaces and a reason")
        if self.kind == FEEDBACK and not (self.outcome and self.outcome.has_words):
            raise ValueError("feedback needs what was said, what came of it, or what did not and why")
        if self.kind == CORRECT and not self.correction:
            raise ValueError("correct needs what is told")
        return self


class Dialogue(Event):
    """All decisions on one case so far, in order of their numbers."""

    case_id: Key
    source: Key
    decisions: Annotated[list[Decision], Field(min_length=1, max_length=500)]

    @property
    def key(self) -> str:
        """The case key."""
        return case_key(self.municipality, self.source, self.case_id)

    @property
    def number(self) -> Count:
        """The last decision's number."""
        return self.decisions[-1].number

    @model_validator(mode="after")
    def _numbered(self) -> "Dialogue":
        if [item.number for item in self.decisions] != list(range(1, len(self.decisions) + 1)):
            raise ValueError("decisions must be numbered 1, 2, 3 … without gaps")
        return self

    def last(self, round_id: str) -> Decision | None:
        """The release or undo that stands for a round."""
        found = [item for item in self.decisions if item.round_id == round_id and item.kind in (RELEASE, UNDO)]
        return found[-1] if found else None

    def on(self, kind: str, round_id: str) -> list[Decision]:
        """All decisions of one kind on a round."""
        return [item for item in self.decisions if item.round_id == round_id and item.kind == kind]

    def listed(self, round_id: str) -> Mapping[str, Decision]:
        """The workplaces that are added to a round or removed from it, each with the last word on it."""
        words: dict[str, Decision] = {}
        for item in self.decisions:
            if item.round_id == round_id and item.kind in (ADD, REMOVE, UNLIST):
                words |= dict.fromkeys(item.workplaces, item)
        return {name: word for name, word in words.items() if word.kind != UNLIST}


EXAMPLE: Final = {
    "municipality": "0162",
    "case_id": "EX-2",
    "source": "exempel",
    "decisions": [
        {
            "number": 1,
            "kind": "release",
            "round_id": "00112233445566778899aabbccddeeff",
            "at": "2025-11-10T09:20:00+01:00",
            "by": "näringslivskontoret",
            "reason": "kontrollerad mot kartan",
            "set_hash": "0123456789abcdef0123456789abcdef",
        }
    ],
}
