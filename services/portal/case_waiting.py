"""How far a case that was sent in has come: matched, held, on its way, sent. For whoever waits at a shell.

What became of its messages is read from `deliveries`. A message that waits for a digest is at rest, and why is stated;
so is a round that waits for an official, a register, or for nothing.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from schemas.case import Case
from schemas.delivery import AT_REST, DELIVERY_RECORDED, Delivery, DeliveryState
from schemas.identity import round_id
from schemas.round import Purpose, Round, RoundState
from services.runtime.errors import Rejected
from services.runtime.parsing import parse
from services.runtime.records import Record

LOOK_SECONDS: Final = 1.0
_OF_STAGE: Final = (Purpose.ASK, Purpose.INFORM)


@dataclass(frozen=True)
class Course:
    """Where a case is, in words, and whether anything is still under way."""

    said: str
    ended: bool = False
    held: bool = False
    """Nothing goes on before somebody acts."""


class Fates:
    """What became of the invitations of some rounds, as of the last batch."""

    def __init__(self, cases: Iterable[Case]) -> None:
        self.by_round: dict[str, dict[str, DeliveryState]] = {id_: {} for case in cases for id_ in rounds_of(case)}

    async def apply(self, records: Sequence[Record]) -> None:
        """Takes a batch of `deliveries`."""
        for record in records:
            try:
                parsed = parse(record, {DELIVERY_RECORDED: Delivery}, "se.nardialog.") if record.value else None
            except Rejected:
                continue
            if parsed is not None and parsed.event.kind != "reminder":
                self._take(parsed.event)

    def _take(self, event: Delivery) -> None:
        """A digest is of several rounds; which invitation is of which was said when it waited."""
        for id_ in event.round_ids:
            known = self.by_round.get(id_)
            if known is not None:
                mine = (item for item in event.invitation_ids if len(event.round_ids) == 1 or item in known)
                known.update(dict.fromkeys(mine, event.state))


def rounds_of(case: Case) -> tuple[str, ...]:
    """The ids of the rounds that a case's stage may lead to."""
    return tuple(round_id(case.key, case.stage, case.occurrence, purpose.value) for purpose in _OF_STAGE)


def course(case: Case, rounds: Mapping[str, Round], fates: Mapping[str, Mapping[str, DeliveryState]]) -> Course:
    """How far this version of a case has come."""
    mine = [rounds[id_] for id_ in rounds_of(case) if id_ in rounds]
    mine = [item for item in mine if item.basis.case_version >= case.version]
    if not mine:
        return Course("not matched yet")
    newest = max(mine, key=lambda item: item.basis.order)
    why = f" ({newest.reason})" if newest.reason else ""
    if newest.state is RoundState.HELD:
        return Course(f"held{why}: {newest.detail or 'see `nardialog case list --held`'}", ended=True, held=True)
    if newest.state is not RoundState.OPEN:
        return Course(f"{newest.state.value}{why}", ended=newest.state is not RoundState.MATCHING)
    became = fates.get(newest.round_id, {})
    counted = ", ".join(f"{count} {state}" for state, count in sorted(Counter(became.values()).items()))
    at_rest = sum(state in AT_REST for state in became.values())
    total = newest.counts.invitations
    return Course(f"open, {total} recipient(s)" + (f": {counted}" if counted else ""), ended=at_rest >= total)
