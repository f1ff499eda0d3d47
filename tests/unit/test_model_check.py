"""`nardialog model`: what is wrong with a dialogue model is found, said with its place and what to do."""

import json
from collections.abc import Callable
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from pydantic import ValidationError

from schemas import model as dialogue_model
from schemas.model import json_schema
from services.matcher.dialogue.findings import Finding, passes
from services.matcher.dialogue.model_check import check
from services.matcher.model_commands import check as check_command
from services.matcher.model_commands import show

Model = dict[str, Any]
DEFAULT = files("schemas").joinpath("data/dialogue-model.json").read_bytes()


def stage(model: Model, case_type: str = "gatuarbete", stage_id: str = "projektering") -> dict[str, Any]:
    (found,) = [s for t in model["case_types"] if t["id"] == case_type for s in t["stages"] if s["id"] == stage_id]
    assert isinstance(found, dict)
    return found


def works(model: Model) -> dict[str, Any]:
    (street_works,) = [t for t in model["case_types"] if t["id"] == "gatuarbete"]
    assert isinstance(street_works, dict)
    return street_works


def mat(model: Model) -> dict[str, Any]:
    group = model["industry_groups"]["mat"]
    assert isinstance(group, dict)
    return group


def found(change: Callable[[Model], object]) -> list[Finding]:
    model = json.loads(DEFAULT)
    change(model)
    return [item for item in check(json.dumps(model).encode()) if item not in usual()]


@cache
def usual() -> frozenset[Finding]:
    return frozenset(check(DEFAULT))


def ring(metres: float, industries: Any = "all", name: str = "ny") -> dict[str, Any]:
    return {"id": name, "geometry": "case", "buffer_m": metres, "industries": industries}


def test_the_model_that_comes_with_the_product_may_be_used_and_is_valid_by_its_json_schema() -> None:
    assert passes(check(DEFAULT), strict=True)
    jsonschema.validate(json.loads(DEFAULT), json_schema())
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**json.loads(DEFAULT), "information_days": "två veckor"}, json_schema())


BROKEN: list[tuple[str, str, str, Callable[[Model], object]]] = [
    ("no_question", "error", "/ask", lambda m: stage(m).update(ask=None)),
    ("no_question", "error", "/ask", lambda m: stage(m)["ask"].update(en=" ")),
    ("no_form", "error", "/forms", lambda m: stage(m).update(forms=[])),
    ("no_asking_form", "error", "/forms", lambda m: stage(m).update(forms=["informationsnotis"])),
    ("unknown_form", "error", "/forms", lambda m: stage(m).update(forms=["fraga", "seans"])),
    ("no_expiry", "error", "/response/days", lambda m: stage(m)["response"].update(days=0)),
    ("no_expiry", "error", "/information_days", lambda m: m.update(information_days=0)),
    ("no_ring", "error", "/rings", lambda m: stage(m).update(rings=[])),
    ("no_feedback", "error", "/feedback", lambda m: stage(m).update(feedback=None)),
    ("no_earliest_influence", "error", "/earliest_influence", lambda m: works(m).update(earliest_influence="")),
    ("unknown_stage", "error", "/any_hour/0", lambda m: m["burden_policy"].update(any_hour=["va_arbete.akutt"])),
    ("unknown_stage", "error", "/earliest_influence", lambda m: works(m).update(earliest_influence="gryning")),
    (
        "earliest_without_influence", "error", "/earliest_influence",
        lambda m: works(m).update(earliest_influence="byggstart"),
    ),
    ("asks_earlier", "note", "/earliest_influence", lambda m: works(m).update(earliest_influence="ta_plan")),
    ("never_asks", "warning", "/earliest_influence", lambda m: works(m).update(
        earliest_influence="", stages=[stage(m, "gatuarbete", "byggstart")])),
    ("unknown_code", "error", "/industry_groups/mat/codes/2", lambda m: mat(m)["codes"].insert(2, "56119")),
    ("unknown_code", "error", "/rings/1/industries/0", lambda m: stage(m)["rings"][1].update(industries=["56119"])),
    ("unknown_group", "error", "/rings/1/industries/0", lambda m: stage(m)["rings"][1].update(
        industries=["kundnarra"])),
    ("sni_version", "error", "/sni_version", lambda m: m.update(sni_version="2030")),
    ("no_notice", "error", "/forms", lambda m: m["forms"]["informationsnotis"].update(asks=True)),
    ("no_organisations", "warning", "/industry_groups", lambda m: m["industry_groups"].update(
        foreningar=m["industry_groups"].pop("organisationer"))),
    ("unused_group", "warning", "/industry_groups/nya", lambda m: m["industry_groups"].update(
        nya={"sv": "a", "en": "b", "codes": ["56"]})),
    ("empty_group", "error", "/industry_groups/mat", lambda m: mat(m).update(codes=[])),
    ("empty_group", "error", "/industry_groups/organisationer", lambda m: m["industry_groups"]["organisationer"].update(
        exclude=["94"])),
    ("excludes_nothing", "warning", "/industry_groups/mat/exclude/0", lambda m: mat(m).update(
        exclude=["94"])),
    ("unreachable_ring", "warning", "/rings/0/buffer_m", lambda m: stage(m)["rings"][0].update(buffer_m=0)),
    ("unreachable_ring", "warning", "/rings/3", lambda m: stage(m)["rings"].append(ring(100, ["kundnara"]))),
    ("unreachable_ring", "warning", "/rings/3", lambda m: stage(m)["rings"].append(ring(50))),
    ("unreachable_ring", "error", "/rings/3/industries", lambda m: stage(m)["rings"].append(ring(500, []))),
    ("duplicate_ring", "warning", "/rings/1/id", lambda m: stage(m)["rings"][1].update(id="direct")),
    ("duplicate_id", "error", "/stages/6/id", lambda m: works(m)["stages"].append(stage(m))),
    ("asks_without_influence", "warning", "/forms", lambda m: stage(m, stage_id="byggstart").update(forms=["fraga"])),
    ("silent_stage_speaks", "warning", "/ask", lambda m: stage(m, "upphandling", "anbudstid").update(
        ask={"sv": "Vad?", "en": "What?"})),
    ("empower", "warning", "/influence", lambda m: stage(m).update(influence="empower")),
    ("elected_in_authority_exercise", "error", "/elected", lambda m: stage(m, "bygglov", "ansokan").update(
        elected="attends")),
    ("elected_in_authority_exercise", "error", "/elected", lambda m: stage(m, "tillsyn", "enskild_kontroll").update(
        elected="may_attend")),
    ("unknown_role", "error", "/elected", lambda m: stage(m).update(elected="dictates")),
    ("floor_undercut", "error", "/response/days", lambda m: stage(m, "detaljplan", "granskning")["response"].update(
        days=13)),
    ("floor_undercut", "error", "/response/days", lambda m: stage(m, "oversiktsplan", "granskning")["response"].update(
        days=30)),
    ("floor_of_a_procedure", "note", "/response/days", lambda m: stage(m, "detaljplan", "granskning")[
        "response"].update(days=14)),
    ("reminder_outside_window", "error", "/reminder/days_before_deadline", lambda m: stage(m)["reminder"].update(
        days_before_deadline=21)),
    ("wrong_shape", "error", "/reminder/days_before_deadline", lambda m: stage(m)["reminder"].update(
        days_before_deadline=-1)),
    ("reminds_of_nothing", "warning", "/reminder", lambda m: stage(m, stage_id="byggstart").update(
        reminder={"days_before_deadline": 3, "channel": "email"})),
    ("too_many_reminders", "warning", "/reminder/max", lambda m: stage(m)["reminder"].update(max=3)),
    ("unknown_channel", "error", "/channel", lambda m: stage(m).update(channel="fax")),
    ("unknown_channel", "error", "/reminder/channel", lambda m: stage(m)["reminder"].update(channel="fax")),
    ("short_lead", "note", "/lead/days", lambda m: stage(m)["lead"].update(days=3)),
    ("misspelt_member", "warning", "/remindr", lambda m: stage(m).update(remindr=stage(m).pop("reminder"))),
    ("adoption", "error", "/adopted", lambda m: m.update(status="adopted", adopted={"by": "Kommunstyrelsen"})),
    ("wrong_shape", "error", "/influence", lambda m: stage(m).update(influence="some")),
    ("wrong_shape", "error", "/seasons/periods/0/first", lambda m: m["seasons"]["periods"][0].update(first="06-31")),
]  # fmt: skip


@pytest.mark.parametrize(
    ("code", "severity", "at", "change"), BROKEN, ids=[f"{b[0]}-{i}" for i, b in enumerate(BROKEN)]
)
def test_a_gap_or_contradiction_is_found_with_its_place_and_a_remedy(
    code: str, severity: str, at: str, change: Callable[[Model], object]
) -> None:
    (said,) = [item for item in found(change) if item.code == code and item.pointer.endswith(at)]
    assert said.severity == severity
    assert said.what
    assert said.remedy


def test_the_nearest_valid_code_or_group_is_named() -> None:
    (code,) = found(lambda m: stage(m)["rings"][1].update(industries=["56119"]))[:1]
    assert "56.11" in code.remedy
    (group,) = [
        f for f in found(lambda m: stage(m)["rings"][1].update(industries=["kundnarra"])) if f.code == "unknown_group"
    ]
    assert group.remedy == "write kundnara, if that is meant"


def test_a_fault_of_shape_says_which_stage_it_is_in() -> None:
    (said,) = found(lambda m: stage(m).update(influence="some"))
    assert said.what.startswith("gatuarbete/projektering: ")


def test_rings_that_reach_somebody_of_their_own_are_left_alone() -> None:
    assert found(lambda m: stage(m)["rings"].append(ring(400, ["kundnara"]))) == []
    assert found(lambda m: stage(m)["rings"].append(ring(20, "all"))) != []
    digest = {"id": "alla", "geometry": "municipality", "delivery": "digest"}
    assert found(lambda m: stage(m)["rings"].append(digest)) == []


def test_a_model_in_sni_2007_is_checked_by_the_codes_of_sni_2007() -> None:
    def old(model: Model) -> None:
        model["sni_version"] = "2007"
        model["industry_groups"]["fastighet"] = {"sv": "a", "en": "b", "codes": ["L", "4778"]}

    codes = {item.pointer for item in found(old) if item.code == "unknown_code"}
    assert not any(pointer.startswith("/industry_groups/fastighet") for pointer in codes)
    assert codes, "some codes of SNI 2025 are none of SNI 2007"


def test_what_may_not_be_used_is_refused_when_it_is_loaded_with_all_that_is_wrong() -> None:
    model = json.loads(DEFAULT)
    stage(model).update(forms=["seans"])
    stage(model, "taxa", "forslag")["rings"][1].update(industries=["kundnarra"])
    with pytest.raises(ValidationError) as refused:
        dialogue_model.parse(json.dumps(model).encode())
    assert "seans" in str(refused.value)
    assert "kundnarra" in str(refused.value)


def test_a_municipalitys_own_members_are_no_findings() -> None:
    assert found(lambda m: stage(m).update(egen_anteckning="se protokoll")) == []


def test_what_is_no_model_at_all_is_one_finding() -> None:
    assert [item.code for item in check(b"{")] == ["not_json"]
    assert [item.code for item in check(b"[]")] == ["not_a_model"]


def test_the_command_ends_with_3_where_the_model_may_not_be_used(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good, bad = tmp_path / "good.json", tmp_path / "bad.json"
    good.write_bytes(DEFAULT)
    model = json.loads(DEFAULT)
    stage(model).update(feedback=None)
    bad.write_text(json.dumps(model), encoding="utf-8")
    assert check_command(good, strict=True) == 0
    capsys.readouterr()
    assert check_command(bad, json_=True) == 3
    out, err = capsys.readouterr()
    first = json.loads(out.splitlines()[0])
    assert (first["severity"], first["code"]) == ("error", "no_feedback")
    assert first["path"] == "/case_types/3/stages/1/feedback"
    assert "bad.json: may not be used: 1 error, " in err
    assert check_command(tmp_path / "none.json") == 1


def test_show_prints_types_stages_and_one_stage(capsys: pytest.CaptureFixture[str]) -> None:
    assert show() == 0
    assert len(capsys.readouterr().out.splitlines()) == 17
    assert show("gatuarbete") == 0
    out = capsys.readouterr().out
    assert "flerarsplan*\tinvolve" in out
    assert "150 m kundnara + leveransberoende" in out
    assert show("detaljplan", "granskning") == 0
    assert "PBL 5:18 ≥ 30 days (environment)" in capsys.readouterr().out
    assert show("gatuarbete", "projektering", json_=True) == 0
    assert json.loads(capsys.readouterr().out)["response"]["days"] == 21
    assert show("gatuarbete", "nix") == 2
    assert "projektering" in capsys.readouterr().err
