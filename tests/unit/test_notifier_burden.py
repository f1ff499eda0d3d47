"""How much may reach one person, and when: budgets, wishes, digests, priorities. Values in, values out."""

from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.invitation import EXAMPLE as INVITATION
from schemas.invitation import Invitation
from schemas.model import BurdenPolicy, Digest
from schemas.round import EXAMPLE as ROUND
from schemas.round import Round
from services.notifier.policy.attention import Asked, Leaving, is_exempt, one_too_many, over_budget
from services.notifier.policy.digest import next_run, wall
from services.notifier.policy.frequency import Wish, wish
from services.notifier.policy.readiness import Readiness, readiness
from services.notifier.policy.timing import Rules, Timing, Waits, timing
from services.notifier.policy.windows import ZONE, is_working_day, next_open

NOW = datetime.fromisoformat("2025-11-10T10:00:00+01:00")
MONTH_LATER = NOW + timedelta(days=30)
BURDEN = BurdenPolicy()
RULES = Rules(BURDEN, "working_hours")
TUESDAY = Digest()
moments = st.integers(0, 6 * 365 * 24 * 60).map(lambda n: datetime(2024, 1, 1, tzinfo=UTC) + timedelta(minutes=n))
weekdays = st.sampled_from(["monday", "tuesday", "wednesday", "thursday", "friday"])
clocks = st.times().map(lambda at: f"{at:%H:%M}")


def a_round(purpose: str = "ask", **plan: Any) -> Round:
    given: dict[str, Any] = {**ROUND["plan"], **plan}  # type: ignore[dict-item]
    return Round.model_validate({**ROUND, "purpose": purpose, "plan": given})


def invited(*reasons: dict[str, Any]) -> Invitation:
    return Invitation.model_validate({**INVITATION, "workplaces": [{"workplace_id": "w", "reasons": list(reasons)}]})


def left(days_ago: float, asks: int = 1, minutes: int = 3, name: str = "") -> Asked:
    return Asked(name or f"round-{days_ago}", asks, minutes, NOW - timedelta(days=days_ago))


def too_much(person: list[Asked], *companies: list[Asked], policy: BurdenPolicy = BURDEN, minutes: int = 3) -> bool:
    return over_budget(policy, person, companies, NOW, 1, minutes)


def test_a_person_is_asked_twice_in_thirty_days_and_not_three_times() -> None:
    assert not too_much([left(1)])
    assert too_much([left(1), left(29)])
    assert not too_much([left(1), left(30)])


def test_what_is_about_to_leave_counts_as_if_it_had() -> None:
    assert too_much([Asked("a", 1, 3), Asked("b", 1, 3)])


def test_minutes_add_up_over_ninety_days() -> None:
    assert not too_much([left(80, 0, 45), left(40, 0, 40)], minutes=5)
    assert too_much([left(80, 0, 45), left(40, 0, 40)], minutes=6)
    assert not too_much([left(90, 0, 45), left(40, 0, 40)], minutes=6)


def test_information_is_no_question_and_costs_its_minutes_only() -> None:
    assert not over_budget(BURDEN, [left(1), left(2)], [], NOW, 0, 2)


def test_a_company_has_a_budget_over_all_its_addresses_and_a_round_counts_once() -> None:
    assert too_much([], [left(1), left(2)])
    assert not too_much([], [left(1, name="same"), left(1, name="same")])
    assert not too_much([], [left(1), left(2)], policy=BurdenPolicy(max_asks_per_company_per_30_days=3))


@given(st.lists(st.tuples(st.integers(0, 120), st.integers(0, 1), st.integers(0, 45)), max_size=40))
def test_who_keeps_to_the_answer_is_never_over_the_budget(offers: list[tuple[int, int, int]]) -> None:
    taken: list[Asked] = []
    for number, (day, asks, minutes) in enumerate(sorted(offers)):
        now = NOW + timedelta(days=day)
        if not over_budget(BURDEN, taken, [taken], now, asks, minutes):
            taken.append(Asked(str(number), asks, minutes, now))
    for item in taken:
        assert item.at is not None
        ends = item.at
        month = [other for other in taken if other.at is not None and ends - timedelta(days=30) < other.at <= ends]
        quarter = [other for other in taken if other.at is not None and ends - timedelta(days=90) < other.at <= ends]
        assert not item.asks or sum(other.asks for other in month) <= 2
        assert not item.minutes or sum(other.minutes for other in quarter) <= 90


rounds_of_one_day = st.lists(
    st.tuples(st.sampled_from("abc"), st.sets(st.sampled_from("XYZ"), min_size=1), st.integers(0, 1),
              st.integers(0, 60), st.booleans()),
    max_size=12,
)  # fmt: skip


@given(rounds_of_one_day, rounds_of_one_day)
def test_what_leaves_together_is_in_every_budget_but_for_what_is_exempt(
    before: list[tuple[str, set[str], int, int, bool]], offers: list[tuple[str, set[str], int, int, bool]]
) -> None:
    """Against budgets that are added up by hand, for every person and every company."""
    persons: dict[str, list[Asked]] = {}
    companies: dict[str, list[Asked]] = {}
    for number, (address, of_it, asks, minutes, _) in enumerate(before):
        persons.setdefault(address, []).append(left(1, asks, minutes, f"before-{number}"))
        for who in of_it:
            companies.setdefault(who, []).append(left(1, asks, minutes, f"before-{number}"))
    leaving = [
        Leaving(f"m{number}", address, frozenset(of_it), Asked(f"r{number}", asks, minutes), exempt)
        for number, (address, of_it, asks, minutes, exempt) in enumerate(offers)
    ]
    beyond = one_too_many(BURDEN, persons, companies, leaving, NOW)
    assert not any(item.exempt and item.message_id in beyond for item in leaving)
    taken: list[tuple[str, frozenset[str], int, int]] = [(a, frozenset(c), q, m) for a, c, q, m, _ in before]
    for item in sorted(leaving, key=lambda one: not one.exempt):
        asks, minutes = item.asks.asks, item.asks.minutes
        groups = [[t for t in taken if t[0] == item.address]]
        groups += [[t for t in taken if who in t[1]] for who in item.companies]
        too_many = asks > 0 and any(sum(t[2] for t in group) + asks > 2 for group in groups)
        too_long = minutes > 0 and any(sum(t[3] for t in group) + minutes > 90 for group in groups)
        assert (item.message_id in beyond) == (not item.exempt and (too_many or too_long))
        if item.message_id not in beyond:
            taken.append((item.address, item.companies, asks, minutes))


def test_a_round_that_left_for_one_address_of_a_company_is_no_more_for_it_at_the_next() -> None:
    companies = {"c": [left(1), left(1, name="same")]}
    of_same = Leaving("m", "a", frozenset({"c"}), Asked("same", 1, 3))
    assert one_too_many(BURDEN, {}, companies, [of_same], NOW) == set()
    assert one_too_many(BURDEN, {}, companies, [Leaving("m", "a", frozenset({"c"}), Asked("x", 1, 3))], NOW) == {"m"}


DIRECT = {"kind": "distance", "ring": "direct", "distance_m": 3}
NEAR = {"kind": "industry", "ring": "near", "code": "56", "version": "2025"}
EVERYONE = {"kind": "municipality", "ring": "everyone", "delivery": "digest"}


@pytest.mark.parametrize(
    ("round_", "reason", "exempt"),
    [
        (a_round(), NEAR, False),
        (a_round(), DIRECT, True),
        (a_round(exempt=True), NEAR, True),
        (a_round(urgent=True), NEAR, True),
        (a_round("feedback"), NEAR, True),
        (a_round("change"), NEAR, True),
        (a_round("inform"), NEAR, False),
    ],
)
def test_exempt_is_what_the_model_says_and_what_is_owed(round_: Round, reason: dict[str, Any], exempt: bool) -> None:
    assert is_exempt(round_, [invited(NEAR), invited(reason)]) is exempt


def subscribed(name: str) -> dict[str, Any]:
    return {"kind": "subscription", "subscription_id": name}


@pytest.mark.parametrize(
    ("reasons", "expected"),
    [
        ([subscribed("weekly")], Wish.WEEKLY),
        ([subscribed("daily"), subscribed("weekly")], Wish.DAILY),
        ([subscribed("at_once"), subscribed("weekly")], Wish.AT_ONCE),
        ([subscribed("nobody-knows")], Wish.AT_ONCE),
        ([subscribed("weekly"), NEAR], Wish.AT_ONCE),
        ([EVERYONE], Wish.RING),
        ([EVERYONE, subscribed("daily")], Wish.DAILY),
        ([EVERYONE, NEAR], Wish.AT_ONCE),
    ],
)
def test_the_most_urgent_reason_says_how_soon(reasons: list[dict[str, Any]], expected: Wish) -> None:
    frequencies = {name: name for name in ("at_once", "daily", "weekly")}
    assert wish([invited(*reasons)], frequencies) is expected
    assert wish([invited(reason) for reason in reasons], frequencies) is expected


def test_fc_051_a_time_that_the_clock_leaves_out_comes_as_much_later_as_it_jumps() -> None:
    """FC-051."""
    assert wall(date(2027, 3, 28), time(2, 30)) == datetime.fromisoformat("2027-03-28T03:30:00+02:00")


def test_fc_052_a_time_that_comes_twice_is_its_first() -> None:
    """FC-052."""
    assert wall(date(2027, 10, 31), time(2, 30)) == datetime.fromisoformat("2027-10-31T02:30:00+02:00")


def test_fc_053_hours_are_local_wall_time_and_never_a_stored_offset() -> None:
    """FC-053."""
    july = datetime(2027, 7, 14, 17, 30, tzinfo=UTC)  # 19:30 in Stockholm: SMS hours are over
    assert next_open("sms", july - timedelta(hours=1)) == july - timedelta(hours=1)
    assert next_open("sms", july) == datetime.fromisoformat("2027-07-15T07:00:00+02:00")
    january = datetime(2027, 1, 13, 17, 30, tzinfo=UTC)  # 18:30
    assert next_open("sms", january) == january


@given(moments, weekdays, clocks)
def test_the_weekly_digest_is_made_once_a_week_on_a_working_day_at_its_wall_time(
    moment: datetime, weekday: Literal["monday"], at: str
) -> None:
    rule = Digest(weekday=weekday, time=at)
    runs = [moment]
    for _ in range(5):
        runs.append(next_run(rule, runs[-1]))
    for before, run in pairwise(runs):
        assert before < run
        assert run - before <= timedelta(days=14)
        assert is_working_day(run.astimezone(ZONE).date())
        assert run == wall(run.astimezone(ZONE).date(), time.fromisoformat(at))
        assert next_run(rule, run - timedelta(microseconds=1)) == run


@given(moments)
def test_the_daily_digest_is_made_on_every_working_day(moment: datetime) -> None:
    run = next_run(TUESDAY, moment, daily=True)
    day = moment.astimezone(ZONE).date()
    days = [day + timedelta(days=n) for n in range(12)]
    working = (wall(day, time(8)) for day in days if is_working_day(day))
    assert run == next(made for made in working if made > moment)


def test_a_digest_on_a_holiday_comes_the_next_working_day() -> None:
    christmas_week = datetime.fromisoformat("2024-12-20T12:00:00+01:00")
    assert next_run(TUESDAY, christmas_week) == datetime.fromisoformat("2024-12-27T08:00:00+01:00")  # 24th is an eve


def timed(
    round_: Round, *, wish: Wish = Wish.AT_ONCE, over: bool = False, left: datetime | None = None,
    now: datetime = NOW, expires: datetime = MONTH_LATER, channel: str = "email",
) -> Timing:  # fmt: skip
    return timing(round_, channel, wish, left, RULES, now, expires, over_budget=over)


def test_who_was_asked_enough_waits_for_the_weekly_digest() -> None:
    assert timed(a_round(), over=True) == Timing(datetime.fromisoformat("2025-11-11T08:00:00+01:00"), Waits.BUDGET)


def test_nothing_waits_past_the_day_before_its_last() -> None:
    last = datetime.fromisoformat("2025-11-12T00:00:00+01:00")  # the 11th, when the digest is made, is the last day
    assert timed(a_round(), over=True, expires=last) == Timing(NOW, Waits.BUDGET)
    assert timed(a_round(), left=NOW, expires=last) == Timing(NOW)
    assert timed(a_round(), left=NOW, expires=last + timedelta(days=1)).waits is Waits.MERGE


def test_without_a_merge_window_nothing_waits_for_a_message_that_leaves_at_this_moment() -> None:
    rules, just_now = Rules(BurdenPolicy(merge_window_hours=0), "working_hours"), NOW + timedelta(seconds=1)
    given: tuple[Any, ...] = (a_round(), "email", Wish.AT_ONCE, just_now, rules, NOW, MONTH_LATER)
    assert timing(*given, over_budget=False) == Timing(NOW)


anything: st.SearchStrategy[dict[str, Any]] = st.builds(
    dict,
    wish=st.sampled_from(Wish),
    over=st.booleans(),
    left=st.none() | st.integers(0, 48).map(lambda hours: NOW - timedelta(hours=hours)),
    now=moments,
    channel=st.sampled_from(["email", "sms"]),
)


@given(anything)
def test_what_is_urgent_waits_for_no_digest_and_no_merge_window_and_at_any_hour_for_nothing(given: Any) -> None:
    expires = given["now"] + timedelta(days=3)
    urgent = timed(a_round(urgent=True), **given, expires=expires)
    assert urgent == Timing(next_open(given["channel"], given["now"]))
    cut = timed(a_round(urgent=True, any_hour=True), **given, expires=expires)
    assert cut == Timing(given["now"])


@given(anything, st.integers(0, 20))
def test_what_the_law_gives_time_for_leaves_by_its_day(given: Any, days: int) -> None:
    now = given["now"]
    last = now.astimezone(ZONE).date() + timedelta(days=days)
    round_ = a_round(statutory=True, leave_by=last.isoformat())
    made = timed(round_, **{**given, "channel": "email"}, expires=now + timedelta(days=60))
    assert made.waits is None
    assert made.due.astimezone(ZONE).date() <= last


@given(anything, st.integers(1, 60 * 24 * 20))
def test_no_timing_is_past_or_in_closed_hours_or_too_late_to_answer_if_it_can_be_helped(
    given: Any, minutes: int
) -> None:
    now = given["now"]
    expires = now + timedelta(minutes=minutes)
    made = timed(a_round(), **given, expires=expires)
    soon = next_open(given["channel"], now)
    assert now <= made.due
    assert made.due == next_open(given["channel"], made.due)
    assert made.due == soon or made.due.astimezone(ZONE).date() < expires.astimezone(ZONE).date()


def test_what_is_urgent_has_no_hold_and_waits_for_an_officials_day_all_the_same() -> None:
    opened = Round.model_validate({**ROUND, "counts": {"invitations": 1}}).opened_at
    assert opened is not None
    hold = timedelta(minutes=10)
    assert readiness(a_round(urgent=True), opened, hold, 99) is Readiness.GO
    assert readiness(a_round(), opened, hold, 99) is Readiness.WAIT
    later = a_round(urgent=True).model_copy(update={"not_before": opened + timedelta(days=1)})
    assert readiness(later, opened, hold, 99) is Readiness.WAIT
