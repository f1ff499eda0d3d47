"""The guards: a slip is looked at by a person before anybody is invited, and says its numbers."""

import json
from datetime import date
from typing import Any

import pytest

from schemas import model as dialogue_model
from schemas.case import Case
from schemas.company import Company
from schemas.identity import DEMO_RECIPIENT_KEY, recipient_id
from schemas.round import RoundState
from schemas.types import Basis
from services.matcher.door import read
from services.matcher.holds import Limits
from services.matcher.rounds import Derivation, derive
from services.matcher.workplaces import Snapshot, snapshot
from services.runtime.errors import Rejected
from tests.matcher_cases import content

MODEL = dialogue_model.default()
DAY = date(2026, 9, 7)
MEETING = {"form": "platsvandring", "place": "Torget", "start": "2026-09-30T17:00:00+02:00"}


def case(**changes: Any) -> Case:
    return Case.model_validate(content() | changes)


def register(near: int, far: int = 0, elsewhere: int = 0) -> Snapshot:
    def company(number: int, lon: float) -> Company:
        return Company(
            municipality="0162" if number < near + far else "0180",
            workplace_id=f"W{number:05}",
            recipient_id=recipient_id(f"W{number}", DEMO_RECIPIENT_KEY),
            name="Namn",
            lon=lon,
            lat=59.4,
        )

    return snapshot(company(n, 18.03 if n < near else 18.06) for n in range(near + far + elsewhere))


def run(item: Case, rows: Snapshot | None = None, day: date = DAY, **limits: Any) -> Derivation:
    basis = Basis(case_version=1, import_number=1)
    return derive(item, rows or register(1), MODEL, day, basis, key=DEMO_RECIPIENT_KEY, limits=Limits(**limits))


def held(derived: Derivation) -> tuple[str | None, str]:
    assert derived.round.state is RoundState.HELD
    assert derived.invitations == ()
    return derived.round.reason, derived.round.detail


def test_fc_016_a_geometry_outside_the_sending_municipality_waits() -> None:
    borås = [{"role": "site", "geometry": {"type": "Point", "coordinates": [12.94, 57.72]}}]
    reason, detail = held(run(case(geometries=borås)))
    assert reason == "outside_municipality"
    assert "part 1" in detail
    assert "2000 m outside municipality 0162" in detail


def test_fc_016_how_far_outside_is_a_setting() -> None:
    neighbour = [{"role": "site", "geometry": {"type": "Point", "coordinates": [18.03, 59.48]}}]
    assert held(run(case(geometries=neighbour)))[0] == "outside_municipality"
    assert run(case(geometries=neighbour), margin_m=20_000).round.state is RoundState.OPEN


@pytest.mark.parametrize("field", ["respond_by", "stage_opened", "decision_at"])
@pytest.mark.parametrize("given", ["4000-01-01", "0001-01-01", "2100-12-31"])
def test_fc_020_a_year_that_nobody_means_is_refused_with_its_field(field: str, given: str) -> None:
    with pytest.raises(Rejected) as refused:
        read(json.dumps(content(**{field: given})).encode(), MODEL)
    assert refused.value.pointer == f"/{field}"
    assert "plausible year" in refused.value.detail


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"respond_by": "2099-12-31"}, "respond_by"),
        ({"respond_by": "2027-10-13"}, "respond_by"),
        ({"event_at": "2099-12-31T12:00:00+01:00"}, "event_at"),
        ({"stage_opened": "2062-09-07"}, "stage_opened"),
        ({"decision_at": "2062-09-07"}, "decision_at"),
        ({"decision_at": "2026-09-14"}, "decision_at"),
        ({"meeting": MEETING | {"start": "2062-09-30T17:00:00+02:00"}}, "meeting/start"),
        ({"meeting": MEETING | {"start": "2026-09-01T17:00:00+02:00"}}, "meeting/start"),
    ],
)
def test_fc_020_a_date_that_the_calendar_has_and_nobody_means_waits_and_is_named(
    changes: dict[str, Any], field: str
) -> None:
    reason, detail = held(run(case(**changes)))
    assert reason == "implausible_date"
    assert detail.startswith(f"{field} ")


def test_fc_020_a_plausible_date_passes_and_how_far_ahead_is_a_setting() -> None:
    far = case(respond_by="2027-10-12", decision_at="2030-01-01", meeting=MEETING)
    assert run(far).round.state is RoundState.OPEN
    assert held(run(far, horizon_days=300))[0] == "implausible_date"


def test_fc_020_a_round_that_ended_yesterday_invites_nobody_and_is_still_there() -> None:
    derived = run(case(respond_by="2026-09-06"))
    assert (derived.round.state, derived.round.reason) == (RoundState.CLOSED, "respond_by_passed")
    assert derived.round.texts.title == "Titel"
    assert derived.invitations == ()


def test_fc_022_a_corrected_title_invites_nobody_anew_and_is_shown() -> None:
    before, after = run(case()), run(case(version=2, title="Rättad"))
    assert [i.invitation_id for i in before.invitations] == [i.invitation_id for i in after.invitations]
    assert before.round.round_id == after.round.round_id
    assert after.round.texts.title == "Rättad"


def test_fc_024_an_area_that_reaches_four_fifths_of_the_register_waits_with_its_numbers() -> None:
    reason, detail = held(run(case(), register(80, 20)))
    assert reason == "too_many"
    assert "80 of 100" in detail
    assert run(case(), register(79, 21)).round.state is RoundState.OPEN


def test_fc_024_the_share_is_a_setting_and_what_waits_shows_how_many_it_is_for() -> None:
    waiting = run(case(), register(30, 70), share=0.3).round
    assert (waiting.reason, waiting.counts.invitations, waiting.counts.workplaces) == ("too_many", 30, 30)
    assert waiting.set_hash is not None, "an official can release what was counted"


def test_fc_024_where_the_register_has_several_municipalities_the_share_is_of_the_cases_own() -> None:
    reason, detail = held(run(case(), register(80, 20, elsewhere=500)))
    assert reason == "too_many"
    assert "80 of 100 workplaces in municipality 0162" in detail
    assert run(case(), register(79, 21, elsewhere=500)).round.state is RoundState.OPEN


def test_fc_025_an_area_with_3400_workplaces_invites_all_of_them() -> None:
    derived = run(case(), register(3400, 1600))
    assert len({invitation.recipient_id for invitation in derived.invitations}) == 3400
    assert derived.round.counts.workplaces == 3400


def test_a_departure_from_the_model_without_a_reason_waits_and_one_with_a_reason_takes_it_along() -> None:
    reason, detail = held(run(case(form="enkat")))
    assert reason == "deviation_without_reason"
    assert "the form enkat" in detail
    assert "deviation_reason" in detail
    opened = run(case(form="enkat", deviation_reason="Frågorna är många")).round
    assert opened.state is RoundState.OPEN
    assert opened.deviation_reason == "Frågorna är många"
    assert [item.kind for item in opened.deviations] == ["form"]


def test_a_round_that_several_guards_hold_says_all_because_one_release_passes_all() -> None:
    reason, detail = held(run(case(form="enkat", decision_at="2062-09-07"), register(80, 20)))
    assert reason == "too_many"
    assert detail.endswith("(also: implausible_date, deviation_without_reason)")


@pytest.mark.parametrize("field", ["respond_by", "stage_opened", "decision_at", "event_at"])
@pytest.mark.parametrize("given", [20261220, "20261220", 1796083200, "1796083200000", 1e20, True])
def test_fc_020_a_number_is_no_day_whichever_moment_it_could_be_counted_from(field: str, given: Any) -> None:
    with pytest.raises(Rejected) as refused:
        read(json.dumps(content(**{field: given})).encode(), MODEL)
    assert (refused.value.pointer, "write it out" in refused.value.detail) == (f"/{field}", True)


def test_a_procedure_that_the_model_does_not_know_undercuts_no_law() -> None:
    """PBL 5:18: up to thirty days; without a procedure that is known the strictest decides."""
    soon = {"case_type": "detaljplan", "stage": "granskning", "respond_by": "2026-09-30", "deviation_reason": "prov"}
    assert run(case(**soon, procedure="standard")).round.state is RoundState.OPEN
    for procedure in (None, "standrad"):
        assert held(run(case(**soon, procedure=procedure)))[0] == "respond_by_under_floor"
    derived = run(case(**soon, procedure="standrad"))
    assert "set procedure to one of coordinated, environment, extended, standard" in derived.round.detail
    assert [(item.kind, item.case) for item in derived.round.deviations if item.kind == "procedure"] == [
        ("procedure", "standrad")
    ]


def test_fc_016_a_municipality_that_does_not_exist_holds_because_nobody_can_say_where_it_is() -> None:
    reason, detail = held(run(case(municipality="9999")))
    assert (reason, "no municipality has the code 9999" in detail) == ("outside_municipality", True)
    assert run(case(municipality="9999"), outside=True).round.state is RoundState.OPEN
