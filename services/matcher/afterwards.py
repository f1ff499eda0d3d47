"""What officials tell afterwards: what came of the answers, and what was wrong in a message.

Each decision is a round of its own: feedback to those who were asked, a correction to those who got what was wrong
(dialogue rule 9). Who was told in the meantime that it is no longer about them gets no feedback, since it was
promised that nothing more would come.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from schemas.dialogue import CORRECT, FEEDBACK, UNDO, Decision, Dialogue
from schemas.identity import round_id
from schemas.round import CORRECTED, Purpose, Round, RoundState
from schemas.types import RoundId

TOLD: Final = frozenset({RoundState.OPEN, RoundState.CLOSED})
"""States of a round that sent messages which still hold."""


@dataclass(frozen=True)
class Afterwards:
    """One thing that is told of a round: by which round, and whether an official has taken it back."""

    round_id: RoundId
    purpose: Purpose
    number: int
    change: str | None
    texts: Mapping[str, object]
    decision: int
    """The number of the last decision on it."""
    since: datetime
    """When that was taken."""
    undone: bool


def afterwards(earlier: Round, dialogue: Dialogue | None) -> list[Afterwards]:
    """All that officials decided to tell of a round, in order."""
    if dialogue is None or earlier.state not in TOLD:
        return []
    asked = earlier.purpose in (Purpose.ASK, Purpose.INFORM)
    feedback = dialogue.on(FEEDBACK, earlier.round_id) if asked else []
    made = [_feedback(earlier, number, item, dialogue) for number, item in enumerate(feedback, 1)]
    return made + [_correction(earlier, item, dialogue) for item in dialogue.on(CORRECT, earlier.round_id)]


def _feedback(earlier: Round, number: int, decision: Decision, dialogue: Dialogue) -> Afterwards:
    id_ = round_id(earlier.case_key, earlier.stage, earlier.occurrence, Purpose.FEEDBACK.value, number)
    return _made(id_, Purpose.FEEDBACK, number, None, {"outcome": decision.outcome}, decision, dialogue)


def _correction(earlier: Round, decision: Decision, dialogue: Dialogue) -> Afterwards:
    """Its id is the decision's: changes that the matcher makes are numbered by themselves."""
    texts = {"correction": decision.correction, "correction_en": decision.correction_en}
    id_ = round_id(earlier.case_key, earlier.stage, earlier.occurrence, CORRECT, decision.number)
    return _made(id_, Purpose.CHANGE, decision.number, CORRECTED, texts, decision, dialogue)


def _made(
    id_: RoundId,
    purpose: Purpose,
    number: int,
    change: str | None,
    texts: Mapping[str, object],
    decision: Decision,
    dialogue: Dialogue,
) -> Afterwards:
    last = dialogue.last(id_) or decision
    return Afterwards(id_, purpose, number, change, texts, last.number, last.at, last.kind == UNDO)
