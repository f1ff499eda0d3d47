"""What must be true of a year, checked from the providers' own record and from what the topics were told.

The rules are written here a second time, from the design's words and not from the notifier's code. Each check looks at
every message or invitation that it concerns, and says how many; a rule that met nothing has shown nothing.
"""

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from itertools import takewhile
from typing import Final

from schemas.delivery import FINAL, DeliveryState
from schemas.invitation import Invitation, InvitationState, Reason
from schemas.round import Plan, Purpose, Round
from schemas.topics import INVITATIONS, ROUNDS
from tests.matcher_offline import MODEL
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
        self._deliveries = year.deliveries()
        self._rounds: dict[str, tuple[list[datetime], list[Round]]] = {}
        self._invitations: dict[str, tuple[list[datetime], list[Invitation]]] = {}
        for record, at in zip(year.log.records, year.log.times, strict=True):
            if record.topic == ROUNDS.name:
                round_ = Round.model_validate_json(record.value or b"")
                times, states = self._rounds.setdefault(round_.round_id, ([], []))
                times.append(at)
                states.append(round_)
            elif record.topic == INVITATIONS.name:
                event = Invitation.model_validate_json(record.value or b"")
                times_, events = self._invitations.setdefault(event.invitation_id, ([], []))
                times_.append(at)
                events.append(event)
        self._written: dict[str, list[datetime]] = defaultdict(list)
        for told in self._deliveries:
            if told.state is DeliveryState.COMPOSED:
                self._written[told.message_id or ""].append(told.at)

    def checks(self) -> list[Check]:
        """All of them, in the order of the table."""
        return [
            self.refused(), self.lost(), self.doubled(), self.one_first(), self.one_reminder(),
            self.reminded_after_answer(), self.followed(),
            self.in_windows(), self.before_deadlines(), self.after_stops(), self.while_undone(), self.digests(),
            self.budget(), self.texts(), self.frequencies(),
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
        told = {id_ for event in self._deliveries if event.state in FINAL for id_ in event.invitation_ids}
        for id_, (_, said) in self._invitations.items():
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
        carried = {event.message_id: event.round_ids for event in self._deliveries}
        for copy in self._copies:
            for id_ in copy.rounds:
                round_ = self._rounds[id_][1][-1]
                if round_.follows is not None:
                    check.look((copy.address, round_.follows) in had, _said(copy))
            had |= {(copy.address, id_) for id_ in (*copy.rounds, *carried.get(copy.message_id, ()))}
        return check

    def in_windows(self) -> Check:
        check = Check("messages leave in the hours of their channel")
        for copy in self._copies:
            known = [self._round(id_, copy.at) for id_ in copy.rounds]
            free = any(round_ and round_.plan and _leaves_at_any_hour(round_.plan, copy) for round_ in known)
            check.look(free or in_window(copy.channel, copy.at), _said(copy))
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

    def budget(self) -> Check:
        """Asks in thirty days and minutes in ninety, of everything that asked. A digest informs and asks nothing, but
        for what only waited in it so that two messages did not come within a day.
        """
        check = Check("nobody, person or company, is asked more than the budget, but for what is exempt")
        merged = self._merged()
        asked: dict[str, list[_Asked]] = defaultdict(list)
        for copy in self._firsts():
            for round_id, ids in copy.rounds.items():
                round_ = self._known(round_id, copy)
                if not (round_.plan and round_.plan.asks) or (copy.kind == "digest" and not merged & set(ids)):
                    continue
                now = _Asked(copy.at, round_id, round_.plan.minutes)
                exempt = self._is_exempt(round_, self._reasons(copy, ids))
                for whom in {copy.address, *(self._invitations[id_][1][-1].recipient_id for id_ in ids)}:
                    if round_id not in {one.round_id for one in asked[whom]}:
                        asked[whom].append(now)
                    check.look(exempt or _within(asked[whom], copy.at), f"{_said(copy)} of {whom}")
        return check

    def _merged(self) -> set[str]:
        """Invitations of which the official was last told that they wait so that two messages do not come in a day.

        One invitation may lead to two addresses, which wait each for a reason of its own, and nobody is told which
        message is whose. So it counts only where all of them say the same: a digest that may have informed is not held
        to have asked.
        """
        said: dict[str, dict[str, str]] = defaultdict(dict)
        for event in self._deliveries:
            if event.state is DeliveryState.WAITING:
                for id_ in event.invitation_ids:
                    said[id_][event.message_id or ""] = event.code
        return {id_ for id_, codes in said.items() if set(codes.values()) == {"merge_window"}}

    def _is_exempt(self, round_: Round, reasons: Iterable[Reason]) -> bool:
        plan = round_.plan
        owed = round_.purpose in (Purpose.FEEDBACK, Purpose.CHANGE)
        return owed or (plan is not None and (plan.exempt or plan.urgent)) or any(r.ring == "direct" for r in reasons)

    def _reasons(self, copy: Copy, ids: Sequence[str]) -> Iterator[Reason]:
        """Why these were invited, as it stood when the message was written: a case may be moved later."""
        for id_ in ids:
            times, events = self._invitations[id_]
            event = events[max(bisect_right(times, self._was_written(copy)) - 1, 0)]
            yield from (reason for place in event.workplaces for reason in place.reasons)

    def _was_written(self, copy: Copy) -> datetime:
        """When its bytes were made: what is sent again after an unknown outcome is what was sent before."""
        times = self._written[copy.message_id]
        place = bisect_right(times, copy.at)
        return times[place - 1] if place else copy.at

    def texts(self) -> Check:
        """What follows a round, and what is urgent, come besides."""
        check, had = Check("a person is asked and reminded by one SMS at most in a stage"), dict[tuple[str, ...], str]()
        for copy in self._copies:
            for id_ in copy.rounds if copy.channel == "sms" else ():
                round_ = self._rounds[id_][1][-1]
                if round_.purpose in (Purpose.ASK, Purpose.INFORM) and not (round_.plan and round_.plan.urgent):
                    stage = (copy.address, round_.case_key, round_.stage, str(round_.occurrence))
                    check.look(had.setdefault(stage, copy.message_id) == copy.message_id, _said(copy))
        return check

    def frequencies(self) -> Check:
        """Who wants a digest gets one, and not more often than they want: unless it is urgent, a right hangs on the
        day, it follows what they had, or the next digest would be too late.
        """
        check = Check("who wants to hear daily or weekly hears in a digest, as often as that")
        wanted = {wish.subscription_id: wish.frequency for one in self._year.people for wish in one.subscriptions}
        for copy in self._firsts():
            if copy.gathered == "weekly":
                check.look(self._may_be_weekly(copy, wanted), _said(copy))
            if copy.kind != "first":
                continue
            for round_id, ids in copy.rounds.items():
                round_ = self._known(round_id, copy)
                wishes = {self._wish(reason, wanted) for reason in self._reasons(copy, ids)}
                if "at_once" not in wishes and not self._goes_alone(round_, copy.channel):
                    check.look(_no_digest_in_time(wishes, round_, copy.at), f"{_said(copy)} {wishes}")
        return check

    def _may_be_weekly(self, copy: Copy, wanted: Mapping[str, str]) -> bool:
        """On its day, or later where nobody could send it then, or where its next day would be too late, or with the
        daily digest of the day before: two messages would come within a day.
        """
        carried = [id_ for ids in copy.rounds.values() for id_ in ids]
        if any(self._wish(reason, wanted) == "daily" for reason in self._reasons(copy, carried)):
            return True
        day = copy.at.astimezone(STOCKHOLM).date()
        late = any(back <= copy.at < back + timedelta(days=1) for _, back in self._year.notes.down)
        known = [self._known(id_, copy) for id_ in copy.rounds]
        hurry = any(_no_digest_in_time({"weekly"}, round_, copy.at + timedelta(days=1)) for round_ in known)
        return _is_digest_day(day, daily=False) or late or hurry

    def _wish(self, reason: Reason, wanted: Mapping[str, str]) -> str:
        if reason.delivery == "digest":
            return "weekly"
        return wanted.get(reason.subscription_id or "", "at_once") if reason.kind == "subscription" else "at_once"

    def _goes_alone(self, round_: Round, channel: str) -> bool:
        plan = round_.plan
        followed = round_.purpose is Purpose.CHANGE
        return followed or channel != "email" or (plan is not None and (plan.urgent or plan.statutory))

    def _firsts(self) -> Iterator[Copy]:
        """Each first message and digest once, however many copies of it there are."""
        seen = set[str]()
        for copy in self._copies:
            if copy.kind in ("first", "digest") and copy.message_id not in seen:
                seen.add(copy.message_id)
                yield copy

    def digests(self) -> Check:
        check = Check("a digest has one to ten matters, and none that its address has had")
        had: dict[tuple[str, str, str], str] = {}
        for copy in self._firsts():
            for id_ in copy.rounds:
                before = had.setdefault((copy.address, copy.channel, id_), copy.message_id)
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

    def _known(self, round_id: str, copy: Copy) -> Round:
        """The round that a message was written from."""
        return self._round(round_id, self._was_written(copy)) or self._rounds[round_id][1][0]

    def _round(self, round_id: str, at: datetime) -> Round | None:
        """The round as it had been published by then."""
        times, states = self._rounds[round_id]
        place = bisect_right(times, at)
        return states[place - 1] if place else None


def _leaves_at_any_hour(plan: Plan, copy: Copy) -> bool:
    """Access, water or collection is cut; or a mail would miss the day on which the law's time to answer hangs."""
    if plan.any_hour:
        return True
    opens = copy.at.astimezone(STOCKHOLM)
    while not in_window("email", opens):
        opens += timedelta(hours=1)
    return copy.channel == "email" and plan.leave_by is not None and opens.date() > plan.leave_by


@dataclass(frozen=True)
class _Asked:
    at: datetime
    round_id: str
    minutes: int


def _within(asked: Sequence[_Asked], now: datetime) -> bool:
    policy = MODEL.burden_policy
    asks = sum(one.at > now - timedelta(days=30) for one in asked)
    minutes = sum(one.minutes for one in asked if one.at > now - timedelta(days=90))
    within_asks = asks <= policy.max_asks_per_person_per_30_days
    return within_asks and minutes <= policy.max_minutes_per_person_per_90_days


def _no_digest_in_time(wishes: Collection[str], round_: Round, at: datetime) -> bool:
    """Whether the next digest would leave no day to answer."""
    day = at.astimezone(STOCKHOLM).date()
    while not _is_digest_day(day, daily="daily" in wishes):
        day += timedelta(days=1)
    last = min(moment for moment in (round_.expires_at, _end_of(round_)) if moment is not None)
    return day >= (last - timedelta(microseconds=1)).astimezone(STOCKHOLM).date()


def _is_digest_day(day: date, *, daily: bool) -> bool:
    noon = datetime.combine(day, time(12), STOCKHOLM)
    if not in_window("email", noon):
        return False
    before = [day - timedelta(days=n) for n in range(1, 8)]
    free = list(takewhile(lambda one: not in_window("email", datetime.combine(one, time(12), STOCKHOLM)), before))
    return daily or any(one.weekday() == 1 for one in (day, *free))


def _end_of(round_: Round) -> datetime | None:
    last = round_.respond_by
    return datetime.combine(last + timedelta(days=1), time(), STOCKHOLM) if last else None


def _in_time(round_: Round, at: datetime) -> bool:
    if round_.expires_at is not None and at >= round_.expires_at:
        return False
    over = round_.respond_by + timedelta(days=1) if round_.respond_by else None
    return over is None or round_.purpose is not Purpose.ASK or at.astimezone(STOCKHOLM).date() < over


def _said(copy: Copy) -> str:
    return f"{copy.at.isoformat()} {copy.channel} {copy.kind} {copy.message_id[:8]} to {copy.address}"
