"""A round: what is asked until when, what is silent, what waits."""

from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import model as dialogue_model
from schemas.case import Case
from schemas.company import Company
from schemas.identity import DEMO_RECIPIENT_KEY, recipient_id
from schemas.round import RoundState
from schemas.types import Basis
from services.matcher.dialogue.plan import plan
from services.matcher.dialogue.working_days import add_months, is_working_day
from services.matcher.rounds import Derivation, derive
from services.matcher.workplaces import Snapshot, snapshot
from tests.matcher_cases import content

MODEL = dialogue_model.default()
DAY = date(2026, 11, 25)
LOCAL = ZoneInfo("Europe/Stockholm")
BASIS = Basis(case_version=1, import_number=1)


def case(**changes: Any) -> Case:
    return Case.model_validate(content(case_type="detaljplan", stage="granskning") | changes)


def register(count: int = 1, spread: float = 0.0) -> Snapshot:
    return snapshot(
        Company(
            municipality="0162",
            workplace_id=f"W{i:03}",
            recipient_id=recipient_id(f"W{i}", DEMO_RECIPIENT_KEY),
            name="Namn",
            lon=18.03 + i * spread,
            lat=59.4,
        )
        for i in range(count)
    )


def run(item: Case, rows: Snapshot | None = None, day: date = DAY, **options: Any) -> Derivation:
    return derive(item, rows or register(), MODEL, day, BASIS, key=DEMO_RECIPIENT_KEY, **options)


def test_the_law_sets_the_floor_of_the_procedure_and_the_strictest_without_one() -> None:
    assert plan(case(procedure="standard"), MODEL, DAY).respond_by == date(2026, 12, 16)  # 21 days proposed
    assert plan(case(procedure="environment"), MODEL, DAY).respond_by == date(2026, 12, 28)  # 30 is 25 December
    assert plan(case(), MODEL, DAY).earliest_respond_by == DAY + timedelta(days=30)


def test_two_months_are_calendar_months() -> None:
    item = case(case_type="oversiktsplan", procedure="whole")
    assert plan(item, MODEL, date(2026, 12, 31)).earliest_respond_by == date(2027, 2, 28)
    assert add_months(date(2027, 6, 15), 2) == date(2027, 8, 15)


@given(st.dates(date(2026, 1, 1), date(2035, 12, 31)))
def test_a_derived_deadline_is_a_working_day_and_never_under_the_floor(day: date) -> None:
    planned = plan(case(), MODEL, day)
    assert planned.respond_by is not None
    assert planned.earliest_respond_by is not None
    assert planned.respond_by >= planned.earliest_respond_by
    assert is_working_day(planned.respond_by)


@pytest.mark.parametrize(
    "day", [date(2026, 12, 24), date(2026, 12, 31), date(2027, 6, 25), date(2027, 1, 6), date(2026, 11, 28)]
)
def test_eves_holidays_and_saturdays_are_not_working_days(day: date) -> None:
    assert not is_working_day(day)


def test_a_round_expires_at_the_end_of_the_local_day_in_summer_and_winter() -> None:
    summer = plan(case(respond_by="2027-06-30"), MODEL, DAY).expires_at
    assert summer == datetime(2027, 7, 1, tzinfo=LOCAL)
    assert summer.utcoffset() == timedelta(hours=2)


def test_information_expires_with_its_event_or_after_fourteen_days() -> None:
    told = case(stage="laga_kraft", event_at="2026-12-20T08:00:00+01:00")
    assert plan(told, MODEL, DAY).expires_at == datetime(2026, 12, 20, 8, tzinfo=LOCAL)
    assert plan(case(stage="laga_kraft"), MODEL, DAY).expires_at == datetime(2026, 12, 9, tzinfo=LOCAL)


def test_where_nothing_can_be_influenced_there_is_no_question() -> None:
    planned = plan(case(influence="inform", question="Vad tycker ni?"), MODEL, DAY)
    assert (planned.plan.primary, planned.plan.asks, planned.texts.question) == ("informationsnotis", False, "")
    assert planned.respond_by is None


def test_a_case_cannot_raise_the_influence_of_its_stage() -> None:
    assert plan(case(stage="laga_kraft", influence="involve"), MODEL, DAY).plan.influence == "inform"


def test_the_review_of_a_plan_says_that_a_right_hangs_on_it() -> None:
    assert plan(case(), MODEL, DAY).plan.statutory
    assert not plan(case(stage="samrad"), MODEL, DAY).plan.statutory


def test_the_case_or_its_meeting_chooses_the_form() -> None:
    assert plan(case(stage="samrad"), MODEL, DAY).plan.forms == ["remiss", "aterringning"]
    assert plan(case(stage="samrad", form="enkat"), MODEL, DAY).plan.primary == "enkat"
    meeting = {"form": "oppet_mote", "place": "Biblioteket", "start": "2026-12-20T17:00:00+01:00"}
    assert plan(case(stage="samrad", meeting=meeting), MODEL, DAY).plan.primary == "oppet_mote"


@pytest.mark.parametrize(
    ("changes", "state", "reason"),
    [
        ({"case_type": "upphandling", "stage": "anbudstid"}, RoundState.SILENT, "tender_period"),
        ({"case_type": "tillsyn", "stage": "enskild_kontroll"}, RoundState.SILENT, "individual_authority"),
        ({"influence": "none"}, RoundState.SILENT, "no_influence"),
        ({"state": "withdrawn"}, RoundState.WITHDRAWN, "withdrawn"),
        ({"state": "closed"}, RoundState.CLOSED, "closed"),
        ({"respond_by": "2026-11-24"}, RoundState.CLOSED, "respond_by_passed"),
        ({"respond_by": "2026-12-10"}, RoundState.HELD, "respond_by_under_floor"),
        (
            {"geometries": [{"role": "site", "geometry": {"type": "Point", "coordinates": [12.94, 57.72]}}]},
            RoundState.HELD,
            "outside_municipality",
        ),
    ],
)
def test_a_round_that_invites_nobody_says_why(changes: dict[str, Any], state: RoundState, reason: str) -> None:
    derived = run(case(**changes))
    assert (derived.round.state, derived.round.reason) == (state, reason)
    assert derived.invitations == ()


def test_without_a_register_a_round_waits() -> None:
    derived = derive(case(), None, MODEL, DAY, BASIS, key=DEMO_RECIPIENT_KEY)
    assert (derived.round.state, derived.round.reason) == (RoundState.HELD, "no_register")


def test_a_geometry_that_reaches_nearly_everybody_waits_unless_there_are_few() -> None:
    """FC-024."""
    assert run(case(), register(50)).round.reason == "too_many"
    assert "50 of 50" in run(case(), register(50)).round.detail
    assert run(case(), register(49)).round.state is RoundState.OPEN
    assert run(case(), register(50), limits=None).round.state is RoundState.OPEN


def test_the_same_input_gives_the_same_bytes_and_a_second_review_is_another_round() -> None:
    one, two = run(case()), run(case())
    assert one.round.model_dump_json() == two.round.model_dump_json()
    assert [i.model_dump_json() for i in one.invitations] == [i.model_dump_json() for i in two.invitations]
    again = run(case(occurrence=2))
    assert again.round.round_id != one.round.round_id
    assert again.invitations[0].invitation_id != one.invitations[0].invitation_id


STAGES = [(t.id, s.id) for t in MODEL.case_types for s in t.stages]


@pytest.mark.parametrize(("case_type", "stage"), STAGES)
def test_every_stage_of_the_model_can_be_planned_and_derived(case_type: str, stage: str) -> None:
    derived = run(case(case_type=case_type, stage=stage, industries=[{"code": "56", "version": "2025"}]))
    assert derived.round.state in (RoundState.OPEN, RoundState.SILENT)
    if derived.round.plan and derived.round.plan.asks:
        assert derived.round.respond_by is not None
        assert derived.round.texts.question


def test_a_corrected_title_keeps_the_round_and_its_invitations() -> None:
    before, after = run(case()), run(case(version=2, title="Rättad"))
    assert before.round.round_id == after.round.round_id
    assert [i.invitation_id for i in before.invitations] == [i.invitation_id for i in after.invitations]
