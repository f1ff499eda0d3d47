"""Those who got the first message of a round are told once when it no longer holds.

A *change* is a round of its own that follows the earlier one, numbered, and never asks. It is issued to the members
concerned: all of them when the round is withdrawn or undone, those removed when they are no longer affected. A newer
stage tells nobody: its own message does.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Final

from schemas.identity import round_id
from schemas.round import Purpose, Round
from services.matcher.following import following_round
from services.matcher.memberships import Membership

WITHDRAWN: Final = "withdrawn"
UNDONE: Final = "undone"
NOT_AFFECTED: Final = "not_affected"
SUPERSEDED: Final = "superseded"
"""Why a change is closed: the round that it called off is open again."""


def change_round(earlier: Round, kind: str, number: int, concerned: Iterable[Membership], opened_at: datetime) -> Round:
    """The round that tells of it, open."""
    id_ = round_id(earlier.case_key, earlier.stage, earlier.occurrence, Purpose.CHANGE.value, number)
    return following_round(earlier, id_, Purpose.CHANGE, number, concerned, opened_at, change=kind)
