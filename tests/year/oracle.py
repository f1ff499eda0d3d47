"""What must be true of a year, checked from the providers' own record and from what the topics were told.

The rules are written here a second time, from the design's words and not from the notifier's code. Each check looks at
every message or invitation that it concerns, and says how many; a rule that met nothing has shown nothing.
"""

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from schemas.delivery import FINAL
from schemas.invitation import Invitation, InvitationState
from schemas.round import Purpose, Round
from schemas.topics import INVITATIONS, ROUNDS
from tests.year.calendar import STOCKHOLM, in_window
from tests.year.life import Year
from tests.year.sinks import Copy

MOST_ITEMS: Final = 10


@dataclass
class Check:
    """One rule: how often it was looked at, and what breaks it."""

    rule: str
    looked: int = 0
    broken: list[str] = field(default_factory=list)

    def look(self, holds: bool, what: str) -> None:
        self.looked += 1
        if not holds:
            self.broken.append(what)


class Oracle:
    """The year's messages and what was known when they left."""

    def __init__(self, year: Year) -> None:
        self._year = year
        self._copies = sorted((copy for sink in year.sinks for copy in sink.copies), key=lambda copy: copy.at)
        self._rounds: dict[str, tuple[list[datetime], list[Round]]] = {}
        self._invitations: dict[str, list[Invitation]] = {}
        for record, at in zip(year.log.records, year.log.times, strict=True):
            if record.topic == ROUNDS.name:
                round_ = Round.model_validate_json(record.value or b"")
                times, states = self._rounds.setdefault(round_.round_id, ([], []))
                times.append(at)
                states.append(round_)
            elif record.topic == INVITATIONS.name:
                event = Invitation.model_validate_json(record.value or b"")
                self._invitations.setdefault(event.invitation_id, []).append(event)

    def checks(self) -> list[Check]:
        """All of them, in the order of the table."""
        return [
            self.refused(), self.lost(), self.doubled(), self.one_first(), self.one_reminder(),
            self.reminded_after_answer(), self.followed(),
            self.in_windows(), self.before_deadlines(), self.after_stops(), self.while_undone(), self.digests(),
            self.settled(),
        ]  # fmt: skip

    def refused(self) -> Check:
        check = Check("no event of ours is refused")
        for record in self._year.log.records:
            check.look(True, record.topic)
        for reason in self._year.log.dead:
            check.look(False, reason)
        return check

    def lost(self) -> Check:
        """Every invitation that stood has a message, or a stated reason."""
        check = Check("an invitation has a message or a stated reason")
        reached = {id_ for copy in self._copies for ids in copy.rounds.values() for id_ in ids}
        told = {id_ for event in self._year.deliveries() if event.state in FINAL for id_ in event.invitation_ids}
        for id_, said in self._invitations.items():
            if said[-1].state is not InvitationState.REVOKED:
                check.look(id_ in reached or id_ in told, id_)
        return check

    def doubled(self) -> Check:
        """A message is taken once, and once more for each time that its sender was not told."""
        check = Check("a message is taken once, or again after an unknown outcome")
        left_open = sum((sink.left_open for sink in self._year.sinks), Counter[str]())
        for message_id, times in Counter(copy.message_id for copy in self._copies).items():
            check.look(times <= 1 + left_open[message_id], f"{message_id}: {times} copies")
        return check

    def one_first(self) -> Check:
        return self._once("first", "an address has one first message of a round")

    def one_reminder(self) -> Check:
        return self._once("reminder", "an address has at most one reminder of a round, after a first message")

    def _once(self, kind: str, rule: str) -> Check:
        check, seen = Check(rule), defaultdict[tuple[str, str, str], set[str]](set)
        had: set[tuple[str, str]] = set()
        for copy in self._copies:
            for round_id in copy.rounds:
                if copy.kind == kind:
                    ids = seen[copy.address, round_id, copy.channel]
                    ids.add(copy.message_id)
                    early = kind == "reminder" and not self._was_asked(copy, round_id, had)
                    check.look(len(ids) == 1 and not early, _said(copy))
                had.add((copy.address, round_id))
        return check

    def _was_asked(self, copy: Copy, round_id: str, had: set[tuple[str, str]]) -> bool:
        """By that address, or by another of the same company: a right that may be lost is reminded of by SMS."""
        return (copy.address, round_id) in had or copy.channel == "sms"

    def reminded_after_answer(self) -> Check:
        check = Check("nobody who has answered is reminded")
        for copy in self._of("reminder"):
            for ids in copy.rounds.values():
                for id_ in ids:
                    answered = self._year.notes.answered.get(id_)
                    check.look(answered is None or answered > copy.at, f"{_said(copy)} answered {answered}")
        return check

    def followed(self) -> Check:
        check, had = Check("what follows a round is told to those whom its message reached"), set[tuple[str, str]]()
        for copy in self._copies:
            for id_ in copy.rounds:
                round_ = self._rounds[id_][1][-1]
                if round_.follows is not None:
                    check.look((copy.address, round_.follows) in had, _said(copy))
            had |= {(copy.address, id_) for id_ in copy.rounds}
        return check

    def in_windows(self) -> Check:
        check = Check("messages leave in the hours of their channel")
        for copy in self._copies:
            urgent = any((r := self._round(id_, copy.at)) and r.plan and r.plan.urgent for id_ in copy.rounds)
            check.look(in_window(copy.channel, copy.at) or (urgent and copy.channel == "sms"), _said(copy))
        return check

    def before_deadlines(self) -> Check:
        check = Check("no message leaves after its round's expiry or last day")
        for copy in self._copies:
            for id_ in copy.rounds:
                round_ = self._round(id_, copy.at)
                check.look(round_ is not None and _in_time(round_, copy.at), _said(copy))
        return check

    def after_stops(self) -> Check:
        check = Check("nobody hears of what they said stop to")
        stops = defaultdict(list)
        for stop in self._year.notes.stops:
            stops[stop.address].append(stop)
        for copy in self._copies:
            for id_ in copy.rounds:
                for stop in stops.get(copy.address, ()):
                    round_ = self._rounds[id_][1][-1]
                    meets = {"all": True, "case": stop.case_key == round_.case_key,
                             "kind": stop.case_type == round_.case_type}[stop.scope]  # fmt: skip
                    check.look(not meets or copy.at < stop.at, f"{_said(copy)} stopped {stop}")
        return check

    def while_undone(self) -> Check:
        check = Check("nothing of a round leaves while it is held, withdrawn or closed")
        for copy in self._copies:
            for id_ in copy.rounds:
                round_ = self._round(id_, copy.at)
                check.look(round_ is not None and round_.state.value in ("open", "matching"), _said(copy))
        return check

    def digests(self) -> Check:
        check = Check("a digest has one to ten matters, and none that its address has had")
        had: dict[tuple[str, str], str] = {}
        for copy in self._copies:
            for id_ in copy.rounds:
                before = had.setdefault((copy.address, id_), copy.message_id)
                if copy.kind == "digest":
                    check.look(before == copy.message_id, f"{_said(copy)} again")
            if copy.kind == "digest":
                check.look(1 <= len(copy.rounds) <= MOST_ITEMS, f"{_said(copy)} {len(copy.rounds)} matters")
        return check

    def settled(self) -> Check:
        check = Check("nothing is under way in the ledger when all rounds are over")
        check.look(self._year.owed == 0, f"{self._year.owed} are")
        return check

    def _of(self, kind: str) -> Iterator[Copy]:
        return (copy for copy in self._copies if copy.kind == kind)

    def _round(self, round_id: str, at: datetime) -> Round | None:
        """The round as it had been published by then."""
        times, states = self._rounds[round_id]
        place = bisect_right(times, at)
        return states[place - 1] if place else None


def _in_time(round_: Round, at: datetime) -> bool:
    if round_.expires_at is not None and at >= round_.expires_at:
        return False
    over = round_.respond_by + timedelta(days=1) if round_.respond_by else None
    return over is None or round_.purpose is not Purpose.ASK or at.astimezone(STOCKHOLM).date() < over


def _said(copy: Copy) -> str:
    return f"{copy.at.isoformat()} {copy.channel} {copy.kind} {copy.message_id[:8]} to {copy.address}"
