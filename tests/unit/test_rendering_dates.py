"""Dates in words, in Swedish wall time."""

from datetime import date

from schemas.types import moment
from services.rendering import dates

DAY = date(2025, 12, 5)


def test_a_date_is_written_as_each_language_writes_it() -> None:
    assert dates.full(DAY, "sv") == "fredag 5 december 2025"
    assert dates.full(DAY, "en") == "Friday 5 December 2025"
    assert dates.day_and_month(DAY, "sv") == "5 december"
    assert (dates.short(DAY, "sv"), dates.short(DAY, "en"), dates.tiny(DAY)) == ("5 dec", "5 Dec", "5/12")


def test_every_month_has_its_own_names() -> None:
    for write in (dates.day_and_month, dates.short):
        for lang in ("sv", "en"):
            assert len({write(date(2025, month, 1), lang) for month in range(1, 13)}) == 12


def test_wall_time_is_swedish_in_winter_and_in_summer() -> None:
    assert dates.clock(moment("2025-11-28T07:00:00+00:00"), "sv") == "08.00"
    assert dates.clock(moment("2026-07-01T22:30:00+00:00"), "en") == "00:30"
    assert dates.local(moment("2026-07-01T22:30:00+00:00")).date() == date(2026, 7, 2)
