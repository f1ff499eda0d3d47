"""When an address is given up: at once where the reply says that nobody is there, else after some in a row.

A full mailbox may be emptied, and a refusal that names no status (RFC 3463) may mean anything; so these count only when
several matters in a row ended so, with none in between that came through. What became of an address's messages is the
count: a success ends the row by itself, and the same bounce read twice counts once.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from services.notifier.channels.port import Outcome


@dataclass(frozen=True, slots=True)
class Ended:
    """What became of one matter's message to an address: of a round, or of a notice."""

    matter: str
    state: str
    code: str


def gives_up(outcome: Outcome, latest: Iterable[Ended]) -> bool:
    """Whether a message's end is also its address's. `latest` are that address's messages that left, this one among
    them, the newest first.
    """
    if outcome.suppress:
        return True
    if not outcome.suppress_after:
        return False
    matters: set[str] = set()
    for ended in latest:
        if (ended.state, ended.code) != ("failed", outcome.code):
            return False
        matters.add(ended.matter)
        if len(matters) >= outcome.suppress_after:
            return True
    return False
