"""What the matcher knows from whole topics: the register at its last complete import, the cases with their decisions,
the subscriptions, the rounds with their members.

Rows of an import are staged until its marker has been seen on every partition and are then taken all at once: half a
register is never matched. A row of an import that a later one has overtaken changes nothing, whenever it arrives.
Erasures (tombstones) are the exception and hold at once. Of two states of a round the one
with the higher basis stays; with equal bases `matching` never replaces what ended it.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime

from schemas.case import Case
from schemas.company import COMPANY_CHANGED, IMPORT_COMPLETED, Company, ImportCompleted
from schemas.dialogue import Dialogue
from schemas.envelope import decode
from schemas.invitation import INVITATION_CHANGED, Invitation, InvitationState
from schemas.model import DialogueModel
from schemas.round import ROUND_CHANGED, Round, RoundState
from schemas.subscription import CASE_FOLLOWED, SUBSCRIPTION_CHANGED, Following, Subscription
from schemas.types import Event
from services.matcher.dialogue.working_days import local_day
from services.matcher.door import accept, accept_dialogue, is_edited
from services.matcher.memberships import Membership
from services.matcher.subscriptions import Subscribers, columns, complaint, in_order
from services.matcher.workplaces import EMPTY, Snapshot, Workplace, changed
from services.runtime.errors import Rejected
from services.runtime.logs import logger
from services.runtime.parsing import Parsed, parse
from services.runtime.records import Record


def _event(record: Record, types: dict[str, type[Event]], family: str) -> Event | None:
    """The event, or None: a table skips what it cannot read and says so; whoever wrote it has its own door."""
    try:
        parsed = parse(record, types, family)
        if parsed is not None:
            _check_key(record, parsed.event)
    except Rejected as error:
        logger().warning(
            "table skips a record", topic=record.topic, partition=record.partition, offset=record.offset,
            reason=error.reason, pointer=error.pointer,
        )  # fmt: skip
        return None
    return parsed.event if parsed else None


def _check_key(record: Record, event: Event) -> None:
    """A fact under another's key would outlive its own tombstone, and every other reader refuses it."""
    identity = {
        Company: "workplace_id", Round: "round_id", Subscription: "subscription_id", Following: "subscription_id",
    }.get(type(event))  # fmt: skip
    if identity is not None and record.key != getattr(event, identity).encode():
        raise Rejected("key_mismatch", f"the record's key is not the event's {identity}", f"/{identity}")


class RegisterTable:
    """The register, from `companies`."""

    def __init__(self) -> None:
        self._register = EMPTY
        self._changes: dict[str, Workplace | None] = {}
        """What this batch says of the register besides imports: rows that came late, and None for what is erased."""
        self._staged: dict[str, tuple[int, Workplace]] = {}
        """Rows that wait for their import's marker, with its number."""
        self._markers: dict[str, dict[int, ImportCompleted]] = {}

    @property
    def import_number(self) -> int:
        """The last complete import; 0 before the first."""
        return self._register.import_number

    def snapshot(self) -> Snapshot | None:
        """The register as columns; None before the first complete import."""
        return self._register if self.import_number else None

    def begin(self, register: Snapshot) -> None:
        """Begins with a register that was read before, instead of with nothing."""
        self._register = register

    def settled(self) -> Snapshot | None:
        """The register, unless there is none yet or some of a later import is here: that is not in its columns."""
        known = self.import_number
        later = any(m.import_number > known for seen in self._markers.values() for m in seen.values())
        return None if self._staged or self._changes or later else self.snapshot()

    async def apply(self, records: Sequence[Record]) -> None:
        """Takes a batch of the topic."""
        for record in records:
            if record.value is None:
                self._erase((record.key or b"").decode(errors="replace"))
                continue
            event = _event(
                record, {COMPANY_CHANGED: Company, IMPORT_COMPLETED: ImportCompleted}, "se.nardialog.company."
            )
            if isinstance(event, Company):
                self._take(event)
            elif isinstance(event, ImportCompleted):
                await self._mark(event)
        await self._change()

    def _erase(self, workplace_id: str) -> None:
        self._staged.pop(workplace_id, None)
        self._changes[workplace_id] = None

    def _take(self, company: Company) -> None:
        row, number = Workplace.of(company), company.import_number
        if number > self.import_number:
            if self._staged.get(row.workplace_id, (0, row))[0] <= number:
                self._staged[row.workplace_id] = (number, row)
        elif not (0 < number < self.import_number and self._register.row(row.workplace_id) is not None):
            self._changes[row.workplace_id] = row
            self._staged.pop(row.workplace_id, None)

    async def _mark(self, marker: ImportCompleted) -> None:
        seen = self._markers.setdefault(marker.import_id, {})
        seen[marker.partition] = marker
        if len(seen) < marker.partitions or marker.import_number <= self.import_number:
            return
        complete = [row for number, row in self._staged.values() if number <= marker.import_number]
        self._changes |= {row.workplace_id: row for row in complete}
        await self._change(marker)
        self._staged = {key: row for key, row in self._staged.items() if row[0] > marker.import_number}
        self._markers = {marker.import_id: seen}
        logger().info("register complete", import_number=marker.import_number, rows=self._register.count)

    async def _change(self, marker: ImportCompleted | None = None) -> None:
        """Puts the changes in the register. Erasing is cheap; all else makes new columns, beside the work."""
        rows = [row for row in self._changes.values() if row is not None]
        gone = [key for key, row in self._changes.items() if row is None]
        known = self._register
        if marker is None and not rows:
            self._register = known.without(gone)
        else:
            self._register = await asyncio.to_thread(
                changed, known, rows, frozenset(gone),
                import_number=marker.import_number if marker else known.import_number,
                register_date=local_day(marker.completed_at) if marker else known.register_date,
                register_version=marker.content_hash if marker else known.register_version,
            )  # fmt: skip
        self._changes = {}


class CaseTable:
    """The latest state of every case, and whether it came with the mark that asks for a look."""

    def __init__(self, model: DialogueModel, *, anywhere: bool) -> None:
        self._model = model
        self._anywhere = anywhere
        self._cases: dict[str, tuple[Case, bool]] = {}
        self._read: dict[str, tuple[int, int, Case]] = {}
        self._earlier: dict[str, dict[tuple[str, int], Case]] = {}

    async def apply(self, records: Sequence[Record]) -> None:
        """Takes a batch of the topic; what the door refuses is not here, its subscriber sets it aside."""
        for record in records:
            if record.value is None:
                for table in (self._cases, self._earlier, self._read):
                    table.pop((record.key or b"").decode(errors="replace"), None)
                continue
            try:
                parsed = accept(record, self._model, anywhere=self._anywhere)
            except Rejected:
                continue
            if parsed is not None:
                self._read[parsed.event.key] = (record.partition, record.offset, parsed.event)
                self.put(parsed.event, edited=is_edited(parsed))

    def accept(self, record: Record) -> Parsed[Case] | None:
        """What the door says of a record. The table reads ahead of us, so it was mostly asked of this one already."""
        partition, offset, case = self._read.get((record.key or b"").decode(errors="replace"), (-1, -1, None))
        if case is not None and (partition, offset) == (record.partition, record.offset):
            return Parsed(record, decode(record.headers), case)
        return accept(record, self._model, anywhere=self._anywhere)

    def put(self, case: Case, *, edited: bool) -> None:
        """Keeps a case unless a later version is known. A version that was once marked stays marked. One that comes
        after a later version is kept beside it where it is of another stage: that may still have to be opened.
        """
        known, marked = self._cases.get(case.key, (None, False))
        if known is None or known.version < case.version:
            self._cases[case.key] = (case, edited)
        elif known.version == case.version:
            self._cases[case.key] = (case, edited or marked)
        elif (case.stage, case.occurrence) != (known.stage, known.occurrence):
            stages = self._earlier.setdefault(case.key, {})
            before = stages.get((case.stage, case.occurrence))
            if before is None or before.version <= case.version:
                stages[case.stage, case.occurrence] = case

    def earlier(self, key: str) -> list[Case]:
        """Versions that came after a later one, one for each stage that was not that one's."""
        return list(self._earlier.get(key, {}).values())

    def get(self, key: str) -> Case | None:
        """A case."""
        return self._cases.get(key, (None, False))[0]

    def edited(self, case: Case) -> bool:
        """Whether this version of a case was marked."""
        known, marked = self._cases.get(case.key, (None, False))
        return marked and known is not None and known.version == case.version

    def known(self) -> list[str]:
        """All case keys, in order."""
        return sorted(self._cases)


class DialogueTable:
    """The latest decisions on every case, also on cases that are not known yet."""

    def __init__(self) -> None:
        self._dialogues: dict[str, Dialogue] = {}

    async def apply(self, records: Sequence[Record]) -> None:
        """Takes a batch of the topic; what cannot be read is not here, its subscriber sets it aside."""
        for record in records:
            if record.value is None:
                self._dialogues.pop((record.key or b"").decode(errors="replace"), None)
                continue
            try:
                parsed = accept_dialogue(record)
            except Rejected:
                continue
            if parsed is not None:
                self.put(parsed.event)

    def put(self, dialogue: Dialogue) -> None:
        """Keeps what was decided unless more is known."""
        known = self._dialogues.get(dialogue.key)
        if known is None or known.number <= dialogue.number:
            self._dialogues[dialogue.key] = dialogue

    def get(self, key: str) -> Dialogue | None:
        """What was decided on a case."""
        return self._dialogues.get(key)


class SubscriptionTable:
    """Every subscription, and who follows a case because they answered. Its position counts the records read of every
    partition; `changes` counts those after which cases are looked at again: not each answer, only one on a case that
    `asks_participants` now.
    """

    def __init__(self, asks_participants: Callable[[str], bool] = lambda _: True) -> None:
        self._asks_participants = asks_participants
        self._rows: dict[str, Subscription] = {}
        self._followings: dict[str, Following] = {}
        self._followers: dict[str, tuple[Following, ...]] = {}
        self._next: dict[int, int] = {}
        self._columns: Subscribers | None = None
        self.changes = 0

    async def apply(self, records: Sequence[Record]) -> None:
        """Takes a batch of the topic."""
        types: dict[str, type[Event]] = {SUBSCRIPTION_CHANGED: Subscription, CASE_FOLLOWED: Following}
        for record in records:
            self._next[record.partition] = record.offset + 1
            if record.value is None:
                self._forget((record.key or b"").decode(errors="replace"))
                continue
            event = _event(record, types, "se.nardialog.subscription.")
            if isinstance(event, Subscription):
                self._take(event, record)
            elif isinstance(event, Following):
                self._follow(event)

    def _take(self, subscription: Subscription, record: Record) -> None:
        if wrong := complaint(subscription):
            logger().warning(
                "table skips a record", topic=record.topic, partition=record.partition, offset=record.offset,
                reason=wrong.code, pointer=wrong.pointer,
            )  # fmt: skip
            return
        self._rows[subscription.subscription_id] = subscription
        self._columns = None
        self.changes += 1

    def _follow(self, following: Following) -> None:
        self._followings[following.subscription_id] = following
        others = (item for item in self._followers.get(following.case_key, ()) if not _same(item, following))
        self._followers[following.case_key] = in_order([*others, following])
        self.changes += self._asks_participants(following.case_key)

    def _forget(self, subscription_id: str) -> None:
        if (gone := self._followings.pop(subscription_id, None)) is not None:
            left = tuple(item for item in self._followers[gone.case_key] if not _same(item, gone))
            self._followers[gone.case_key] = left
        if self._rows.pop(subscription_id, None) is not None:
            self._columns = None
            self.changes += 1

    def snapshot(self) -> Subscribers:
        """The columns as they stand. An answer, of which there are many, does not build them anew."""
        if self._columns is None:
            self._columns = columns(self._rows.values())
        return replace(self._columns, position=sum(self._next.values()), followers=self._followers)


def _same(one: Following, other: Following) -> bool:
    return one.subscription_id == other.subscription_id


class RoundTable:
    """Every round's state, and which of them somebody overwrote with an older one."""

    def __init__(self) -> None:
        self._rounds: dict[str, Round] = {}
        self._by_case: dict[str, set[str]] = {}
        self._ours: dict[str, list[Round]] = {}
        self._open: dict[str, datetime] = {}
        self.overwritten: dict[str, str] = {}
        """Round id → case key of those whose last record says less than is known: an instance that had lost its
        partitions wrote it when they were already ours.
        """
        self.overwrites = 0
        """How often that was seen."""

    async def apply(self, records: Sequence[Record]) -> None:
        """Takes a batch of the topic."""
        for record in records:
            round_id = (record.key or b"").decode(errors="replace")
            if record.value is None:
                self._forget(round_id)
            elif self._is_echo(record):
                self.overwritten.pop(round_id, None)  # what came of it is in the table, or its record is still to come
            else:
                event = _event(record, {ROUND_CHANGED: Round}, "se.nardialog.round.")
                if isinstance(event, Round):
                    self._read(event)

    @contextmanager
    def written(self, rounds: Sequence[Round]) -> Iterator[None]:
        """Takes states that we write. They come back, often before we hear that they are there, and need not be parsed
        then. Where writing fails nobody knows which of them are there, and those that come are read.
        """
        for round_ in rounds:
            self._ours.setdefault(said(round_), []).append(round_)
        try:
            yield
        except BaseException:
            for round_ in rounds:
                self._unread(said(round_))
            raise
        for round_ in rounds:
            self.put(round_)

    def _unread(self, id_: str) -> Round | None:
        """One that we wrote under this id and that has not come back yet: it is not waited for any more."""
        waiting = self._ours.pop(id_, [])
        if len(waiting) > 1:
            self._ours[id_] = waiting[:-1]
        return waiting[-1] if waiting else None

    def put(self, round_: Round) -> bool:
        """Keeps a state unless a later one is known; says whether it was kept."""
        known = self._rounds.get(round_.round_id)
        if known is not None and not _replaces(round_, known):
            return False
        self._rounds[round_.round_id] = round_
        self._by_case.setdefault(round_.case_key, set()).add(round_.round_id)
        if round_.state is RoundState.OPEN and round_.expires_at is not None:
            self._open[round_.round_id] = round_.expires_at
        else:
            self._open.pop(round_.round_id, None)
        return True

    def expired(self, now: datetime) -> list[Round]:
        """The rounds that are open and whose time is over."""
        return [self._rounds[id_] for id_ in sorted(id_ for id_, until in self._open.items() if until <= now)]

    def _is_echo(self, record: Record) -> bool:
        if (ours := self._unread(_event_id(record))) is None:
            return False
        self.put(ours)
        return True

    def _read(self, round_: Round) -> None:
        if self.put(round_):
            self.overwritten.pop(round_.round_id, None)
        else:
            self.overwritten[round_.round_id] = round_.case_key
            self.overwrites += 1

    def get(self, round_id: str) -> Round | None:
        """A round's state."""
        return self._rounds.get(round_id)

    def of_case(self, case_key: str) -> list[Round]:
        """All rounds of a case, in order of id."""
        return [self._rounds[round_id] for round_id in sorted(self._by_case.get(case_key, ()))]

    def _forget(self, round_id: str) -> None:
        self._open.pop(round_id, None)
        if (known := self._rounds.pop(round_id, None)) is not None:
            self._by_case[known.case_key].discard(round_id)


class MembershipTable:
    """Every invitation as it was last published, by round."""

    def __init__(self) -> None:
        self._members: dict[str, Membership] = {}
        self._by_round: dict[str, dict[str, Membership]] = {}

    async def apply(self, records: Sequence[Record]) -> None:
        """Takes a batch of the topic. What we published ourselves is known, byte by byte, and not read again."""
        for record in records:
            if record.value is None or self._is_known(record):
                continue
            event = _event(record, {INVITATION_CHANGED: Invitation}, "se.nardialog.invitation.")
            if isinstance(event, Invitation):
                self.put(Membership.of(event, record.value))

    def put(self, member: Membership) -> None:
        """Keeps a membership unless a later revision is known. Where two instances said one revision in different
        words, nobody knows which of them was heard: the next derivation says it again.
        """
        known = self._members.get(member.invitation_id)
        if known is not None and known.revision > member.revision:
            return
        if known is not None and known.revision == member.revision:
            if (known.live, known.fingerprint) == (member.live, member.fingerprint):
                return
            member = replace(known, state=InvitationState.ISSUED, fingerprint=b"")
        self._members[member.invitation_id] = member
        self._by_round.setdefault(member.round_id, {})[member.invitation_id] = member

    def of_rounds(self, round_ids: Iterable[str]) -> Iterator[Membership]:
        """The members of rounds."""
        for round_id in round_ids:
            yield from self._by_round.get(round_id, {}).values()

    def _is_known(self, record: Record) -> bool:
        known = self._members.get(_event_id(record).partition("/")[0])
        return known is not None and known.body == record.value


def said(round_: Round) -> str:
    """The id of the event that tells of a round's state: which round, on which basis, in which state."""
    return f"{round_.round_id}/{'.'.join(map(str, round_.basis.order))}/{round_.state.value}"


def _event_id(record: Record) -> str:
    written = next((value for name, value in record.headers if name == "ce_id"), None)
    return (written or b"").decode(errors="replace")


def _replaces(new: Round, known: Round) -> bool:
    if new.basis.order != known.basis.order:
        return new.basis.order > known.basis.order
    return new.state is not RoundState.MATCHING or known.state is RoundState.MATCHING
