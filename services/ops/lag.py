"""How far behind each reader is, in words: a number alone does not say whether somebody must get up at night."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from services.runtime.topic_admin import LagRow

COLUMNS: Final = ("group", "topic", "partition", "committed", "end", "lag", "lost", "seconds", "verdict")


class Verdict(StrEnum):
    """What a row means. The last three need an earlier look to compare with."""

    CAUGHT_UP = "caught up"
    LOST = "lost"
    """Retention removed records before the group read them."""
    NEVER_READ = "never read"
    BEHIND = "behind"
    CATCHING_UP = "catching up"
    FALLING_BEHIND = "falling behind"
    STANDS_STILL = "stands still"


@dataclass(frozen=True, slots=True)
class Standing:
    """One group on one partition."""

    row: LagRow
    seconds: float | None
    """Age of the oldest record it has not read; 0 when there is none, none when it could not be told."""
    verdict: Verdict

    def cells(self) -> tuple[object, ...]:
        """The row under `COLUMNS`."""
        r = self.row
        seconds = None if self.seconds is None else round(self.seconds)
        return r.group, r.topic, r.partition, r.committed, r.end, r.lag, r.lost, seconds, str(self.verdict)


def unread_from(row: LagRow) -> int:
    """The offset of the oldest record that the group can still read and has not."""
    return max(row.committed or 0, row.log_start)


def standings(
    rows: Sequence[LagRow],
    ages: Mapping[tuple[str, int, int], float | None],
    before: Iterable[LagRow] = (),
) -> list[Standing]:
    """Rows with their age and verdict; `ages` by topic, partition and the offset of `unread_from`."""
    earlier = {(row.group, row.topic, row.partition): row for row in before}
    return [
        Standing(
            row,
            0.0 if row.lag == 0 else ages.get((row.topic, row.partition, unread_from(row))),
            verdict(row, earlier.get((row.group, row.topic, row.partition))),
        )
        for row in rows
    ]


def verdict(row: LagRow, before: LagRow | None = None) -> Verdict:
    """The worst thing that can be said of a row."""
    if row.lost:
        return Verdict.LOST
    if row.lag == 0:
        return Verdict.CAUGHT_UP
    if row.committed is None:
        return Verdict.NEVER_READ
    if before is None:
        return Verdict.BEHIND
    if row.committed == before.committed:
        return Verdict.STANDS_STILL
    return Verdict.FALLING_BEHIND if row.lag > before.lag else Verdict.CATCHING_UP


def too_far(found: Iterable[Standing], records: int | None, seconds: float | None) -> list[Standing]:
    """Those that break a stated limit. Once there is one, what was lost breaks it too, and so does an unknown age."""
    if records is None and seconds is None:
        return []
    return [
        item
        for item in found
        if item.row.lost
        or (records is not None and item.row.lag > records)
        or (seconds is not None and (item.seconds is None or item.seconds > seconds))
    ]
