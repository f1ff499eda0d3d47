"""The dialogue model's plan of a stage: times, forms, roles, silence; and where a case departs from the model."""

from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import model as dialogue_model
from schemas.case import Case
from schemas.model import DialogueModel, Stage
from schemas.round import Purpose
from services.matcher.dialogue.plan import StagePlan, plan
from services.matcher.dialogue.working_days import is_working_day
from tests.matcher_cases import content

MODEL = dialogue_model.default()
DAY = date(2026, 9, 7)
"""A Monday in autumn: no holiday and no season is near."""
LOCAL = ZoneInfo("Europe/Stockholm")
STAGES = [(case_type.id, stage.id) for case_type in MODEL.case_types for stage in case_type.stages]
CODES = [{"code": "56", "version": "2025"}]


def case(**changes: Any) -> Case:
    return Case.model_validate(content(case_type="detaljplan", stage="samrad") | changes)


def planned(day: date = DAY, model: DialogueModel = MODEL, **changes: Any) -> StagePlan:
    return plan(case(**changes), model, day)


def changed(**members: Any) -> DialogueModel:
    return MODEL.model_copy(update=members)


def test_the_model_has_the_stages_that_the_others_are_tried_on() -> None:
    assert (len(MODEL.case_types), len(STAGES)) == (17, 86)


@pytest.mark.parametrize(("case_type", "stage_id"), STAGES)
def test_each_stage_has_a_plan_with_forms_times_a_role_and_an_end_or_a_reason_to_be_silent(
    case_type: str, stage_id: str
) -> None:
    stage = MODEL.stage(case_type, stage_id)
    assert stage is not None
    made = planned(case_type=case_type, stage=stage_id, industries=CODES)
    if stage.influence == "none":
        assert made.silent in {"tender_period", "individual_authority"}
        assert not made.plan.asks
        return
    assert made.silent is None
    assert made.plan.forms[0] == made.plan.primary
    assert set(made.plan.forms) <= {*stage.forms, "informationsnotis"}
    assert made.plan.elected in MODEL.elected_roles
    assert made.plan.channel == stage.channel
    assert made.expires_at > made.opened_at
    assert made.deviations == ()
    if stage.influence == "inform":
        says_nothing_to_answer(made, stage)
    else:
        asks_in_time(made, stage)


def says_nothing_to_answer(made: StagePlan, stage: Stage) -> None:
    assert (made.purpose, made.plan.asks, made.texts.question) == (Purpose.INFORM, False, "")
    assert (made.respond_by, made.remind_at, made.earliest_respond_by) == (None, None, None)
    assert made.expires_at == made.opened_at + timedelta(days=max(14, stage.lead.days))


def asks_in_time(made: StagePlan, stage: Stage) -> None:
    assert (made.purpose, made.plan.asks) == (Purpose.ASK, True)
    assert stage.ask is not None
    assert (made.texts.question, made.texts.question_en) == (stage.ask.sv, stage.ask.en)
    assert made.respond_by is not None
    assert made.respond_by >= DAY + timedelta(days=stage.response.days)
    assert made.respond_by < DAY + timedelta(days=stage.response.days + 70)
    assert is_working_day(made.respond_by)
    assert made.expires_at == datetime.combine(made.respond_by + timedelta(days=1), datetime.min.time(), LOCAL)
    if stage.reminder is not None:
        assert made.remind_at is not None
        assert made.opened_at < made.remind_at < made.expires_at
        assert (made.respond_by - made.remind_at.date()).days >= stage.reminder.days_before_deadline
    assert stage.feedback is not None
    assert made.plan.feedback_days == stage.feedback.within_days
    owed = made.plan.feedback_by
    assert (owed is None) == (stage.feedback.after == "decision")
    assert owed is None or owed >= made.respond_by + timedelta(days=stage.feedback.within_days)


@pytest.mark.parametrize(
    ("opened", "last"),
    [
        (date(2026, 5, 25), date(2026, 6, 22)),  # 28 days, 2 of them in the summer
        (date(2026, 6, 8), date(2026, 7, 20)),  # 6 July is 17 of 28 days into it: 14 more
        (date(2026, 6, 5), date(2026, 7, 17)),  # 14 of 28: half is enough
        (date(2026, 6, 4), date(2026, 7, 2)),  # 13 of 28
        (date(2026, 12, 14), date(2027, 1, 25)),  # 11 January is 19 of 28 days at Christmas
        (date(2026, 11, 25), date(2026, 12, 23)),
        (date(2026, 8, 10), date(2026, 9, 7)),
    ],
)
def test_an_answering_time_of_which_half_lies_in_summer_or_at_christmas_is_longer(opened: date, last: date) -> None:
    assert planned(opened).respond_by == last


def test_what_is_urgent_is_not_put_off_by_the_season_and_the_figures_are_the_models() -> None:
    june = date(2026, 6, 8)
    assert planned(june, urgent=True, urgent_reason="Bron är avstängd").respond_by == date(2026, 7, 6)
    week = changed(seasons=MODEL.seasons.model_copy(update={"extend_days": 7}))
    assert planned(june, week).respond_by == date(2026, 7, 13)
    always = changed(seasons=MODEL.seasons.model_copy(update={"unless_urgent": False}))
    assert planned(june, always, urgent=True, urgent_reason="Bron är avstängd").respond_by == date(2026, 7, 20)
    none = changed(seasons=MODEL.seasons.model_copy(update={"periods": []}))
    assert planned(june, none).respond_by == date(2026, 7, 6)


@given(st.dates(date(2026, 1, 1), date(2035, 12, 31)), st.sampled_from(STAGES))
def test_no_rule_ever_gives_less_time_than_the_models_days(day: date, of: tuple[str, str]) -> None:
    made, stage = planned(day, case_type=of[0], stage=of[1], industries=CODES), MODEL.stage(*of)
    assert stage is not None
    if made.respond_by is not None:
        assert made.respond_by >= day + timedelta(days=stage.response.days)
        assert made.earliest_respond_by is None or made.respond_by >= made.earliest_respond_by
        assert is_working_day(made.respond_by)


def test_a_meeting_and_what_is_announced_leave_the_models_time_to_prepare() -> None:
    assert planned().plan.meeting_from == date(2026, 9, 28)
    assert planned(case_type="taxa", stage="ikraft", industries=CODES).plan.meeting_from == date(2026, 10, 7)
    assert planned(stage="granskning").plan.meeting_from is None


def test_information_that_announces_something_lives_until_then_and_other_news_as_long_as_the_model_says() -> None:
    ikraft = planned(case_type="taxa", stage="ikraft", industries=CODES)
    assert ikraft.expires_at == ikraft.opened_at + timedelta(days=30)
    news = planned(stage="laga_kraft", model=changed(information_days=21))
    assert news.expires_at == news.opened_at + timedelta(days=21)


def test_the_account_of_what_became_of_answers_is_owed_by_a_working_day() -> None:
    assert planned().plan.feedback_by == date(2026, 11, 4)  # 30 days after 5 October
    decided = planned(case_type="bygglov", stage="grannhorande", decision_at="2026-10-14")
    assert (decided.plan.feedback_after, decided.plan.feedback_by) == ("decision", date(2026, 10, 26))


def test_a_reminder_that_the_model_does_not_want_or_that_would_come_at_once_is_none() -> None:
    assert planned().remind_at == datetime(2026, 9, 30, 9, tzinfo=LOCAL)
    assert planned(respond_by="2026-09-11", deviation_reason="brådskar").remind_at is None
    assert planned(stage="laga_kraft").plan.reminder is None


@pytest.mark.parametrize(
    ("changes", "kind", "model", "own"),
    [
        ({"form": "enkat"}, "form", "remiss, oppet_mote, platsvandring, aterringning", "enkat"),
        (
            {"reach": [{"buffer_m": 250, "industries": CODES}, {"buffer_m": 20}]},
            "reach",
            "100 m all; 400 m kundnara+leveransberoende+fastighet; municipality organisationer",
            "250 m 56; 20 m all",
        ),
        ({"respond_by": "2026-10-02"}, "deadline", "2026-10-05", "2026-10-02"),
    ],
)
def test_a_departure_from_the_model_needs_a_written_reason_that_is_kept(
    changes: dict[str, Any], kind: str, model: str, own: str
) -> None:
    bare, explained = planned(**changes), planned(**changes, deviation_reason="Beslut i nämnden § 12")
    said = [(item.kind, item.model, item.case) for item in bare.unexplained]
    assert said == [(kind, model, own)]
    assert (explained.unexplained, explained.deviation_reason) == ((), "Beslut i nämnden § 12")
    assert explained.deviations == bare.deviations


def test_a_ring_that_says_why_and_haste_that_says_why_are_explained_by_that() -> None:
    own = planned(reach=[{"buffer_m": 250, "why": "kvarteret delar infart"}])
    assert (own.unexplained, own.deviation_reason) == ((), "kvarteret delar infart")
    half = planned(reach=[{"buffer_m": 250, "why": "kvarteret delar infart"}, {"buffer_m": 900}])
    assert [item.kind for item in half.unexplained] == ["reach"]
    hasty = planned(respond_by="2026-09-18", urgent=True, urgent_reason="Bron är avstängd")
    assert (hasty.unexplained, hasty.deviation_reason) == ((), "Bron är avstängd")
    both = planned(respond_by="2026-09-18", urgent=True, urgent_reason="Bron är avstängd", form="enkat")
    assert {item.kind for item in both.unexplained} == {"form", "deadline"}


def test_what_is_as_the_model_says_or_gives_more_departs_from_nothing() -> None:
    assert planned(respond_by="2026-10-05").deviations == ()
    assert planned(respond_by="2026-12-01", form="remiss").deviations == ()
    assert planned(deviation_reason="utan anledning").deviation_reason == ""


def test_less_time_because_we_were_late_departs_from_nothing() -> None:
    late = planned(date(2026, 9, 20), respond_by="2026-10-05", stage_opened="2026-09-07")
    assert late.deviations == ()
    assert [item.kind for item in planned(date(2026, 9, 20), respond_by="2026-10-05").deviations] == ["deadline"]


def test_a_meeting_that_comes_too_soon_and_a_last_day_on_a_sunday_are_said_and_need_no_reason() -> None:
    meeting = {"form": "oppet_mote", "place": "Biblioteket", "start": "2026-09-15T17:00:00+02:00"}
    made = planned(meeting=meeting, respond_by="2026-10-11")
    assert {(item.kind, item.model, item.case) for item in made.deviations} == {
        ("lead", "2026-09-28", "2026-09-15"),
        ("weekend", "2026-10-12", "2026-10-11"),
    }
    assert (made.unexplained, made.respond_by) == ((), date(2026, 10, 11))
