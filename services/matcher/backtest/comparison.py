"""Two runs of the same cases side by side: per case, per stage, per company.

A company is a recipient: however many workplaces of it a round reaches, it is asked once. Its burden is the minutes
that the leading form costs, by the quarter in which the round opened. It is over budget in a quarter if what is not
exempt costs it more minutes than the model's policy allows in 90 days, or asks it more often than that allows in 30.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from functools import cached_property
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from schemas.model import BurdenPolicy
from services.matcher.backtest.differences import differences
from services.matcher.backtest.runs import Key, Outcome, Run
from services.matcher.grid import Booleans
from services.matcher.texts import Texts

ASKS_WITHIN_DAYS: Final = 30
Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Pair:
    """A figure under each of the two models."""

    a: int
    b: int

    @property
    def change(self) -> int:
        """How much more it is under the second."""
        return self.b - self.a


@dataclass(frozen=True)
class Side:
    """A round under one model."""

    state: str
    reason: str | None
    form: str
    minutes: int
    respond_by: date | None
    recipients: int


@dataclass(frozen=True)
class RoundRow:
    """A round under both models; None where it is not there."""

    case_id: str
    stage: str
    occurrence: int
    day: date
    a: Side | None
    b: Side | None
    gained: int
    dropped: int


@dataclass(frozen=True)
class CaseRow:
    """A case with its rounds: companies that heard of it at least once, and what it cost all of them."""

    case_id: str
    title: str
    case_type: str
    companies: Pair
    gained: int
    dropped: int
    minutes: Pair
    rounds: tuple[RoundRow, ...]


@dataclass(frozen=True)
class StageRow:
    """A stage over all its rounds."""

    case_type: str
    stage: str
    rounds: Pair
    p50: Pair
    p90: Pair
    invitations: Pair
    gained: int
    dropped: int
    minutes: Pair
    unexpected: Pair
    """Rounds with fewer or more recipients than the model expects."""


@dataclass(frozen=True)
class CompanyRow:
    """A company over the year."""

    recipient_id: str
    name: str
    invitations: Pair
    gained: int
    dropped: int
    minutes: Mapping[str, Pair]
    """By quarter."""
    over_budget: Mapping[str, tuple[bool, bool]]
    """By quarter, where it is in one of the two."""


@dataclass(frozen=True)
class Quarter:
    """A quarter over all companies that either model reaches."""

    name: str
    minutes: Pair
    p50: Pair
    p90: Pair
    """Minutes of the companies that were asked or told anything in it."""
    over_budget: Pair


@dataclass(frozen=True)
class Totals:
    """The year in figures."""

    rounds: Pair
    invitations: Pair
    companies: Pair
    """That heard of something at least once."""
    gained: int
    """That hear of something under the second model only."""
    dropped: int
    minutes: Pair
    over_budget: Pair
    """Companies that are over budget in some quarter."""
    held: Pair


class Comparison:
    """Two runs over one register. `recipients` are the ids by number, `names` what to call them."""

    def __init__(self, a: Run, b: Run, recipients: Texts, names: Mapping[str, str]) -> None:
        self.a, self.b = a, b
        self._recipients, self._names = recipients, names
        self._keys = sorted({*a.outcomes, *b.outcomes}, key=lambda key: (self._one(key).day, key))
        self.quarters = tuple(dict.fromkeys(_quarter(self._one(key).day) for key in self._keys))
        self._burdens = (_Burden(a, len(recipients), self.quarters), _Burden(b, len(recipients), self.quarters))
        self._gained, self._dropped = self._changes()

    def _one(self, key: Key) -> Outcome:
        return self.a.outcomes.get(key) or self.b.outcomes[key]

    def _both(self, key: Key) -> tuple[Outcome | None, Outcome | None]:
        return self.a.outcomes.get(key), self.b.outcomes.get(key)

    def _changes(self) -> tuple[Numbers, Numbers]:
        """Per company how many rounds it gains and loses."""
        gained = np.zeros(len(self._recipients), dtype=np.int64)
        dropped = gained.copy()
        for key in self._keys:
            was, now = map(_told, self._both(key))
            gained[np.setdiff1d(now, was, assume_unique=True)] += 1
            dropped[np.setdiff1d(was, now, assume_unique=True)] += 1
        return gained, dropped

    @cached_property
    def totals(self) -> Totals:
        """The year in figures."""
        a, b = self._burdens
        return Totals(
            rounds=Pair(len(self.a.sending), len(self.b.sending)),
            invitations=Pair(int(a.invitations.sum()), int(b.invitations.sum())),
            companies=Pair(int((a.invitations > 0).sum()), int((b.invitations > 0).sum())),
            gained=int(((a.invitations == 0) & (b.invitations > 0)).sum()),
            dropped=int(((a.invitations > 0) & (b.invitations == 0)).sum()),
            minutes=Pair(int(a.minutes.sum()), int(b.minutes.sum())),
            over_budget=Pair(int(a.over.any(axis=0).sum()), int(b.over.any(axis=0).sum())),
            held=Pair(*(sum(item.state.value == "held" for item in run.sending) for run in (self.a, self.b))),
        )

    @cached_property
    def cases(self) -> tuple[CaseRow, ...]:
        """Every case, those that change most first."""
        by_case: dict[str, list[Key]] = {}
        for key in self._keys:
            by_case.setdefault(key[0], []).append(key)
        rows = [self._case(keys) for keys in by_case.values()]
        return tuple(sorted(rows, key=lambda row: (-row.gained - row.dropped, row.case_id)))

    def _case(self, keys: Sequence[Key]) -> CaseRow:
        first = self._one(keys[0])
        sides = [[side for key in keys if (side := self._both(key)[n]) is not None] for n in (0, 1)]
        was, now = (_union(_told(side) for side in found) for found in sides)
        minutes = [sum(side.minutes * len(_told(side)) for side in found) for found in sides]
        return CaseRow(
            case_id=first.case_id,
            title=first.title,
            case_type=first.case_type,
            companies=Pair(len(was), len(now)),
            gained=len(np.setdiff1d(now, was, assume_unique=True)),
            dropped=len(np.setdiff1d(was, now, assume_unique=True)),
            minutes=Pair(*minutes),
            rounds=tuple(self._rounds[key] for key in keys),
        )

    @cached_property
    def _rounds(self) -> dict[Key, RoundRow]:
        return {key: self._round(key) for key in self._keys}

    def _round(self, key: Key) -> RoundRow:
        one, (a, b) = self._one(key), self._both(key)
        was, now = _told(a), _told(b)
        return RoundRow(
            one.case_id, key[1], key[2], one.day, _side(a), _side(b),
            len(np.setdiff1d(now, was, assume_unique=True)), len(np.setdiff1d(was, now, assume_unique=True)),
        )  # fmt: skip

    @cached_property
    def stages(self) -> tuple[StageRow, ...]:
        """Every stage that some case was in, in the order of the model."""
        groups: dict[tuple[str, str], list[Key]] = {}
        for key in self._keys:
            groups.setdefault((self._one(key).case_type, key[1]), []).append(key)
        order = {(t.id, s.id): n for n, (t, s) in enumerate((t, s) for t in self.b.model.case_types for s in t.stages)}
        return tuple(self._stage(of, groups[of]) for of in sorted(groups, key=lambda of: (order.get(of, 1000), of)))

    def _stage(self, of: tuple[str, str], keys: Sequence[Key]) -> StageRow:
        sides = [[side for key in keys if (side := self._both(key)[n]) is not None and side.sends] for n in (0, 1)]
        counts = [np.array([len(side.recipients) for side in found], dtype=np.int64) for found in sides]
        rounds = [self._rounds[key] for key in keys]
        return StageRow(
            case_type=of[0],
            stage=of[1],
            rounds=Pair(len(sides[0]), len(sides[1])),
            p50=Pair(*(_percentile(found, 50) for found in counts)),
            p90=Pair(*(_percentile(found, 90) for found in counts)),
            invitations=Pair(*(int(found.sum()) for found in counts)),
            gained=sum(row.gained for row in rounds),
            dropped=sum(row.dropped for row in rounds),
            minutes=Pair(*(sum(side.minutes * len(side.recipients) for side in found) for found in sides)),
            unexpected=Pair(*(_unexpected(run, found) for run, found in zip((self.a, self.b), counts, strict=True))),
        )

    @cached_property
    def by_quarter(self) -> tuple[Quarter, ...]:
        """The burden of each quarter."""
        a, b = self._burdens
        return tuple(
            Quarter(
                name,
                Pair(int(a.minutes[q].sum()), int(b.minutes[q].sum())),
                Pair(*(_percentile(side.minutes[q][side.minutes[q] > 0], 50) for side in (a, b))),
                Pair(*(_percentile(side.minutes[q][side.minutes[q] > 0], 90) for side in (a, b))),
                Pair(int(a.over[q].sum()), int(b.over[q].sum())),
            )
            for q, name in enumerate(self.quarters)
        )

    def spread(self, edges: Sequence[int]) -> tuple[Pair, ...]:
        """How many companies' quarters cost up to each edge, and at last more; quarters without a message are left
        out.
        """
        counts = []
        for side in self._burdens:
            spent = side.minutes[side.minutes > 0]
            counts.append(np.bincount(np.searchsorted(edges, spent), minlength=len(edges) + 1))
        return tuple(Pair(int(a), int(b)) for a, b in zip(*counts, strict=True))

    def companies(self, most: int | None = None) -> list[CompanyRow]:
        """Companies for which something changes, those with the most changes first; `most` of them, or all."""
        changed = np.flatnonzero(self._gained + self._dropped)
        order = changed[np.lexsort((changed, -(self._gained + self._dropped)[changed]))]
        return [self._company(int(n)) for n in (order if most is None else order[:most])]

    @property
    def changed_companies(self) -> int:
        """For how many companies something changes."""
        return int(np.count_nonzero(self._gained + self._dropped))

    def _company(self, number: int) -> CompanyRow:
        a, b = self._burdens
        quarters = range(len(self.quarters))
        return CompanyRow(
            recipient_id=self._recipients[number],
            name=self._names.get(self._recipients[number], ""),
            invitations=Pair(int(a.invitations[number]), int(b.invitations[number])),
            gained=int(self._gained[number]),
            dropped=int(self._dropped[number]),
            minutes={self.quarters[q]: Pair(int(a.minutes[q, number]), int(b.minutes[q, number])) for q in quarters},
            over_budget={
                self.quarters[q]: (bool(a.over[q, number]), bool(b.over[q, number]))
                for q in quarters
                if a.over[q, number] or b.over[q, number]
            },
        )

    def as_json(self) -> dict[str, Any]:
        """All of it, as one object."""
        return {
            "models": {
                name: {
                    "name": run.name,
                    "model_version": run.model.model_version,
                    "model_hash": run.model.content_hash,
                    "refused": run.refused,
                    "stale": run.stale,
                }
                for name, run in (("a", self.a), ("b", self.b))
            },
            "differences": [asdict(row) for row in differences(self.a.model, self.b.model)],
            "totals": asdict(self.totals),
            "quarters": [asdict(row) for row in self.by_quarter],
            "stages": [asdict(row) for row in self.stages],
            "cases": [asdict(row) for row in self.cases],
            "companies": [asdict(row) for row in self.companies()],
        }


class _Burden:
    """What one model costs each company: per quarter and company."""

    def __init__(self, run: Run, companies: int, quarters: Sequence[str]) -> None:
        self.invitations = np.zeros(companies, dtype=np.int64)
        self.minutes = np.zeros((len(quarters), companies), dtype=np.int64)
        counted = self.minutes.copy()
        asked: list[tuple[date, npt.NDArray[np.int32]]] = []
        for item in sorted(run.sending, key=lambda item: (item.day, item.key)):
            q, budgeted = quarters.index(_quarter(item.day)), item.recipients[~item.exempt]
            self.invitations[item.recipients] += 1
            self.minutes[q, item.recipients] += item.minutes
            counted[q, budgeted] += item.minutes
            if item.asks:
                asked.append((item.day, budgeted))
        policy = run.model.burden_policy
        self.over = (counted > policy.max_minutes_per_person_per_90_days) | _asked_too_often(
            asked, policy, companies, quarters
        )


def _asked_too_often(
    asked: Sequence[tuple[date, npt.NDArray[np.int32]]], policy: BurdenPolicy, companies: int, quarters: Sequence[str]
) -> Booleans:
    """In which quarters a company is asked once more than the policy allows within its days."""
    over = np.zeros((len(quarters), companies), dtype=np.bool_)
    if not asked:
        return over
    who = np.concatenate([recipients for _, recipients in asked])
    day = np.concatenate([np.full(len(recipients), on.toordinal()) for on, recipients in asked])
    quarter = np.concatenate([np.full(len(found), quarters.index(_quarter(on))) for on, found in asked])
    order = np.lexsort((day, who))
    who, day, quarter = who[order], day[order], quarter[order]
    most = policy.max_asks_per_person_per_30_days
    same = who[most:] == who[: len(who) - most]
    soon = day[most:] - day[: len(day) - most] < ASKS_WITHIN_DAYS
    late = np.flatnonzero(same & soon) + most
    over[quarter[late], who[late]] = True
    return over


def _told(outcome: Outcome | None) -> npt.NDArray[np.int32]:
    return outcome.recipients if outcome is not None and outcome.sends else np.empty(0, dtype=np.int32)


def _union(arrays: Iterable[npt.NDArray[np.int32]]) -> npt.NDArray[np.int32]:
    return np.unique(np.concatenate([np.empty(0, dtype=np.int32), *arrays]))


def _side(outcome: Outcome | None) -> Side | None:
    if outcome is None:
        return None
    return Side(
        outcome.state.value, outcome.reason, outcome.form, outcome.minutes, outcome.respond_by, len(_told(outcome))
    )


def _percentile(values: Numbers, share: int) -> int:
    """The value that so many of a hundred do not exceed; 0 of none."""
    return int(np.percentile(values, share, method="inverted_cdf")) if len(values) else 0


def _unexpected(run: Run, counts: Numbers) -> int:
    expected = run.model.expected_reach
    return int(((counts < expected.least) | (counts > expected.most)).sum())


def _quarter(day: date) -> str:
    return f"{day.year} Q{(day.month + 2) // 3}"
