"""A case that is corrected, moved, late or over: who is invited anew, who is told, and who hears nothing."""

import contextlib
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from schemas.case import CASE_CHANGED, Case
from schemas.invitation import InvitationState
from schemas.round import Purpose, RoundState
from schemas.topics import CASES
from services.matcher.late import reach_hash, too_late
from services.runtime import metrics
from services.runtime.errors import Transient
from tests.matcher_cases import content
from tests.matcher_offline import MODEL, Process, quiet
from tests.matcher_place import RESPOND_BY, START, Place, at

quiet_logs = quiet


@pytest.fixture
def stale() -> Any:
    counter = metrics.RECORDS.labels("matcher", CASES.name, "stale_version")
    before = counter._value.get()
    return lambda: counter._value.get() - before


def test_a_corrected_case_invites_nobody_anew() -> None:
    place = Place(0, 30)
    place.case(1)
    before = place.said()
    place.case(2, title="Rättad titel")
    assert place.said() == before == [("issued", "W0", "ask"), ("issued", "W30", "ask")]
    assert place.round().texts.title == "Rättad titel"


def test_a_changed_area_issues_the_added_revokes_the_removed_and_tells_them_once_and_the_rest_hear_nothing() -> None:
    place = Place(0, 40, 80)
    place.case(1)
    assert sorted(place.said()) == [("issued", "W0", "ask"), ("issued", "W40", "ask")]
    place.case(2, geometries=at(80))
    place.case(3, geometries=at(80), title="Rättad titel")
    assert [item for item in place.said() if item[1] == "W80"] == [("issued", "W80", "ask")]
    assert [item for item in place.said() if item[1] == "W0"] == [
        ("issued", "W0", "ask"), ("revoked", "W0", "ask"), ("issued", "W0", "change"),
    ]  # fmt: skip
    assert {purpose for _, name, purpose in place.said() if name == "W40"} == {"ask"}, "40 m before, and 40 m now"


def test_a_changed_list_of_industries_gives_the_difference_too() -> None:
    place = Place(0)
    reach = [{"buffer_m": 50, "industries": [{"code": "56", "version": "2025"}], "why": "mat"}]
    place.case(1)
    place.case(2, reach=reach)
    assert [state for state, _, _ in place.said()] == ["issued", "revoked", "issued"]
    assert place.live(place.round()) == []


def test_version_2_arriving_after_3_is_ignored_and_counted(stale: Any) -> None:
    place = Place(0)
    place.case(3, title="tre")
    before = len(place.log.rounds())
    place.case(2, title="två")
    assert (place.round().texts.title, len(place.log.rounds()), stale()) == ("tre", before, 1)


def test_version_2_opens_a_stage_that_3_does_not_know_and_whose_expiry_is_still_ahead(stale: Any) -> None:
    place = Place(0)
    place.case(3, stage="ta_plan")
    place.case(2, stage="projektering")
    early, late = place.round(stage="projektering"), place.round(stage="ta_plan")
    assert (early.state, late.state, stale()) == (RoundState.OPEN, RoundState.OPEN, 0)
    assert place.live(early) == place.live(late) == ["W0"]
    place.case(2, stage="projektering")
    assert stale() == 1, "now that stage is known"
    place.register(10)
    assert place.live(place.round(stage="projektering")) == ["W0", "W10"], "it lives like any round"
    place.decide("undo", early, reason="fel")
    assert (place.round(stage="projektering").reason, place.round(stage="ta_plan").state) == ("undone", RoundState.OPEN)
    place.case(4, stage="ta_plan", title="Rättad")
    assert place.round(stage="projektering").state is RoundState.CLOSED


@pytest.mark.parametrize("after", range(4))
def test_an_earlier_versions_stage_that_is_cut_off_anywhere_is_opened_whole_when_it_is_read_again(after: int) -> None:
    place = Place(0, 10)
    place.case(3, stage="ta_plan")
    place.log.breaks_after = after
    with contextlib.suppress(Transient):
        place.case(2, stage="projektering")
    place.log.breaks_after = None
    place.process = Process(place.log, "auto", START)
    place.look()
    place.case(2, stage="projektering")
    assert place.round(stage="projektering").state is RoundState.OPEN
    assert place.live(place.round(stage="projektering")) == ["W0", "W10"]
    assert len(place.said()) == 4, "each of two workplaces once in each of two rounds"


def test_version_2_opens_no_stage_whose_expiry_is_past_or_of_a_case_that_has_ended(stale: Any) -> None:
    ended: dict[str, Any] = {}
    for changes, state in ((ended, "withdrawn"), ({"respond_by": "2026-11-01"}, "open")):
        place = Place(0)
        place.case(3, stage="ta_plan", state=state)
        made = Case.model_validate(
            content("road", version=2, stage="projektering") | {"respond_by": RESPOND_BY} | changes
        )
        place.handle(CASES, made.key, made, CASE_CHANGED)
        assert place.rounds(stage="projektering") == []
    assert stale() == 2


def test_facts_and_decisions_meet_and_neither_overwrites_the_other() -> None:
    place = Place(0, 30, 900)
    place.case(1)
    place.decide("remove", place.round(), reason="riven", workplaces=["W30"])
    place.decide("add", place.round(), reason="hyr ut", workplaces=["W900"])
    assert place.live(place.round()) == ["W0", "W900"]
    place.case(2, named=["W30"], title="Rättad titel")
    assert place.live(place.round()) == ["W0", "W900"], "the facts say W30, and the decision stands"
    assert place.round().texts.title == "Rättad titel"
    place.decide("unlist", place.round(), workplaces=["W30", "W900"])
    assert place.live(place.round()) == ["W0", "W30"]


def test_a_workplace_or_subscription_that_appears_while_a_round_is_open_is_invited_if_enough_time_is_left() -> None:
    place = Place(0)
    place.case(1)
    place.wait_until(START + timedelta(days=20))
    place.register(10)
    place.subscribe("s1")
    assert place.live(place.round()) == ["W0", "W10", "s1"]


def test_who_appears_when_too_little_time_is_left_is_counted_and_those_already_invited_stay() -> None:
    place = Place(0)
    place.case(1)
    place.wait_until(START + timedelta(days=26))
    place.register(10)
    place.subscribe("s1")
    assert place.live(place.round()) == ["W0"]
    assert place.round().counts.excluded["late"] == 2
    place.case(2, title="Rättad titel")
    assert place.live(place.round()) == ["W0"], "a corrected title does not let them in"
    place.decide("add", place.round(), reason="ny granne", workplaces=["W10"])
    assert place.live(place.round()) == ["W0", "W10"], "an official does"


def test_whom_a_changed_area_adds_is_no_late_comer() -> None:
    place = Place(0, 80)
    place.case(1)
    place.wait_until(START + timedelta(days=26))
    place.case(2, geometries=at(40))
    assert place.live(place.round()) == ["W0", "W80"]


def test_a_round_that_only_informs_takes_everybody_while_it_is_open() -> None:
    place = Place(0)
    place.case(1, stage="byggstart", respond_by=None)
    place.wait_until(START + timedelta(days=13))
    place.register(10)
    assert place.live(place.round(purpose=Purpose.INFORM)) == ["W0", "W10"]


@pytest.mark.parametrize(("days", "late"), [(10, False), (20, False), (25, True), (29, True)])
def test_both_a_share_and_some_days_of_the_answering_time_must_be_left(days: int, late: bool) -> None:
    rule = MODEL.late_comers
    assert too_late(START, START + timedelta(days=30), START + timedelta(days=days), rule) is late
    assert too_late(START, START + timedelta(days=100), START + timedelta(days=80), rule), "20 days, and a fifth"


def test_whom_a_case_concerns_is_the_same_however_its_words_are_corrected() -> None:
    case = Case.model_validate(content("road"))
    same = case.model_copy(update={"title": "x", "version": 9, "summary": "y", "respond_by": None})
    assert reach_hash(same) == reach_hash(case)
    other: tuple[dict[str, Any], ...] = ({"geometries": []}, {"named": ["W"]}, {"applicant": "x"}, {"stage": "ta_plan"})
    for changes in other:
        assert reach_hash(case.model_copy(update=changes)) != reach_hash(case)


def test_a_round_is_closed_by_the_clock_when_it_expires_and_nothing_is_sent() -> None:
    place = Place(0)
    place.case(1)
    expires_at = place.round().expires_at
    assert expires_at is not None
    place.wait_until(expires_at - timedelta(seconds=1))
    assert place.round().state is RoundState.OPEN
    said = place.said()
    place.wait_until(expires_at)
    assert (place.round().state, place.round().reason) == (RoundState.CLOSED, "expired")
    written = len(place.log.records)
    place.wait_until(expires_at + timedelta(days=1))
    place.look()
    assert (place.said(), len(place.log.records)) == (said, written), "once, and nobody is told"


def test_a_round_that_the_clock_closed_opens_again_when_the_case_gives_more_time() -> None:
    place = Place(0)
    place.case(1)
    place.wait_until(datetime(2026, 12, 2, 9, tzinfo=UTC))
    case = Case.model_validate(content("road", version=2, respond_by="2026-12-15"))
    place.handle(CASES, case.key, case, CASE_CHANGED)
    assert place.round().state is RoundState.OPEN
    assert [state for state, _, _ in place.said()] == [InvitationState.ISSUED.value, InvitationState.REVISED.value]
