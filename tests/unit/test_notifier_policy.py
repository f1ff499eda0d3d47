"""The notifier's pure rules: when, by which address, what after an unknown outcome, who said stop."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.invitation import EXAMPLE as INVITED
from schemas.invitation import Invitation
from schemas.round import EXAMPLE, Round
from services.notifier.policy.channel_choice import Reach, choose
from services.notifier.policy.readiness import GRACE, Readiness, readiness
from services.notifier.policy.retry import LONGEST, breaker_wait, next_try
from services.notifier.policy.suppression import About, Stop, stopped_by
from services.notifier.policy.told import Told, told
from services.notifier.policy.unknown import resolution
from services.notifier.policy.windows import ZONE, is_working_day, next_open

ABOUT = About("0162", "0162/x/1", "gatuarbete")
HOLD = timedelta(seconds=600)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZONE)


@pytest.mark.parametrize(
    ("channel", "asked", "opens"),
    [
        ("email", "2025-11-10T06:59", "2025-11-10T07:00"),
        ("email", "2025-11-10T12:00", "2025-11-10T12:00"),
        ("email", "2025-11-10T17:00", "2025-11-11T07:00"),
        ("sms", "2025-11-10T17:00", "2025-11-10T17:00"),
        ("sms", "2025-11-10T19:00", "2025-11-11T07:00"),
        ("email", "2025-11-14T17:30", "2025-11-17T07:00"),
        ("email", "2025-12-23T18:00", "2025-12-29T07:00"),
        ("email", "2026-06-18T18:00", "2026-06-22T07:00"),
        ("email", "2026-03-27T18:00", "2026-03-30T07:00"),
        ("email", "2026-10-23T18:00", "2026-10-26T07:00"),
    ],
)
def test_messages_leave_on_working_days_in_swedish_wall_time(channel: str, asked: str, opens: str) -> None:
    assert next_open(channel, at(asked)) == at(opens)


@pytest.mark.parametrize("channel", ["email", "sms"])
def test_what_the_model_lists_leaves_at_any_hour_and_the_rest_waits(channel: str) -> None:
    night = at("2025-11-10T02:00")
    assert next_open(channel, night, any_hour=True) == night
    assert next_open(channel, night) > night
    assert next_open(channel, night, "always") == night


@given(st.integers(0, 6 * 365 * 24 * 60), st.sampled_from(["email", "sms"]))
def test_the_window_found_is_open_not_past_and_stays_found(minutes: int, channel: str) -> None:
    moment = datetime(2024, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)
    found = next_open(channel, moment)
    wall = found.astimezone(ZONE)
    assert found >= moment
    assert is_working_day(wall.date())
    assert 7 <= wall.hour < (17 if channel == "email" else 19)
    assert next_open(channel, found) == found


def reach(name: str, channel: str = "email", workplace: str | None = None) -> Reach:
    return Reach(name, workplace, channel, "sv", f"index-{name}", b"")


@pytest.mark.parametrize(
    ("plan", "urgent", "kinds", "expected"),
    [
        ("email", False, ("email", "sms"), ["email"]),
        ("email", False, ("sms",), ["sms"]),
        ("sms", False, ("email", "sms"), ["sms"]),
        ("sms", False, ("email",), ["email"]),
        ("sms+email", False, ("email", "sms"), ["email", "sms"]),
        ("email+sms_urgent", True, ("email", "sms"), ["email", "sms"]),
        ("email+sms_urgent", False, ("email", "sms"), ["email"]),
        ("email", False, ("letter",), []),
    ],
)
def test_mail_comes_first_and_sms_where_asked_or_alone(
    plan: str, urgent: bool, kinds: tuple[str, ...], expected: list[str]
) -> None:
    choices = choose(plan, urgent, {"w1"}, [reach(kind, kind) for kind in kinds])
    assert [choice.channel for choice in choices] == expected


def test_a_workplace_is_reached_at_its_own_contact_and_the_rest_at_the_organisations() -> None:
    own, general, other = reach("own", workplace="w1"), reach("general"), reach("other", workplace="w9")
    assert [c.reach for c in choose("email", False, {"w1"}, [own, general, other])] == [own]
    assert [c.reach for c in choose("email", False, {"w1", "w2"}, [own, general, other])] == [own, general]


def of_role(name: str, role: str, workplace: str | None = "w1", channel: str = "email") -> Reach:
    return Reach(name, workplace, channel, "sv", f"index-{name}", b"", role)


@pytest.mark.parametrize(
    ("roles", "expected"),
    [
        ((), ["boss", "clerk"]),
        (("transport",), ["boss", "clerk"]),  # nobody of the workplace has it: whoever is there
        (("transport", "clerk"), ["clerk"]),
        (("clerk", "boss"), ["clerk"]),
    ],
)
def test_the_first_role_that_a_workplace_has_gets_it_and_else_whoever_is_there(
    roles: tuple[str, ...], expected: list[str]
) -> None:
    there = [of_role("boss", "boss"), of_role("clerk", "clerk"), of_role("general", "transport", None)]
    assert [choice.reach.contact_id for choice in choose("email", False, {"w1"}, there, roles)] == expected


def test_each_workplace_is_asked_for_its_own_role_and_one_without_contacts_for_the_organisations() -> None:
    there = [
        of_role("boss", "boss"), of_role("clerk", "clerk"), of_role("other", "clerk", "w2"),
        of_role("head", "boss", None), of_role("desk", "desk", None),
    ]  # fmt: skip

    def reached(*workplaces: str) -> list[str]:
        return [choice.reach.contact_id for choice in choose("email", False, workplaces, there, ("boss",))]

    assert reached("w1", "w2") == ["boss", "other"]
    assert reached("w2", "w3") == ["other", "head"]
    assert reached("w3") == ["head"]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from([None, "w1", "w2", "w9"])), max_size=8))
def test_naming_roles_never_leaves_out_a_workplace_that_could_be_reached(held: list[tuple[str, str | None]]) -> None:
    there = [of_role(str(number), role, place) for number, (role, place) in enumerate(held)]
    alone, named = (choose("email", False, {"w1", "w2"}, there, roles) for roles in ((), ("a", "b")))
    assert {choice.reach.workplace_id for choice in named} == {choice.reach.workplace_id for choice in alone}
    assert set(named) <= set(alone)


def test_one_address_is_chosen_once() -> None:
    twice = [Reach(name, None, "email", "sv", "same", b"") for name in ("a", "b")]
    assert len(choose("email", False, {"w1"}, twice)) == 1


def test_an_unknown_mail_is_resent_once_and_an_unknown_sms_asked_about_first() -> None:
    assert resolution("email", 1).resend
    assert not resolution("email", 1).ask
    assert not resolution("email", 2).resend
    assert resolution("sms", 1).wait == timedelta(minutes=10)
    assert resolution("sms", 2).ask


def test_tries_grow_apart_and_end_after_two_days_or_at_expiry() -> None:
    start = at("2025-11-10T10:00")
    expires = start + timedelta(days=10)
    waits = [next_try(n, start, start, expires) for n in (1, 2, 3, 4, 9)]
    assert [wait and (wait - start).total_seconds() / 60 for wait in waits] == [5, 15, 30, 60, 60]
    assert next_try(9, start + LONGEST, start, expires) is None
    assert next_try(1, start, start, start + timedelta(minutes=4)) is None
    assert next_try(1, start, start, expires, wait=900) == start + timedelta(minutes=15)


def test_a_channel_in_trouble_is_left_alone_longer_each_time_up_to_five_minutes() -> None:
    assert [breaker_wait(n, None) for n in (1, 2, 3, 99)] == [5, 10, 20, 300]
    assert breaker_wait(1, 60) == 60


@pytest.mark.parametrize(
    ("stop", "stops"),
    [
        (Stop("stop", "all", "0162", None, None), True),
        (Stop("stop", "all", "0180", None, None), False),
        (Stop("bounce", "all", "0180", None, None), True),
        (Stop("complaint", "all", "0180", None, None), True),
        (Stop("stop", "case", "0162", "0162/x/1", None), True),
        (Stop("stop", "case", "0162", "0162/x/2", None), False),
        (Stop("stop", "kind", "0162", None, "gatuarbete"), True),
        (Stop("stop", "kind", "0162", None, "detaljplan"), False),
        (Stop("stop", "area", "0162", None, None), True),
        (Stop("stop", "all", "0162", None, None, lifted=True), False),
    ],
)
def test_a_stop_holds_for_what_it_names(stop: Stop, stops: bool) -> None:
    assert (stopped_by([stop], ABOUT) is not None) == stops


def follows(*subscriptions: str, **more: Any) -> Invitation:
    """An invitation for these subscriptions' areas, and for `also`."""
    reasons = [{"kind": "subscription", "subscription_id": name} for name in subscriptions] + more.pop("also", [])
    return Invitation.model_validate({**INVITED, "workplaces": [{"workplace_id": "w", "reasons": reasons}], **more})


NEAR = [{"kind": "distance", "distance_m": 12.0}]


@pytest.mark.parametrize(
    ("invitations", "stops"),
    [
        ([follows("s1")], True),
        ([follows("s1", "s2")], True),
        ([follows("s1"), follows("s2")], True),
        ([follows("s1", "s3")], False),
        ([follows("s1", also=NEAR)], False),
        ([follows("s1"), follows(also=NEAR)], False),
        ([follows("s1", more_workplaces=1)], False),
        ([], False),
    ],
)
def test_a_stop_of_areas_stops_what_is_sent_for_these_alone(invitations: list[Invitation], stops: bool) -> None:
    stopped = [Stop("stop", "area", "0162", None, None, subscription_id=name) for name in ("s1", "s2")]
    assert (stopped_by(stopped, ABOUT, lambda: invitations) is not None) == stops
    assert stopped_by(stopped, ABOUT) is None
    elsewhere = [Stop("stop", "area", "0180", None, None, subscription_id=name) for name in ("s1", "s2")]
    assert stopped_by(elsewhere, ABOUT, lambda: invitations) is None


def test_a_round_goes_when_open_after_its_hold_and_complete() -> None:
    round_ = Round.model_validate({**EXAMPLE, "counts": {"invitations": 2}})
    assert round_.opened_at is not None
    opened = round_.opened_at
    assert readiness(round_, opened, HOLD, 2) is Readiness.WAIT
    assert readiness(round_, opened + HOLD, HOLD, 2) is Readiness.GO
    assert readiness(round_, opened + HOLD, HOLD, 1) is Readiness.WAIT
    assert readiness(round_, opened + HOLD + GRACE, HOLD, 1) is Readiness.GO
    for state, verdict in (("held", Readiness.WAIT), ("matching", Readiness.WAIT), ("withdrawn", Readiness.CANCEL)):
        changed = Round.model_validate({**EXAMPLE, "state": state})
        assert readiness(changed, opened + HOLD, HOLD, 99) is verdict


def test_not_before_holds_longer_than_the_hold() -> None:
    round_ = Round.model_validate({**EXAMPLE, "not_before": "2025-11-12T07:00:00+01:00"})
    assert readiness(round_, at("2025-11-11T12:00"), HOLD, 42) is Readiness.WAIT
    assert readiness(round_, at("2025-11-12T07:00"), HOLD, 42) is Readiness.GO


@pytest.mark.parametrize(
    ("state", "code", "current", "expected"),
    [
        ("sent", "accepted", True, Told.REACHED),
        ("unknown", "connection_lost", True, Told.REACHED),
        ("failed", "unknown_outcome", True, Told.REACHED),
        ("failed", "no_such_address", True, Told.NEVER),
        ("sending", "", True, Told.UNDECIDED),
        ("pending", "", True, Told.NEVER),
        ("pending", "", False, Told.UNDECIDED),
        ("retry", "greylisted", False, Told.UNDECIDED),
        ("cancelled", "round_ended", False, Told.NEVER),
        ("suppressed", "stop", True, Told.NEVER),
    ],
)
def test_a_change_is_told_to_those_alone_whom_the_earlier_message_reached_or_may_have(
    state: str, code: str, current: bool, expected: Told
) -> None:
    assert told(state, code, round_is_current=current) is expected
