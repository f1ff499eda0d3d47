"""The register's file: what was written is what is read, and a file that could miss something is left aside."""

import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from services.matcher import industry, register_file
from services.matcher.register_file import Saved, Unusable
from services.matcher.workplaces import EMPTY, Snapshot, Workplace, changed

NOW = datetime(2026, 11, 25, 8, tzinfo=UTC)
DAY = timedelta(hours=12)


def register(count: int = 20) -> Snapshot:
    rows = (
        Workplace(
            f"Å{i}", f"r{i % 7}", f"o{i}" if i % 2 else None, f"01{i % 3}0", ("active", "closed", "vacant")[i % 3],
            18.0 + i / 100 if i % 5 else None, 59.3 if i % 5 else None, (("2025", "56110"), ("2007", "47110"))[: i % 3],
        )
        for i in range(count)
    )  # fmt: skip
    return changed(EMPTY, rows, import_number=3, register_date=NOW.date(), register_version="ab" * 16)


def saved(of: Snapshot | None = None) -> Saved:
    return Saved(register() if of is None else of, "topic-1", {0: 5, 1: 7}, NOW)


def told(of: Snapshot) -> list[object]:
    """Everything that a register says."""
    meant = (industry.CodeSet(frozenset({"56"})),)
    return [
        (of.register_version, of.import_number, of.register_date, of.active_placed, of.count),
        of.everywhere(meant).tolist(),
        *(
            (
                of.workplace_id(r),
                of.recipient_id(r),
                of.organisation_of(r),
                of.status_of(r),
                of.place(r),
                of.codes_of(r),
            )
            for r in of.everywhere(None).tolist()
        ),
        *(of.in_municipality(code, None).tolist() for code in of.municipalities),
    ]


@pytest.mark.parametrize("known", [register(), register(0), register().without(["Å3", "Å4"])])
def test_what_is_read_says_what_was_written_and_can_be_changed_on(known: Snapshot, tmp_path: Path) -> None:
    path = register_file.write(tmp_path, "companies", saved(known))
    again = register_file.read(path)
    assert told(again.register) == told(known)
    assert (again.topic_id, again.positions, again.saved_at) == ("topic-1", {0: 5, 1: 7}, NOW)
    new = [Workplace("Å2", "r", None, "0180", "active", 18.0, 59.3, ())]
    later = [
        changed(of.without(["Å1"]), new, {"Å5"}, import_number=4, register_date=None, register_version="c")
        for of in (known, again.register)
    ]
    assert told(later[0]) == told(later[1])


def test_only_its_owner_may_read_it_and_those_before_it_are_kept_for_their_time(tmp_path: Path) -> None:
    first = register_file.write(tmp_path, "companies", saved())
    other = register_file.write(tmp_path, "test-companies", saved())
    second = register_file.write(tmp_path, "companies", saved(replace(register(), register_version="cd" * 16)))
    assert second.stat().st_mode & 0o777 == 0o600
    now = datetime.now(UTC)
    os.utime(first, times=(now.timestamp() - 100,) * 2)
    register_file.forget(tmp_path, "companies", now - timedelta(seconds=200))
    assert sorted(tmp_path.iterdir()) == sorted([first, second, other])
    register_file.forget(tmp_path, "companies", now - timedelta(seconds=50))
    assert sorted(tmp_path.iterdir()) == sorted([second, other])
    register_file.forget(tmp_path, "companies", now + timedelta(days=1))
    assert sorted(tmp_path.iterdir()) == sorted([second, other]), "never the latest"


def test_a_damaged_file_is_left_aside_wherever_the_damage_is(tmp_path: Path) -> None:
    path = register_file.write(tmp_path, "companies", saved())
    whole = path.read_bytes()
    chance = np.random.default_rng(1)
    for at in [0, len(whole) - 1, *chance.integers(len(whole), size=50).tolist()]:
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        with pytest.raises(Unusable):
            register_file.read(path)
    for length in (0, 10, 40, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(Unusable):
            register_file.read(path)


def test_a_mark_tells_exchanged_blocks_and_lost_ones() -> None:
    block = register_file.BLOCK
    data = np.random.default_rng(1).integers(0, 256, 3 * block + 7, dtype=np.uint8)
    exchanged = np.concatenate([data[block : 2 * block], data[:block], data[2 * block :]])
    lost = data.copy()
    lost[block : 2 * block] = 0
    assert len({register_file.mark(each) for each in (data, exchanged, lost, data[:-1], data[block:])}) == 5


def test_a_file_that_could_miss_something_is_left_aside() -> None:
    ends = {0: 5, 1: 9}
    saved().check("topic-1", ends, NOW + DAY, DAY)
    for topic_id, there, now in (
        ("topic-2", ends, NOW),
        ("", ends, NOW),
        ("topic-1", {0: 5, 1: 6}, NOW),
        ("topic-1", {0: 5}, NOW),
        ("topic-1", {0: 5, 1: 9, 2: 0}, NOW),
        ("topic-1", ends, NOW + DAY + timedelta(seconds=1)),
        ("topic-1", ends, NOW - timedelta(seconds=1)),
    ):
        with pytest.raises(Unusable):
            saved().check(topic_id, there, now, DAY)
