"""When the demo is done, and what it then may say of itself: nothing lost, nothing doubled, counted and not assumed.

The oracle (`wiring.expected`) is the matcher's pure derivation on the same two files, without a broker. *lost* is what
it says should be, less what a sink accepted, less what ended for a stated reason. *doubled* is one message accepted
more than once, less what the policy for unknown outcomes resent.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from schemas.delivery import AT_REST
from schemas.round import RoundState
from services.demo.board import REACHED, Board

RESTING: Final = frozenset(
    {RoundState.OPEN, RoundState.SILENT, RoundState.HELD, RoundState.CLOSED, RoundState.WITHDRAWN}
)


@dataclass(frozen=True)
class Expected:
    """What the oracle says: the ids of invitations, and how many cases it read and refused."""

    invitations: frozenset[str]
    good_cases: int
    refused_cases: int


@dataclass(frozen=True)
class Verdict:
    """What the flow comes to."""

    lost: int
    doubled: int
    unexpected: int
    """Invitations that the oracle does not know."""
    resent_unknown: int


def settled(board: Board, expected: Expected) -> bool:
    """Whether every case has come to rest and every invitation has ended, or waits for a digest and says why. What is
    under way is never overlooked: each message that was told of must be so too, and each invitation that its round
    counts must be here.
    """
    resting = [round_ for round_ in board.rounds.values() if round_.state in RESTING]
    owed = sum(round_.counts.invitations for round_ in resting if round_.state is RoundState.OPEN)
    return (
        len(resting) == len(board.rounds) >= expected.good_cases
        and len(board.dead_letters) >= expected.refused_cases
        and len(board.invitations) >= owed
        and board.invitations.keys() <= board.ended.keys()
        and all(state in AT_REST for state in board.message_states.values())
    )


def judge(board: Board, expected: Expected) -> Verdict:
    """Lost and doubled, from the sinks' own records and the topics."""
    accepted = _accepted_invitations(board)
    stated = {key for key, states in board.ended.items() if states - REACHED}
    resent = Counter(attempt.partition("/")[0] for attempt in board.resent_unknown)
    return Verdict(
        lost=len(expected.invitations - accepted - stated),
        doubled=doubled(board.accepted, resent),
        unexpected=len(board.invitations.keys() - expected.invitations),
        resent_unknown=resent.total(),
    )


def doubled(accepted: Mapping[str, int], resent: Mapping[str, int]) -> int:
    """Copies beyond the first, less those that policy sent again. Counted message by message: that one was resent does
    not excuse that another came twice.
    """
    return sum(max(0, times - 1 - resent.get(message_id, 0)) for message_id, times in accepted.items())


def _accepted_invitations(board: Board) -> frozenset[str]:
    carried: Iterable[set[str]] = (board.carried.get(message_id, set()) for message_id in board.accepted)
    return frozenset().union(*carried)
