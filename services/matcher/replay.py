"""A published round computed again, from what it was derived from: does the same set come out?

The case's version and the decisions are those of the round's basis; model and register are those of its hashes. Who
followed then is not kept, only who follows now; and whoever was too late is known by who was in. A difference says who
is on which side, so that a person can see what it comes from.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from schemas.case import Case
from schemas.dialogue import Dialogue
from schemas.model import DialogueModel
from schemas.round import Round
from services.matcher.dialogue.working_days import local_day
from services.matcher.memberships import Membership
from services.matcher.release import Decided
from services.matcher.rounds import Joining, derive
from services.matcher.subscriptions import Subscribers
from services.matcher.workplaces import Snapshot


@dataclass(frozen=True)
class Replay:
    """A round, and what came out when it was computed again."""

    round: Round
    again: Round
    missing: tuple[str, ...] = ()
    """Recipients that are invited and did not come out again."""
    new: tuple[str, ...] = ()
    """Recipients that came out and are not invited."""

    @property
    def same(self) -> bool:
        """Whether it is the same set of recipients with the same workplaces."""
        return self.round.set_hash == self.again.set_hash


def case_of(round_: Round, versions: Iterable[Case]) -> Case | None:
    """The version of a case that a round was derived from: the last of its stage at or below its basis. A newer stage
    that closed the round has put its own version there.
    """
    of_stage = [
        case
        for case in versions
        if (case.stage, case.occurrence) == (round_.stage, round_.occurrence)
        and case.version <= round_.basis.case_version
    ]
    return max(of_stage, key=lambda case: case.version, default=None)


def decisions_of(round_: Round, dialogue: Dialogue | None) -> Dialogue | None:
    """The decisions as they stood at a round's basis: each event carries all before it."""
    made = [item for item in dialogue.decisions if item.number <= round_.basis.decision] if dialogue else []
    return dialogue.model_copy(update={"decisions": made}) if dialogue and made else None


def replay(
    round_: Round,
    case: Case,
    register: Snapshot,
    model: DialogueModel,
    *,
    key: bytes,
    dialogue: Dialogue | None,
    subscribers: Subscribers,
    members: Iterable[Membership],
) -> Replay:
    """Computes a round again. `members` are its invitations as they stand."""
    if round_.opened_at is None or round_.expires_at is None:
        raise ValueError(f"round {round_.round_id} has no times; it was never matched")
    there = frozenset(member.recipient_id for member in members if member.live)
    late = Joining(there, round_.expires_at) if round_.counts.excluded.get("late") else None
    derived = derive(
        case, register, model, local_day(max(round_.opened_at, round_.not_before or round_.opened_at)), round_.basis,
        key=key, limits=None, decided=Decided(decisions_of(round_, dialogue)), opened_at=round_.opened_at,
        subscribers=subscribers, joining=late,
    )  # fmt: skip
    came = frozenset(invitation.recipient_id for invitation in derived.invitations)
    if not there:  # what was held or taken back has nobody to compare with but its hash
        return Replay(round_, derived.round)
    return Replay(round_, derived.round, tuple(sorted(there - came)), tuple(sorted(came - there)))
