"""A year under an injected clock: the matcher and the notifier as they are wired, on topics in memory, no Kafka.

The clock jumps to the next moment at which anything happens: a case changes, somebody answers or says stop, a company
leaves, a round's hold is over, a message is due, a round expires. Some nights the notifier is down, and comes back with
all that is due.
"""

import heapq
import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from itertools import count
from typing import Any, Final

from pydantic import TypeAdapter
from sqlalchemy import func, select

from schemas.case import CASE_CHANGED, Case
from schemas.company import COMPANY_CHANGED, IMPORT_COMPLETED, MARKER_PREFIX, ImportCompleted
from schemas.contact import CONTACT_CHANGED
from schemas.delivery import Delivery
from schemas.dialogue import CORRECT, DIALOGUE_CHANGED, FEEDBACK, RELEASE, REMIND, UNDO, Decision, Dialogue
from schemas.identity import derived
from schemas.invitation import Invitation
from schemas.response import RESPONSE_RECORDED, Response
from schemas.round import Outcome, Purpose, Round, RoundState
from schemas.subscription import CASE_FOLLOWED, SUBSCRIPTION_CHANGED, Following, following_id
from schemas.suppression import SUPPRESSION_CHANGED, Suppression
from schemas.topics import (
    CASES,
    COMPANIES,
    CONTACTS,
    DELIVERIES,
    DIALOGUES,
    INVITATIONS,
    RESPONSES,
    ROUNDS,
    SUBSCRIPTIONS,
    SUPPRESSIONS,
)
from services.notifier.ledger.tables import MESSAGES
from services.notifier.settings import NotifierOptions
from services.runtime.clock import Clock
from services.runtime.records import Record
from services.runtime.store.database import micros, moment_of
from tests.matcher_offline import MODEL, Process
from tests.notifier_offline import OfflineNotifier, contact, keys, say
from tests.topics_offline import Log
from tests.year import town
from tests.year.sinks import Copy, Writer, YearSink, chance
from tests.year.town import Firm, Happening, Person, Size

START: Final = datetime(2027, 1, 4, tzinfo=town.ZONE)
HOLD: Final = timedelta(minutes=10)
SETTLING: Final = timedelta(days=500)
"""After the year nothing new happens; what is under way comes to its end."""
BREATH: Final = timedelta(minutes=15)
"""The shortest step of the clock on its own: what waits for others is not looked at by the second."""
Deed = Callable[[], Awaitable[None]]


@dataclass(frozen=True)
class Stop:
    """What somebody said, when it was written where the sender looks."""

    at: datetime
    address: str
    scope: str
    case_key: str
    case_type: str


@dataclass
class Notes:
    """What happened in the year, apart from what providers took."""

    stops: list[Stop] = field(default_factory=list)
    answered: dict[str, datetime] = field(default_factory=dict)
    """Invitation → when its answer was published."""
    gone: dict[str, datetime] = field(default_factory=dict)
    """Workplace → when it left the register."""
    undone: int = 0
    down: list[tuple[datetime, datetime]] = field(default_factory=list)
    looks: int = 0


class TimedLog(Log):
    """Topics that keep when each record was acknowledged, and tell of rounds."""

    def __init__(self) -> None:
        super().__init__()
        self.clock: Clock | None = None
        self.times: list[datetime] = []
        self.on_round: Callable[[Round], None] = lambda _: None

    def append(self, topic: str, key: str, value: bytes | None, headers: Mapping[str, str]) -> Record:
        record = super().append(topic, key, value, headers)
        assert self.clock is not None
        self.times.append(self.clock.now())
        if topic == ROUNDS.name:
            self.on_round(Round.model_validate_json(value or b""))
        return record


class Year:
    """One run. `live` lets the year pass; what came of it is in `log`, `sinks` and `notes`."""

    def __init__(self, size: Size, seed: int, database: str, start: datetime = START) -> None:
        self.size, self.seed, self.start = size, seed, start
        self.end = start + timedelta(days=size.days)
        draw = random.Random(f"year{seed}")
        self.firms: list[Firm] = town.firms(size, draw)
        self.people: list[Person] = town.people(self.firms, draw)
        self.happenings: list[Happening] = town.happenings(MODEL, size, start, draw)
        self.notes, self.log = Notes(), TimedLog()
        self.process = Process(self.log, "auto", start)
        self.clock = self.log.clock = self.process.clock
        self.log.on_round = self._round_told
        dead = frozenset(p.address for p in self.people if chance(seed, "dead", p.address) < 0.02)
        self.sinks = [YearSink(name, self.clock, seed, dead, self._taken) for name in ("email", "sms")]
        options = {"database": database, "windows": "working_hours", "hold_seconds": HOLD.total_seconds()}
        self.notifier = OfflineNotifier(
            self.log, self.clock, NotifierOptions.model_validate(options | keys()), channels=self.sinks,
            composer=Writer(),
        )  # fmt: skip
        self.rounds: dict[str, Round] = {}
        self.invitations: dict[str, Invitation] = {}
        self.owed = 0
        """What the ledger has under way when all is over."""
        self._read = 0
        self._next_due: datetime | None = None
        self._order = count()
        self._todo: list[tuple[datetime, int, Deed, bool]] = []
        self._opened: set[str] = set()
        self._decided: dict[str, list[Decision]] = {}

    def at(self, moment: datetime, deed: Deed, *, look: bool = True) -> None:
        """Something happens then. What the notifier need not look at before it looks anyway: without `look`."""
        heapq.heappush(self._todo, (moment, next(self._order), deed, look))

    async def live(self, on_day: Callable[["Year"], None] = lambda _: None) -> None:
        """From the first import to the end of the last round."""
        await self.notifier.start()
        self._begin()
        while (moment := await self._next()) is not None:
            if moment.date() > self.clock.now().date():
                on_day(self)
            self.clock.moment = max(self.clock.now(), moment)
            if await self._happens() and not self._is_down():
                await self._look()
        self.owed = await self.notifier.under_way()
        await self.notifier.close()

    async def _happens(self) -> bool:
        """Whether the notifier should look."""
        now = self.clock.now()
        wanted = not self._todo or self._todo[0][0] > now or (self._next_due is not None and self._next_due <= now)
        while self._todo and self._todo[0][0] <= self.clock.now():
            _, _, deed, look = heapq.heappop(self._todo)
            await deed()
            wanted |= look
        if self.process.rounds.expired(self.clock.now()):
            await self.process.matcher.close(frozenset())
            wanted = True
        return wanted

    async def _look(self) -> None:
        self.notes.looks += 1
        while await self.notifier.turn():
            pass
        self._next_due = None
        self._read_invitations()

    def _begin(self) -> None:
        draw = random.Random(f"life{self.seed}")
        for person in self.people:
            for wish in person.subscriptions:
                say(self.log, SUBSCRIPTIONS, wish.subscription_id, wish, SUBSCRIPTION_CHANGED, self.start)
            self._contact(person.recipient_id, person.address, "email", source="portal", role="subscriber")
        for firm in self.firms:
            self._company(firm)
            for channel, address in (("email", firm.email), ("sms", firm.phone)):
                if address:
                    where = firm.company.workplace_id
                    self._contact(firm.company.recipient_id, address, channel, workplace_id=where)
        self._marker(1)
        for happening in self.happenings:
            self.at(happening.at, lambda case=happening.case: self._case(case))  # type: ignore[misc]
        for number, month in enumerate(range(30, self.size.days, 30), 2):
            self.at(self.start + timedelta(days=month, hours=3), lambda number=number: self._import(number))  # type: ignore[misc]
        for _ in range(self.size.days // 15):
            away = self.start + timedelta(days=draw.uniform(1, self.size.days), hours=draw.uniform(0, 24))
            back = away + timedelta(hours=draw.uniform(2, 16))
            self.notes.down.append((away, back))
            self.at(back, self._nothing)

    async def _nothing(self) -> None:
        """Only a look."""

    def _is_down(self) -> bool:
        return any(away <= self.clock.now() < back for away, back in self.notes.down)

    async def _next(self) -> datetime | None:
        """The next moment at which anything may happen; None when all has come to its end."""
        moments = [self._todo[0][0]] if self._todo else []
        moments += list(self.process.rounds._open.values())
        if (due := await self._due()) is not None:
            moments.append(due)
        found = min(moments, default=None)
        return found if found is not None and found < self.end + SETTLING else None

    async def _due(self) -> datetime | None:
        """When something in the ledger is due next. It is asked when the notifier has looked, or was down then."""
        now = self.clock.now()
        if self._next_due is None or self._next_due <= now:
            later = select(func.min(MESSAGES.c.due)).where(
                MESSAGES.c.state.in_(("pending", "retry", "unknown", "waiting")), MESSAGES.c.due > micros(now)
            )
            async with self.notifier.app.database.transaction() as connection:
                due: int | None = await connection.scalar(later)
            self._next_due = None if due is None else max(moment_of(due), now + BREATH)
        return self._next_due

    def _round_told(self, round_: Round) -> None:
        """When to look at a round next: its hold is over, those whose invitations are missing are waited for no more,
        a reminder is due.
        """
        known = round_.round_id in self._opened
        self.rounds[round_.round_id] = round_
        if round_.state is not RoundState.OPEN or round_.opened_at is None:
            return
        self._opened.add(round_.round_id)
        if not known and _is_stage(round_):
            self._plan_afterwards(round_)
        free = max(round_.opened_at + HOLD, round_.not_before or round_.opened_at)
        for moment in (free, free + timedelta(seconds=61), round_.remind_at):
            if moment is not None and moment > self.clock.now():
                self.at(moment, self._nothing)

    def _read_invitations(self) -> None:
        for record in self.log.records[self._read :]:
            if record.topic == INVITATIONS.name:
                event = Invitation.model_validate_json(record.value or b"")
                self.invitations[event.invitation_id] = event
        self._read = len(self.log.records)

    # What the municipality does.

    async def _case(self, content: dict[str, Any]) -> None:
        case = Case.model_validate(content)
        await self.process.matcher.handle([say(self.log, CASES, case.key, case, CASE_CHANGED, self.clock.now())])
        await self.process.read()
        if chance(self.seed, "undo", case.key, case.version) < 0.08:
            minutes = chance(self.seed, "soon", case.key, case.version) * 20
            self.at(self.clock.now() + timedelta(minutes=minutes), lambda: self._undo(case))

    async def _undo(self, case: Case) -> None:
        """An official takes a round back, and releases it some hours later. The page writes it where the sender looks
        first.
        """
        opened = [r for r in self.process.rounds.of_case(case.key) if r.state is RoundState.OPEN and _is_stage(r)]
        if not opened:
            return
        round_, now = opened[0], self.clock.now()
        self.notes.undone += 1
        held = Suppression(
            municipality=round_.municipality, suppression_id=derived("undone", round_.round_id), kind="undone",
            scope="round", round_id=round_.round_id, basis=round_.basis, at=now,
        )  # fmt: skip
        say(self.log, SUPPRESSIONS, held.suppression_id, held, SUPPRESSION_CHANGED, now)
        await self._decide(round_, UNDO)
        hours = 1 + chance(self.seed, "release", round_.round_id) * 30
        self.at(now + timedelta(hours=hours), lambda: self._release(round_.round_id))

    async def _release(self, round_id: str) -> None:
        round_ = self.process.rounds.get(round_id)
        if round_ is not None and round_.state is RoundState.HELD:
            await self._decide(round_, RELEASE, set_hash=round_.set_hash)

    def _plan_afterwards(self, round_: Round) -> None:
        """What an official will do with a round that has opened: tell what came of it, set right what was wrong in it,
        have it brought to mind before its time.
        """
        opened, luck = self.clock.now(), chance(self.seed, "afterwards", round_.round_id)
        if round_.purpose is Purpose.ASK and round_.respond_by is not None and luck < 0.7:
            closed = datetime.combine(round_.respond_by, time(13), town.ZONE)
            told = closed + timedelta(days=1 + 20 * luck)
            outcome = Outcome(said="Fler lastzoner.", taken="Två lastzoner till.")
            self.at(told, lambda: self._decide_on(round_.round_id, FEEDBACK, outcome=outcome))
        if luck < 0.05:
            wrong = opened + timedelta(days=6 * luck * 20)
            self.at(wrong, lambda: self._decide_on(round_.round_id, CORRECT, correction="Mötet är kl. 8."))
        elif round_.purpose is Purpose.ASK and luck > 0.95:
            soon = opened + timedelta(days=4)
            self.at(soon, lambda: self._decide_on(round_.round_id, REMIND))

    async def _decide_on(self, round_id: str, kind: str, **more: Any) -> None:
        await self._decide(self.rounds[round_id], kind, **more)

    async def _decide(self, round_: Round, kind: str, **more: Any) -> None:
        made = self._decided.setdefault(round_.case_key, [])
        made.append(
            Decision(
                number=len(made) + 1, kind=kind, round_id=round_.round_id, at=self.clock.now(), by="näringsliv", **more
            )
        )  # fmt: skip
        where = {"municipality": round_.municipality, "case_id": round_.case_id, "source": round_.source}
        dialogue = Dialogue.model_validate({**where, "decisions": made})
        record = say(self.log, DIALOGUES, dialogue.key, dialogue, DIALOGUE_CHANGED, self.clock.now())
        await self.process.matcher.handle([record])
        await self.process.read()

    async def _import(self, number: int) -> None:
        """The month's register: some companies have left it, some people are erased."""
        for firm in self.firms:
            place = firm.company.workplace_id
            if place not in self.notes.gone and chance(self.seed, "leaves", number, place) < 0.01:
                self.notes.gone[place] = self.clock.now()
                left = firm.company.model_copy(update={"status": "closed", "import_number": number})
                say(self.log, COMPANIES, place, left, COMPANY_CHANGED, self.clock.now())
        self._marker(number)
        await self.process.rematch()

    def _company(self, firm: Firm) -> None:
        say(self.log, COMPANIES, firm.company.workplace_id, firm.company, COMPANY_CHANGED, self.start)

    def _contact(self, recipient: str, address: str, channel: str, **where: Any) -> None:
        known = contact(recipient, address, channel, **where)
        say(self.log, CONTACTS, known.contact_id, known, CONTACT_CHANGED, self.clock.now())

    def _marker(self, number: int) -> None:
        marker = ImportCompleted(
            municipality=town.MUNICIPALITY, import_id=f"i{number}", import_number=number, source="register",
            partition=0, partitions=1, rows=len(self.firms), content_hash=f"{number:032x}",
            completed_at=self.clock.now(),
        )  # fmt: skip
        say(self.log, COMPANIES, f"{MARKER_PREFIX}0", marker, IMPORT_COMPLETED, self.clock.now())

    # What readers do.

    def _taken(self, copy: Copy) -> None:
        """Some answer, some say stop: hours or days after the message."""
        luck = chance(self.seed, "reader", copy.message_id)
        after = copy.at + timedelta(hours=0.1 + 240 * chance(self.seed, "when", copy.message_id) ** 2)
        if luck < 0.01:
            self.at(after, lambda: self._stop(copy), look=False)
        elif luck < 0.25:
            self.at(after, lambda: self._answer(copy), look=False)

    async def _answer(self, copy: Copy) -> None:
        now = self.clock.now()
        for round_id, invitations in copy.rounds.items():
            round_ = self.rounds[round_id]
            if round_.purpose is not Purpose.ASK or round_.state is not RoundState.OPEN:
                continue
            for id_ in invitations:
                invitation = self.invitations[id_]
                self.notes.answered.setdefault(id_, now)
                response = Response(
                    municipality=round_.municipality, response_id=derived("response", id_, copy.message_id),
                    case_key=round_.case_key, case_id=round_.case_id, source=round_.source, stage=round_.stage,
                    occurrence=round_.occurrence, round_id=round_id, invitation_id=id_,
                    recipient_id=invitation.recipient_id, message_number=copy.number, form=invitation.forms.primary,
                    answer="ja", reference="7F3-K2Q", at=now,
                )  # fmt: skip
                say(self.log, RESPONSES, response.case_key, response, RESPONSE_RECORDED, now)
                follows = following_id(round_.case_key, invitation.recipient_id)
                following = Following(
                    municipality=round_.municipality, subscription_id=follows, recipient_id=invitation.recipient_id,
                    case_key=round_.case_key, round_id=round_id, stage=round_.stage, since=now,
                    workplaces=[place.workplace_id for place in invitation.workplaces],
                )  # fmt: skip
                say(self.log, SUBSCRIPTIONS, follows, following, CASE_FOLLOWED, now)

    async def _stop(self, copy: Copy) -> None:
        """At the page of a message: this case, this kind, or all."""
        if not copy.rounds:
            return
        round_, now = self.rounds[next(iter(copy.rounds))], self.clock.now()
        scope = ("all", "kind", "case")[int(3 * chance(self.seed, "scope", copy.message_id))]
        said = Suppression.model_validate(
            {
                "municipality": round_.municipality, "suppression_id": derived("stop", copy.message_id), "kind": "stop",
                "scope": scope, "message_number": copy.number, "at": now,
                "case_key": round_.case_key if scope == "case" else None,
                "case_type": round_.case_type if scope == "kind" else None,
            }
        )  # fmt: skip
        say(self.log, SUPPRESSIONS, said.suppression_id, said, SUPPRESSION_CHANGED, now)
        self.notes.stops.append(Stop(now, copy.address, scope, round_.case_key, round_.case_type))

    def deliveries(self) -> list[Delivery]:
        """All that was told of messages and invitations, in order."""
        one = TypeAdapter(Delivery)
        return [one.validate_json(r.value or b"") for r in self.log.records if r.topic == DELIVERIES.name]


def _is_stage(round_: Round) -> bool:
    return round_.purpose in (Purpose.ASK, Purpose.INFORM)
