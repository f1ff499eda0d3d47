"""`nardialog explain`: for any workplace why it is invited or why not, by how much, and what became of its message."""

import json
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas import model as dialogue_model
from schemas.case import Case
from schemas.company import Company
from schemas.dialogue import Decision
from schemas.identity import DEMO_RECIPIENT_KEY, recipient_id
from schemas.invitation import InvitationState
from schemas.round import RoundState
from schemas.types import Basis
from services import cli
from services.matcher.explain import Explanation, explain
from services.matcher.explain_command import explain as command
from services.matcher.release import Decided
from services.matcher.rounds import Derivation, Joining, derive
from services.matcher.workplaces import snapshot
from services.runtime.errors import Permanent
from tests.matcher_cases import content

MODEL = dialogue_model.default()
DAY = date(2026, 11, 25)
NOW = datetime(2026, 11, 25, 9, tzinfo=UTC)
METRE = 1 / 56_850
"""Of longitude, at 59.4° N, in degrees; near enough for the tests."""


def company(name: str, metres: float = 0, *codes: str, **changes: Any) -> Company:
    made: dict[str, Any] = {
        "municipality": "0162", "workplace_id": name, "recipient_id": recipient_id(name, DEMO_RECIPIENT_KEY),
        "name": name, "lon": 18.03 + metres * METRE, "lat": 59.4,
        "sni": [{"code": code, "version": "2025"} for code in codes],
    }  # fmt: skip
    return Company.model_validate(made | changes)


def derived(case: Case, *companies: Company) -> Derivation:
    basis = Basis(case_version=1, import_number=1)
    return derive(case, snapshot(companies), MODEL, DAY, basis, key=DEMO_RECIPIENT_KEY, limits=None)


def asked(
    about: Company | str, *others: Company, listed: Mapping[str, Decision] | None = None, **changes: Any
) -> Explanation:
    """What is said of a workplace where the round was derived from it and the others."""
    case = Case.model_validate(content("road", **changes))
    known = [about, *others] if isinstance(about, Company) else others
    found = derived(case, *known)
    invitations = {item.recipient_id: item for item in found.invitations}
    one = about if isinstance(about, Company) else None
    return explain(
        case, one.workplace_id if one else str(about), one, MODEL, round_=found.round,
        invitation=invitations.get(one.recipient_id) if one else None, listed=listed or {},
        applicant=recipient_id(case.applicant, DEMO_RECIPIENT_KEY) if case.applicant else None,
    )  # fmt: skip


def test_outside_says_which_ring_and_by_how_many_metres() -> None:
    found = asked(company("W", 190, "56110"))
    assert (found.answer, found.said) == ("outside", "outside the 150 m ring near by 40 m")
    assert {rule.ring: round(rule.beyond_m or 0) for rule in found.rules if rule.geometry == "case"} == {
        "direct": 140, "near": 40,
    }  # fmt: skip


def test_another_industry_in_a_wider_ring_is_said_beside_the_metres_to_the_inner_one() -> None:
    found = asked(company("W", 100, "69201"))
    assert found.answer == "outside"
    assert found.said == (
        "outside the 50 m ring direct by 50 m; inside the 150 m ring near, but code 69.201 (SNI 2025) is in none of its"
        " groups"
    )


def test_a_round_of_another_model_than_the_one_that_is_asked_is_said() -> None:
    case = Case.model_validate(content("road"))
    found = derived(case, company("W"))
    other = found.round.model_copy(update={"model_hash": "0" * 32})
    said = explain(case, "W", company("W"), MODEL, round_=other, invitation=found.invitations[0])
    assert len(said.notes) == 1


def test_a_code_in_no_group_is_named_where_the_place_is_within_the_ring() -> None:
    reach = [{"buffer_m": 150, "industries": [{"code": "56", "version": "2025"}], "why": "mat"}]
    found = asked(company("W", 100, "69201"), reach=reach)
    assert found.answer == "industry"
    assert found.said == "code 69.201 (SNI 2025) is in no group of this stage: ring reach-1 asks for 56"


def test_a_translated_code_is_said_to_be_whether_it_fits_or_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """FC-018."""
    old = {"sni": [{"code": "45200", "version": "2007"}]}
    reach = [{"buffer_m": 150, "industries": [{"code": "56", "version": "2025"}], "why": "mat"}]
    assert asked(company("W", 100, **old), reach=reach).said == (
        "code 45.200 (SNI 2007; in SNI 2025 95.31, 95.40) is in no group of this stage: ring reach-1 asks for 56"
    )
    register, cases = tmp_path / "register.csv", tmp_path / "cases.jsonl"
    register.write_text("workplace_id,organisation,name,lon,lat,sni,sni_version\nW,A,Verkstad,18.03,59.4,45.200,2007\n")
    reach[0]["industries"] = [{"code": "95.31", "version": "2025"}]
    cases.write_text(json.dumps(content("road", reach=reach, deviation_reason="prov")))
    assert run({"register": register, "cases": cases}, "A", "W") == 0
    said = capsys.readouterr().out
    assert "its code 45.200 (SNI 2007) was translated, and lies in part under 95.31 of SNI 2025 (ring reach-1)" in said


@pytest.mark.parametrize("status", ["closed", "vacant"])
def test_what_is_closed_or_vacant_is_said_to_be(status: str) -> None:
    found = asked(company("W", 0, status=status))
    assert (found.answer, found.said) == (status, f"the register says that the workplace is {status}")


def test_the_applicant_the_silent_stage_and_what_the_register_does_not_know_are_said() -> None:
    own = company("W", recipient_id=recipient_id("5599990008", DEMO_RECIPIENT_KEY))
    assert asked(own, applicant="559999-0008").answer == "applicant"
    tender = asked(company("W"), case_type="upphandling", stage="anbudstid")
    assert (tender.answer, tender.said) == (
        "silent",
        "nobody is invited: the stage anbudstid is silent (tender_period)",
    )
    assert asked("nobody").answer == "not_in_register"
    assert asked(company("W", lon=None, lat=None)).answer == "no_place"
    elsewhere = asked(company("W", municipality="0180"), geometries=[], area="municipality", stage="flerarsplan")
    assert elsewhere.answer == "elsewhere"


def test_a_ring_of_the_digest_alone_is_said_to_send_nothing_by_itself() -> None:
    found = asked(company("W", 0, "56110"), geometries=[], area="municipality", stage="flerarsplan")
    assert (found.answer, {reason.delivery for reason in found.reasons}) == ("invited", {"digest"})
    assert found.said == "invited, for 1 reason(s), which come in the weekly digest and never by themselves"


def test_whom_an_official_removed_is_told_who_did_and_why() -> None:
    word = Decision(
        number=1, kind="remove", round_id="r", at=NOW, by="näringslivskontoret", reason="riven", workplaces=["W"]
    )
    case = Case.model_validate(content("road"))
    without = derived(case, company("X"))
    found = explain(case, "W", company("W"), MODEL, round_=without.round, invitation=None, listed={"W": word})
    assert (found.answer, found.said) == ("removed", "removed by näringslivskontoret on 25 Nov 2026: riven")


def test_a_held_round_says_that_it_would_invite_and_what_it_waits_for() -> None:
    case = Case.model_validate(content("road"))
    held = derive(
        case, snapshot([company("W")]), MODEL, DAY, Basis(case_version=1), key=DEMO_RECIPIENT_KEY, limits=None,
        decided=Decided(policy="review"),
    )  # fmt: skip
    found = explain(case, "W", company("W"), MODEL, round_=held.round, invitation=None)
    assert found.answer == "held"
    assert "review" in found.said


def test_who_came_too_late_is_told_so_and_who_was_revoked_too() -> None:
    case = Case.model_validate(content("road"))
    early, late = company("W"), company("L", 10)
    ends = derived(case, early).round.expires_at
    assert ends is not None
    found = derive(
        case, snapshot([early, late]), MODEL, DAY, Basis(case_version=1), key=DEMO_RECIPIENT_KEY, limits=None,
        joining=Joining(frozenset({early.recipient_id}), ends - timedelta(days=3)),
    )  # fmt: skip
    assert explain(case, "L", late, MODEL, round_=found.round, invitation=None).answer == "late"
    (invitation,) = found.invitations
    revoked = invitation.model_copy(update={"state": InvitationState.REVOKED})
    assert explain(case, "W", early, MODEL, round_=found.round, invitation=revoked).answer == "revoked"


def test_what_was_published_has_the_last_word_and_a_register_that_changed_since_is_said() -> None:
    case = Case.model_validate(content("road"))
    before = company("W")
    (invitation,) = derived(case, before).invitations
    moved = company("W", 5000)
    found = explain(case, "W", moved, MODEL, round_=derived(case, before).round, invitation=invitation)
    assert found.invited
    assert found.notes == ("the register or the case has changed since: now it would be left out by no ring",)


COMPANIES = st.lists(
    st.builds(
        lambda metres, codes, status: (metres, codes, status),
        st.floats(0, 400),
        st.lists(st.sampled_from(["56110", "69201", "47113", "49410", "94110"]), max_size=2, unique=True),
        st.sampled_from(["active", "active", "active", "closed", "vacant"]),
    ),
    min_size=1,
    max_size=6,
)


@settings(max_examples=40, deadline=None)
@given(COMPANIES, st.sampled_from(["projektering", "pagar", "flerarsplan"]))
def test_explain_says_invited_of_exactly_those_whom_the_matcher_invites(rows: list[Any], stage: str) -> None:
    known = [company(f"W{i}", metres, *codes, status=status) for i, (metres, codes, status) in enumerate(rows)]
    case = Case.model_validate(content("road", stage=stage))
    found = derived(case, *known)
    assert found.round.state is RoundState.OPEN
    there = {w.workplace_id for item in found.invitations for w in item.workplaces}
    for one in known:
        others = [item for item in known if item is not one]
        said = asked(one, *others, stage=stage)
        assert said.invited == (one.workplace_id in there), said.said
        assert any(rule.fits for rule in said.rules) == said.invited or one.status != "active"


HEADER = "workplace_id,organisation,name,lon,lat,sni,sni_version,municipality\n"


@pytest.fixture
def on_files(tmp_path: Path) -> dict[str, Path]:
    rows = "".join(f"W{m},O{m},Bageri {m},{18.03 + m * METRE:.7f},59.4,56.110,2025,0162\n" for m in (0, 165, 190, 900))
    register, cases = tmp_path / "register.csv", tmp_path / "cases.jsonl"
    register.write_text(HEADER + rows, encoding="utf-8")
    cases.write_text(json.dumps(content("road")), encoding="utf-8")
    return {"register": register, "cases": cases}


def run(files: dict[str, Path], *asked: str, near: bool = False, as_json: bool = False) -> int:
    return command(*asked, near=near, json=as_json, register=files.get("register"), cases=files.get("cases"))


def test_on_files_an_earlier_stage_is_explained_as_the_case_was_then(
    on_files: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    before = json.loads(on_files["cases"].read_text())
    moved = content("road", version=2, stage="byggstart", geometries=[], named=["W190"])
    on_files["cases"].write_text("\n".join(json.dumps(case) for case in (before, moved)))
    register, cases = on_files["register"], on_files["cases"]
    assert command("A", "W190", register=register, cases=cases, json=True) == 0
    assert json.loads(capsys.readouterr().out)["stage"] == "byggstart"
    assert command("A", "W190", stage=before["stage"], register=register, cases=cases, json=True) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["stage"], found["said"]) == (before["stage"], "outside the 150 m ring near by 40 m")
    with pytest.raises(Permanent, match="no case is in the stage"):
        command("A", "W190", stage="samrad", register=register, cases=cases)


def test_on_files_it_answers_without_a_broker(on_files: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(on_files, "A", "W0") == 0
    said = capsys.readouterr().out
    assert "W0 Bageri 0: invited" in said
    assert "because it is 0 m from the road, within 50 m (ring direct)" in said
    assert run(on_files, "0162/prov/A", "W190", as_json=True) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["invited"], found["answer"], found["said"]) == (
        False,
        "outside",
        "outside the 150 m ring near by 40 m",
    )
    beyond = {rule["ring"]: rule["beyond_m"] for rule in found["rules"]}
    assert beyond["near"] == pytest.approx(40, abs=1)


def test_a_workplace_whose_own_row_was_refused_is_told_why(
    on_files: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    with on_files["register"].open("a", encoding="utf-8") as file:
        file.write("W7,O7,Bageri,18.03,59.4,99.999,2025,0162\n")
    assert run(on_files, "A", "W7") == 0
    assert "register.csv: line 6: unknown_code" in capsys.readouterr().err


def test_near_the_limit_those_left_out_are_listed_nearest_first(
    on_files: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(on_files, "A", near=True, as_json=True) == 0
    found = json.loads(capsys.readouterr().out)
    assert [(item["workplace_id"], item["answer"]) for item in found["missed"]] == [("W165", "outside")]
    assert found["missed"][0]["said"] == "outside the 150 m ring near by 15 m"
    assert found["more"] == 0


def test_what_is_asked_wrongly_is_a_usage_error_and_an_unknown_case_a_failure(on_files: dict[str, Path]) -> None:
    assert run(on_files, "A") == 2
    assert run(on_files, "A", "W0", near=True) == 2
    assert command("A", "W0", register=on_files["register"]) == 2
    with pytest.raises(SystemExit) as ended:
        cli.main(
            ["explain", "nosuch", "W0", "--register", str(on_files["register"]), "--cases", str(on_files["cases"])]
        )
    assert ended.value.code == 1
