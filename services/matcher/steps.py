"""What is published when a case's round is another than before, in an order that a crash cannot break.

Each batch is acknowledged before the next is asked for. `matching` comes before the first invitation and `open` after
the last; `withdrawn` before the change that tells of it, and that before the revokes. What is still to do is read off
what is there, never off what was meant: whoever finds a case half-way goes on where it stopped. Nobody is told twice of
the same change.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import chain
from typing import Final

from schemas.dialogue import Dialogue
from schemas.identity import invitation_id
from schemas.invitation import Invitation
from schemas.round import CORRECTED, Purpose, Round, RoundState
from schemas.types import Basis
from services.matcher import changes
from services.matcher.afterwards import Afterwards, afterwards
from services.matcher.following import following_invitations, following_round
from services.matcher.memberships import Members, Membership, difference, revocations
from services.matcher.rounds import Derivation

Step = tuple[Round | Invitation, ...]
Batch = tuple[Round | Membership, ...]
"""A step as it is written: an invitation with its bytes, which the topic, the tables and the next step share."""
ONGOING: Final = frozenset({RoundState.HELD, RoundState.MATCHING, RoundState.OPEN})
ENDED: Final = frozenset({RoundState.CLOSED, RoundState.SILENT, RoundState.WITHDRAWN})
TIMES: Final = frozenset({"opened_at", "expires_at", "remind_at", "respond_by"})
EXPIRED: Final = "expired"
"""Why a round is closed by the clock: nothing is sent, and nothing is taken back."""
STAGES: Final = frozenset({Purpose.ASK, Purpose.INFORM})


class Standing:
    """What is known of one case: its rounds, and who belongs to each."""

    def __init__(self, rounds: Iterable[Round], memberships: Iterable[Membership]) -> None:
        self.rounds = {item.round_id: item for item in rounds}
        self._members: dict[str, dict[str, Membership]] = {}
        for member in memberships:
            self._members.setdefault(member.round_id, {})[member.invitation_id] = member

    def members(self, round_id: str) -> Members:
        """The members of a round."""
        return self._members.get(round_id, {})

    def stages(self) -> list[Round]:
        """The rounds that ask or inform, without those that tell of changes."""
        return [item for item in self.rounds.values() if item.purpose in STAGES]

    def changes_of(self, earlier: Round) -> list[Round]:
        """The rounds that told of changes to one. A correction says nothing of what holds now."""
        return [
            item
            for item in self.rounds.values()
            if item.follows == earlier.round_id and item.purpose is Purpose.CHANGE and item.change != CORRECTED
        ]

    def take(self, batch: Batch) -> None:
        """Takes what was published."""
        for item in batch:
            if isinstance(item, Round):
                self.rounds[item.round_id] = item
            else:
                self._members.setdefault(item.round_id, {})[item.invitation_id] = item


def is_due(known: Round | None, basis: Basis, *, decided: bool = False) -> bool:
    """Whether a derivation from this basis may say something new: one that is not newer is skipped in every state but
    *matching*. What has ended is reopened by the case alone. With `decided` an equal basis is looked at too: of two
    decisions that were taken at once, under one number, the last one stands.
    """
    if known is None or known.state is RoundState.MATCHING:
        return True
    if known.state in ONGOING:
        return basis.order > known.basis.order or (decided and basis.order == known.basis.order)
    return basis.case_version > known.basis.case_version


def steps(
    standing: Standing,
    derived: Derivation | None,
    now: datetime,
    *,
    earlier: bool = False,
    dialogue: Dialogue | None = None,
) -> Iterator[Batch]:
    """First what was cut off, then what the new derivation changes, where there is one, then what officials tell of
    rounds afterwards. A derivation of an `earlier` version, of a stage that the later ones do not know, closes nothing.
    """
    for step in chain(_steps(standing, derived, now, earlier), _afterwards(standing, dialogue, now)):
        batch = tuple(item if isinstance(item, Round) else Membership.of(item) for item in step)
        standing.take(batch)
        yield batch


def _steps(standing: Standing, derived: Derivation | None, now: datetime, earlier: bool) -> Iterator[Step]:
    for known in standing.stages():
        yield from _finish(standing, known, now)
    if derived is None or _says_the_same(standing, derived):
        return
    if not earlier:
        yield from _close_older(standing, derived.round, now)
    yield from _publish(standing, derived)
    yield from _finish(standing, derived.round, now)


def _says_the_same(standing: Standing, derived: Derivation) -> bool:
    """Whether the case, its decisions and the register say what is there already. Of each subscription that concerns
    others every round would be told anew. What is held has no day yet.
    """
    new, known = derived.round, standing.rounds.get(derived.round.round_id)
    if known is None or known.state is RoundState.MATCHING or new.basis.order[:3] != known.basis.order[:3]:
        return False
    moving = {"basis"} if known.state is not RoundState.HELD else {"basis", *TIMES}
    same = known.model_dump(exclude=moving) == new.model_dump(exclude=moving)
    return same and not difference(derived.invitations, standing.members(new.round_id), new.basis)


def _close_older(standing: Standing, new: Round, now: datetime) -> Iterator[Step]:
    """A newer stage closes the older rounds of the case; a case that is withdrawn withdraws all of them. It does so
    before its own round is there: what an earlier version opened after that stays.
    """
    known = standing.rounds.get(new.round_id)
    if known is not None and known.basis.case_version >= new.basis.case_version:
        return
    for old in standing.stages():
        if old.round_id == new.round_id or old.state not in ONGOING:
            continue
        ends = new.state is RoundState.WITHDRAWN
        state = RoundState.WITHDRAWN if ends else RoundState.CLOSED
        reason = "withdrawn" if ends else "newer_stage"
        closed = old.model_copy(update={"state": state, "reason": reason, "detail": "", "basis": new.basis})
        yield (closed,)
        yield from _finish(standing, closed, now)


def _publish(standing: Standing, derived: Derivation) -> Iterator[Step]:
    new, known = derived.round, standing.rounds.get(derived.round.round_id)
    if new.state is RoundState.OPEN:
        said = difference(derived.invitations, standing.members(new.round_id), new.basis)
        if said or known is None or known.state is not RoundState.OPEN:
            yield (new.model_copy(update={"state": RoundState.MATCHING}),)
        if said:
            yield said
    yield (new,)


def _finish(standing: Standing, known: Round, now: datetime) -> Iterator[Step]:
    """What a round's state asks for and is not there yet."""
    members = standing.members(known.round_id).values()
    if known.state is RoundState.WITHDRAWN:
        yield from _tell(standing, known, changes.WITHDRAWN, [m for m in members if m.live], now)
    elif known.state is RoundState.HELD and known.reason == changes.UNDONE:
        yield from _tell(standing, known, changes.UNDONE, [m for m in members if m.live], now)
    elif known.state is RoundState.OPEN:
        yield from _supersede(standing, known)
        yield from _tell(standing, known, changes.NOT_AFFECTED, [m for m in members if not m.live], now)
    if known.state in ENDED and known.reason != EXPIRED and (taken_back := revocations(members, known.basis)):
        yield taken_back


def _supersede(standing: Standing, opened: Round) -> Iterator[Step]:
    """A round that is open again is not called off any more."""
    for change in standing.changes_of(opened):
        if change.change in (changes.WITHDRAWN, changes.UNDONE) and change.state in ONGOING:
            update = {"state": RoundState.CLOSED, "reason": changes.SUPERSEDED, "basis": opened.basis}
            yield (change.model_copy(update=update),)


def _tell(standing: Standing, earlier: Round, kind: str, members: list[Membership], now: datetime) -> Iterator[Step]:
    """Tells those of them who were not told yet, or finishes telling them."""
    before = standing.changes_of(earlier)
    cut = next((item for item in before if item.state is RoundState.MATCHING and item.change == kind), None)
    told = [item for item in before if item is not cut]
    concerned = [m for m in sorted(members, key=lambda m: m.recipient_id) if not _was_told(standing, told, m)]
    if not concerned and cut is None:
        return
    opened_at = cut.opened_at if cut and cut.opened_at else now
    number = cut.number if cut else _next_number(standing, earlier)
    change = changes.change_round(earlier, kind, number, concerned, opened_at)
    if cut is None:
        yield (change.model_copy(update={"state": RoundState.MATCHING}),)
    there = standing.members(change.round_id)
    said = following_invitations(change, concerned)
    if missing := tuple(item for item in said if item.invitation_id not in there):
        yield missing
    yield (change,)


def _afterwards(standing: Standing, dialogue: Dialogue | None, now: datetime) -> Iterator[Step]:
    """What officials decided to tell of rounds, and is not told yet, or is taken back."""
    for earlier in list(standing.rounds.values()):
        for told in afterwards(earlier, dialogue):
            yield from _told_afterwards(standing, earlier, told, now)


def _told_afterwards(standing: Standing, earlier: Round, told: Afterwards, now: datetime) -> Iterator[Step]:
    there = standing.rounds.get(told.round_id)
    if there is not None and there.state is (RoundState.HELD if told.undone else RoundState.OPEN):
        return
    if there is not None and there.state in ENDED:
        return
    version = max(item.basis.case_version for item in standing.rounds.values())
    basis = earlier.basis.model_copy(update={"case_version": version, "decision": told.decision})
    if told.undone:
        if there is not None:
            held = {"state": RoundState.HELD, "reason": changes.UNDONE, "basis": basis}
            yield (there.model_copy(update=held),)
        return
    members = _to_tell(standing, earlier, told)
    if not members:
        return
    opened_at = there.opened_at if there and there.state is RoundState.MATCHING and there.opened_at else now
    made = following_round(
        earlier, told.round_id, told.purpose, told.number, members, opened_at, change=told.change, texts=told.texts
    ).model_copy(update={"basis": basis})
    yield (made.model_copy(update={"state": RoundState.MATCHING}),)
    if said := difference(following_invitations(made, members), standing.members(made.round_id), basis):
        yield said
    yield (made,)


def _to_tell(standing: Standing, earlier: Round, told: Afterwards) -> list[Membership]:
    """The members of a round, those too whose invitation ended with it. A correction is for whoever got the message."""
    members = sorted(standing.members(earlier.round_id).values(), key=lambda m: m.recipient_id)
    if told.purpose is not Purpose.FEEDBACK:
        return members
    outside = [item for item in standing.changes_of(earlier) if item.change == changes.NOT_AFFECTED]
    return [m for m in members if m.live or not _was_told(standing, outside, m)]


def _was_told(standing: Standing, told: Iterable[Round], member: Membership) -> bool:
    """Whether a change that came after this membership reached for the recipient, and still says what is so."""
    for change in told:
        if change.reason == changes.SUPERSEDED and member.live:
            continue
        item = standing.members(change.round_id).get(invitation_id(change.round_id, member.recipient_id))
        if item is not None and item.basis.order >= member.basis.order:
            return True
    return False


def _next_number(standing: Standing, earlier: Round) -> int:
    numbers = [
        item.number
        for item in standing.rounds.values()
        if item.purpose is Purpose.CHANGE and (item.stage, item.occurrence) == (earlier.stage, earlier.occurrence)
    ]
    return max(numbers, default=0) + 1
