"""What came of the answers: what businesses said, what the municipality takes with it, and what not and why.

The words are the municipality's own, shown as text; a heading without words is left out.
"""

from dataclasses import dataclass

from schemas.round import Purpose, Round
from services.rendering.asking import form
from services.rendering.dates import Lang
from services.rendering.wording import STANDARD, Wording


@dataclass(frozen=True, slots=True)
class Told:
    """A heading and what the municipality says under it. `translated` is false where only Swedish was written."""

    title: str
    lines: tuple[str, ...]
    translated: bool


def told(round_: Round, lang: Lang, wording: Wording = STANDARD) -> tuple[Told, ...]:
    """Of a feedback: its parts in order. Of any other round, and of one without an outcome, none."""
    outcome = round_.texts.outcome
    if outcome is None or round_.purpose is not Purpose.FEEDBACK:
        return ()
    written = {
        "outcome_said": (outcome.said, outcome.said_en),
        "outcome_taken": (outcome.taken, outcome.taken_en),
        "outcome_not_taken": (outcome.not_taken, outcome.not_taken_en),
    }
    words = wording.words("mail", lang, form(round_))
    found = []
    for key, (swedish, english) in written.items():
        text = (english if lang == "en" else "") or swedish
        lines = tuple(line.strip() for line in text.split("\n") if line.strip())
        if lines:
            found.append(Told(words[key], lines, lang == "sv" or bool(english)))
    return tuple(found)
