"""A month of a small municipality, judged by the simulated year's oracle; `python -m tests.year` lives a whole one.

The oracle itself is tried on a year in which each rule was broken by hand: a rule that cannot fail checks nothing.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime, timedelta

import holidays
import pytest

from tests.matcher_offline import quiet
from tests.year.__main__ import run
from tests.year.calendar import STOCKHOLM, free_days, in_window
from tests.year.life import Stop, Year
from tests.year.oracle import Check, Oracle
from tests.year.sinks import Copy
from tests.year.town import Size

quiet_logs = quiet
SEED = 3
NIGHT = datetime(2027, 1, 20, 23, tzinfo=STOCKHOLM)


@pytest.fixture(scope="module")
def month() -> tuple[Year, list[Check]]:
    """Lived once for all tests here."""
    return run(Size(companies=20, cases=17, days=20), seed=SEED)


def test_a_month_of_a_small_municipality_keeps_every_promise(month: tuple[Year, list[Check]]) -> None:
    year, checks = month
    assert not year.log.dead
    assert {check.rule: check.broken for check in checks if check.broken} == {}
    assert year.notes.stops
    assert year.notes.answered
    assert year.notes.undone


def _first(copies: list[Copy], kind: str) -> Copy:
    return next(copy for copy in copies if copy.kind == kind)


def _doubled(year: Year, copies: list[Copy]) -> None:
    copies.append(copies[0])


def _other_first(year: Year, copies: list[Copy]) -> None:
    copies.append(replace(_first(copies, "first"), message_id="another"))


def _other_reminder(year: Year, copies: list[Copy]) -> None:
    copies.append(replace(_first(copies, "reminder"), message_id="another"))


def _answered_before(year: Year, copies: list[Copy]) -> None:
    reminder = _first(copies, "reminder")
    for ids in reminder.rounds.values():
        year.notes.answered |= dict.fromkeys(ids, reminder.at - timedelta(days=1))


def _at_night(year: Year, copies: list[Copy]) -> None:
    copies[0] = replace(copies[0], at=NIGHT)


def _too_late(year: Year, copies: list[Copy]) -> None:
    copies[0] = replace(copies[0], at=copies[0].at + timedelta(days=400))


def _before_it_opened(year: Year, copies: list[Copy]) -> None:
    copies[0] = replace(copies[0], at=year.start)


def _again_in_a_digest(year: Year, copies: list[Copy]) -> None:
    copies.append(replace(_first(copies, "digest"), message_id="another"))


def _three_at_once(year: Year, copies: list[Copy]) -> None:
    """Three questions in one week, of rounds that have no exemption, to people whom they do not touch directly."""
    asked = {}
    for copy in copies:
        for id_, invitations in copy.rounds.items():
            plan = year.rounds[id_].plan
            reasons = [r for i in invitations for p in year.invitations[i].workplaces for r in p.reasons]
            if plan and plan.asks and not plan.exempt and all(reason.ring != "direct" for reason in reasons):
                asked[id_] = invitations
    assert len(asked) >= 3
    for number, (id_, invitations) in enumerate(asked.items()):
        copies.append(replace(copies[0], kind="first", message_id=f"m{number}", rounds={id_: invitations}, address="x"))


def _digests_by_themselves(year: Year, copies: list[Copy]) -> None:
    copies[:] = [replace(copy, kind="first") if copy.kind == "digest" else copy for copy in copies]


def _two_texts(year: Year, copies: list[Copy]) -> None:
    text = _first(copies, "first")
    copies += [replace(text, channel="sms", message_id=name) for name in ("m1", "m2")]


def _stopped_before(year: Year, copies: list[Copy]) -> None:
    year.notes.stops.append(Stop(copies[0].at - timedelta(hours=1), copies[0].address, "all", "", ""))


def _lost(year: Year, copies: list[Copy]) -> None:
    keep = [i for i, record in enumerate(year.log.records) if record.topic != "deliveries"]
    year.log.records = [year.log.records[i] for i in keep]
    year.log.times = [year.log.times[i] for i in keep]
    copies.clear()


def _owes(year: Year, copies: list[Copy]) -> None:
    year.owed = 1


BREACHES: dict[str, Callable[[Year, list[Copy]], None]] = {
    "a message is taken once": _doubled,
    "an address has one first message": _other_first,
    "an address has at most one reminder": _other_reminder,
    "nobody who has answered is reminded": _answered_before,
    "messages leave in the hours": _at_night,
    "no message leaves after": _too_late,
    "nothing of a round leaves while": _before_it_opened,
    "nobody hears of what they said stop to": _stopped_before,
    "an invitation has a message": _lost,
    "a digest has one to ten": _again_in_a_digest,
    "nobody, person or company, is asked more": _three_at_once,
    "who wants to hear daily or weekly": _digests_by_themselves,
    "a person is asked and reminded by one SMS": _two_texts,
    "nothing is under way in the ledger": _owes,
}


@pytest.mark.parametrize("rule", BREACHES)
def test_the_oracle_sees_what_breaks_a_rule(rule: str, month: tuple[Year, list[Check]]) -> None:
    year, _ = month
    before = (list(year.sinks[0].copies), dict(year.notes.answered), list(year.notes.stops), year.owed)
    records = (year.log.records, year.log.times)
    others = year.sinks[1].copies
    try:
        if rule == "an invitation has a message":
            year.sinks[1].copies = []
        BREACHES[rule](year, year.sinks[0].copies)
        broken = {check.rule for check in Oracle(year).checks() if check.broken}
    finally:
        year.sinks[0].copies, year.notes.answered, year.notes.stops, year.owed = before
        year.sinks[1].copies = others
        year.log.records, year.log.times = records
    assert any(found.startswith(rule) for found in broken), broken


@pytest.mark.parametrize("year", range(2024, 2031))
def test_the_oracles_own_calendar_is_that_of_the_holidays_library(year: int) -> None:
    known = holidays.country_holidays("SE", years=year, include_sundays=False)
    eves = {date(year, 12, 24), date(year, 12, 31)}
    working = {day for day in known if day.weekday() < 5} | {day for day in eves if day.weekday() < 5}
    own = {day for day in free_days(year) if day.weekday() < 5}
    assert own - working <= {day for day in own if day.month == 6 and day.weekday() == 4}
    assert working <= own


@pytest.mark.parametrize(
    ("wall", "open_"),
    [
        ("2027-03-26T10:00+01:00", False),  # Good Friday
        ("2027-03-30T06:59+02:00", False),
        ("2027-03-30T07:00+02:00", True),  # after Easter and the changeover to summer time
        ("2027-10-29T16:59+02:00", True),
        ("2027-11-01T06:30+01:00", False),  # after the changeover back
        ("2027-06-25T12:00+02:00", False),  # Midsummer Eve
    ],
)
def test_the_oracles_windows_are_wall_time(wall: str, open_: bool) -> None:
    assert in_window("email", datetime.fromisoformat(wall)) is open_
