"""The rounds. Of two states of a round the one with the higher basis stays; with equal bases `matching` never replaces
what ended it.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime

from schemas.round import ROUND_CHANGED, Round, RoundState
from services.matcher.tables.records import event_id, event_in
from services.runtime.records import Record


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
                event = event_in(record, {ROUND_CHANGED: Round}, "se.nardialog.round.")
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
        if (ours := self._unread(event_id(record))) is None:
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


def said(round_: Round) -> str:
    """The id of the event that tells of a round's state: which round, on which basis, in which state."""
    return f"{round_.round_id}/{'.'.join(map(str, round_.basis.order))}/{round_.state.value}"


def _replaces(new: Round, known: Round) -> bool:
    if new.basis.order != known.basis.order:
        return new.basis.order > known.basis.order
    return new.state is not RoundState.MATCHING or known.state is RoundState.MATCHING
