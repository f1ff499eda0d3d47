"""How far behind each reader is, in words: a number alone does not say whether somebody must get up at night.

A verdict is given over a window of looks, by Burrow's rules (github.com/linkedin/Burrow, consumer lag evaluation): a
reader that had nothing left at any look keeps up, however much came in between; one whose position did not move over
the whole window stands still; one whose lag never shrank between two looks falls behind. A group on a topic is as well
off as its worst partition. Before the window is full neither of the last two is said: a slow batch looks the same.

Lag is `None` where a group has never committed, which is not the same as 0.
"""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby, pairwise
from operator import attrgetter
from typing import Any, Final

from services.runtime.topic_admin import LagRow

WINDOW: Final = 10
"""Looks in a full window: Burrow's own default."""
COLUMNS: Final = ("topic", "group", "lag", "seconds", "trend", "lost", "members", "verdict")
Place = tuple[str, int, int]
"""Topic, partition, offset."""


class Verdict(StrEnum):
    """What a row means, from good to bad."""

    KEEPS_UP = "keeps up"
    CATCHING_UP = "catching up"
    BEHIND = "behind"
    """There is something to read; more cannot be said yet, or there is no more to say."""
    FALLS_BEHIND = "falls behind"
    NEVER_READ = "never read"
    STANDS_STILL = "stands still"
    LOST = "lost"
    """Retention removed records before the group read them."""


SEVERITY: Final = {verdict: rank for rank, verdict in enumerate(Verdict)}
SWEDISH: Final = {
    Verdict.KEEPS_UP: "hinner med",
    Verdict.CATCHING_UP: "tar igen",
    Verdict.BEHIND: "ligger efter",
    Verdict.FALLS_BEHIND: "halkar efter",
    Verdict.NEVER_READ: "aldrig läst",
    Verdict.STANDS_STILL: "står still",
    Verdict.LOST: "förlorat",
}


class Trend(StrEnum):
    """Where the lag is heading since the window's first look."""

    UP = "↑"
    DOWN = "↓"
    LEVEL = "→"


@dataclass(frozen=True, slots=True)
class Standing:
    """One group on one partition."""

    row: LagRow
    seconds: float | None
    """Age of the oldest record it has not read; 0 when there is none, none when it could not be told."""
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Reader:
    """One group on one topic."""

    group: str
    topic: str
    members: int
    trend: Trend | None
    """None at the first look."""
    partitions: tuple[Standing, ...]

    @property
    def unread(self) -> int:
        """Records there are and the group has not handled."""
        return sum(item.row.lag for item in self.partitions)

    @property
    def lag(self) -> int | None:
        """`unread`, unless the group has never committed on this topic."""
        return self.unread if any(item.row.committed is not None for item in self.partitions) else None

    @property
    def lost(self) -> int:
        """Records that retention removed before the group read them."""
        return sum(item.row.lost for item in self.partitions)

    @property
    def seconds(self) -> float | None:
        """Age of the oldest record it has not handled, over all partitions."""
        ages = [item.seconds for item in self.partitions]
        return None if None in ages else max((age for age in ages if age is not None), default=0.0)

    @property
    def verdict(self) -> Verdict:
        """That of the worst partition."""
        return max((item.verdict for item in self.partitions), key=SEVERITY.__getitem__)

    def cells(self, words: Mapping[Verdict, str]) -> tuple[object, ...]:
        """The row under `COLUMNS`."""
        seconds = None if self.seconds is None else round(self.seconds)
        verdict = words.get(self.verdict, str(self.verdict))
        return self.topic, self.group, self.lag, seconds, self.trend, self.lost, self.members, verdict

    def as_json(self) -> dict[str, Any]:
        """Everything, with the partitions."""
        return {
            "topic": self.topic,
            "group": self.group,
            "lag": self.lag,
            "unread": self.unread,
            "seconds": self.seconds,
            "trend": self.trend.name.lower() if self.trend else None,
            "lost": self.lost,
            "members": self.members,
            "verdict": str(self.verdict),
            "partitions": [
                {
                    "partition": item.row.partition,
                    "committed": item.row.committed,
                    "end": item.row.end,
                    "lag": None if item.row.committed is None else item.row.lag,
                    "unread": item.row.lag,
                    "lost": item.row.lost,
                    "seconds": item.seconds,
                    "verdict": str(item.verdict),
                }
                for item in self.partitions
            ],
        }


class History:
    """The last looks at every partition that a group reads."""

    def __init__(self, looks: int = WINDOW) -> None:
        self._looks = looks
        self._rows: dict[tuple[str, str, int], deque[LagRow]] = {}

    def readers(self, rows: Sequence[LagRow], ages: Mapping[Place, float | None]) -> list[Reader]:
        """Takes one look; returns what is to be said of it. `ages` by topic, partition and `unread_from`."""
        seen: dict[tuple[str, str, int], deque[LagRow]] = {}
        for row in rows:
            place = (row.group, row.topic, row.partition)
            seen[place] = self._rows.get(place, deque(maxlen=self._looks))
            seen[place].append(row)
        self._rows = seen
        in_order = sorted(rows, key=attrgetter("topic", "group", "partition"))
        return [
            self._reader(group, topic, list(found), ages)
            for (topic, group), found in groupby(in_order, key=attrgetter("topic", "group"))
        ]

    def _reader(self, group: str, topic: str, rows: Sequence[LagRow], ages: Mapping[Place, float | None]) -> Reader:
        windows = [list(self._rows[row.group, row.topic, row.partition]) for row in rows]
        return Reader(
            group,
            topic,
            max(row.members for row in rows),
            trend(windows),
            tuple(
                Standing(row, age(row, ages), verdict(window, full=len(window) >= self._looks))
                for row, window in zip(rows, windows, strict=True)
            ),
        )


def unread_from(row: LagRow) -> int:
    """The offset of the oldest record that the group can still read and has not."""
    return max(row.committed or 0, row.log_start)


def age(row: LagRow, ages: Mapping[Place, float | None]) -> float | None:
    """The age of a row's oldest unread record."""
    return 0.0 if row.lag == 0 else ages.get((row.topic, row.partition, unread_from(row)))


def verdict(window: Sequence[LagRow], *, full: bool) -> Verdict:
    """The worst thing that can be said of one partition; the window's last row is the present."""
    now = window[-1]
    if now.lost:
        return Verdict.LOST
    if any(row.lag == 0 for row in window):
        return Verdict.KEEPS_UP
    if now.committed is None:
        return Verdict.NEVER_READ
    if full and all(row.committed == now.committed for row in window):
        return Verdict.STANDS_STILL
    if full and all(later.lag >= earlier.lag for earlier, later in pairwise(window)):
        return Verdict.FALLS_BEHIND
    return Verdict.CATCHING_UP if now.lag < window[0].lag else Verdict.BEHIND


def trend(windows: Sequence[Sequence[LagRow]]) -> Trend | None:
    """Over the partitions of a topic together."""
    if max(len(window) for window in windows) < 2:
        return None
    change = sum(window[-1].lag - window[0].lag for window in windows)
    return Trend.UP if change > 0 else Trend.DOWN if change < 0 else Trend.LEVEL


def too_far(found: Iterable[Reader], records: int | None, seconds: float | None) -> list[Reader]:
    """Those that break a stated limit. Once there is one, what was lost breaks it too, and so does an unknown age."""
    if records is None and seconds is None:
        return []
    return [
        item
        for item in found
        if item.lost
        or (records is not None and item.unread > records)
        or (seconds is not None and (item.seconds is None or item.seconds > seconds))
    ]


def missing(found: Iterable[Reader], groups: Iterable[str]) -> list[str]:
    """Those of the groups that read nothing: one that was away for a week is forgotten by the broker, not caught up."""
    there = {item.group for item in found}
    return [group for group in groups if group not in there]
