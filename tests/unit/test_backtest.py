"""`nardialog model backtest`: the same cases under two models; counted with the matcher's own rings and guards."""

import json
from collections.abc import Mapping
from datetime import date
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from schemas import model as dialogue_model
from schemas.case import Case
from schemas.identity import DEMO_RECIPIENT_KEY, recipient_id
from schemas.model import DialogueModel
from services.demo import synthetic, year
from services.matcher.audience import audience
from services.matcher.backtest import runs
from services.matcher.backtest.comparison import Comparison, Pair
from services.matcher.backtest.differences import differences
from services.matcher.backtest.page import page
from services.matcher.backtest.worded import WHAT, worded
from services.matcher.counting import reached
from services.matcher.dialogue.findings import passes
from services.matcher.dialogue.model_check import check
from services.matcher.holds import Limits
from services.matcher.model_commands import backtest
from services.matcher.register import reading
from services.matcher.register.checks import Rules
from services.matcher.workplaces import Snapshot, snapshot
from tests.matcher_cases import content

TODAY = dialogue_model.default()
HEADER = "workplace_id,organisation,name,lon,lat,sni,sni_version,municipality\n"
METRE = 1 / 56_850  # of longitude at 59.4 N


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("year")
    year.write(made)
    return made


@cache
def danderyd(register: Path) -> Snapshot:
    return snapshot(reading.read(register, Rules(DEMO_RECIPIENT_KEY)).companies.values())


def small(tmp_path: Path, *cases: dict[str, Any], near: tuple[tuple[float, str], ...]) -> tuple[Path, Snapshot]:
    """Cases in a file, and companies so many metres east of them, each with its code."""
    rows = [
        f"W{n},O{n},Namn {n},{18.03 + metres * METRE},59.4,{code},2025,0162" for n, (metres, code) in enumerate(near)
    ]
    register, file = tmp_path / "register.csv", tmp_path / "cases.jsonl"
    register.write_text(HEADER + "\n".join(rows), encoding="utf-8")
    file.write_text("\n".join(json.dumps(item) for item in cases), encoding="utf-8")
    return file, snapshot(reading.read(register, Rules(DEMO_RECIPIENT_KEY)).companies.values())


def compared(
    file: Path, register: Snapshot, a: DialogueModel, b: DialogueModel, names: Mapping[str, str] = MappingProxyType({})
) -> Comparison:
    a_run, b_run = (
        runs.run([file], register, model, date(2026, 1, 1), name=name, key=DEMO_RECIPIENT_KEY, limits=Limits())
        for name, model in (("a", a), ("b", b))
    )
    return Comparison(a_run, b_run, register.recipient_ids, names)


def near_ring(metres: float) -> DialogueModel:
    """The model with another outer ring where a street is designed."""
    data = TODAY.model_dump(mode="json")
    for case_type in data["case_types"]:
        for stage in case_type["stages"]:
            for ring in stage["rings"]:
                if (case_type["id"], stage["id"], ring["id"]) == ("gatuarbete", "projektering", "near"):
                    ring["buffer_m"] = metres
    return DialogueModel.model_validate(data)


def works(day: str, case_id: str = "A", **changes: Any) -> dict[str, Any]:
    return content("road", case_id=case_id, stage_opened=day, **changes)


def test_a_year_of_cases_can_be_made_and_both_its_models_may_be_used(folder: Path) -> None:
    cases = year.cases()
    assert cases == year.cases(), "the same at every run"
    assert len({case["case_id"] for case in cases}) >= 60
    assert {case["stage_opened"][:7] for case in cases} == {f"2025-{month:02}" for month in range(1, 13)}
    assert all(case["synthetic"] and case["municipality"] == synthetic.MUNICIPALITY for case in cases)
    for name in ("model.json", "model-tried.json"):
        assert passes(check((folder / name).read_bytes()), strict=True)


def test_counting_reaches_the_very_workplaces_that_the_matcher_invites(folder: Path) -> None:
    register = danderyd(folder / "register.csv")
    for item in year.cases()[::8]:
        case = Case.model_validate(item)
        places = [place for member in audience(case, register, TODAY).members for place in member.workplaces]
        invited = {p.workplace_id for p in places if any(reason.delivery != "digest" for reason in p.reasons)}
        counted = reached(case, register, TODAY)
        assert {register.workplace_id(row) for row in counted.rows.tolist()} == invited
        assert counted.by_distance == audience(case, register, TODAY).by_distance


def test_counting_leaves_out_the_applicant_and_whoever_is_closed(tmp_path: Path) -> None:
    header, rows = HEADER.strip() + ",status\n", "W1,O1,Ett,18.03,59.4,56.110,2025,0162,active\n"
    rows += "W2,O2,Två,18.03,59.4,56.110,2025,0162,closed\nW3,O3,Tre,18.03,59.4,56.110,2025,0162,active\n"
    (tmp_path / "r.csv").write_text(header + rows, encoding="utf-8")
    register = snapshot(reading.read(tmp_path / "r.csv", Rules(DEMO_RECIPIENT_KEY)).companies.values())
    case = Case.model_validate(works("2026-03-02"))
    left = reached(case, register, TODAY, recipient_id("O3", DEMO_RECIPIENT_KEY))
    assert [register.workplace_id(row) for row in left.rows.tolist()] == ["W1"]
    assert left.direct.tolist() == [True]


def test_a_wider_ring_gains_those_between_and_a_narrower_one_drops_them(tmp_path: Path) -> None:
    near = ((10, "56.110"), (120, "56.110"), (220, "56.110"), (220, "69.201"))
    file, register = small(tmp_path, works("2026-03-02"), near=near)
    wider = compared(file, register, TODAY, near_ring(250))
    assert wider.totals.invitations == Pair(2, 3)
    assert (wider.totals.gained, wider.totals.dropped) == (1, 0)
    (stage,) = wider.stages
    assert (stage.stage, stage.p50, stage.gained) == ("projektering", Pair(2, 3), 1)
    (company,) = wider.companies()
    assert (company.gained, company.invitations) == (1, Pair(0, 1))
    narrower = compared(file, register, TODAY, near_ring(100))
    assert (narrower.totals.dropped, narrower.cases[0].dropped) == (1, 1)


def test_the_burden_is_minutes_by_quarter_and_the_direct_ring_stands_outside_the_budget(tmp_path: Path) -> None:
    days = ["2026-03-02", "2026-03-09", "2026-03-16", "2026-04-20"]
    cases = [works(day, f"A{n}") for n, day in enumerate(days)]
    file, register = small(tmp_path, *cases, near=((10, "56.110"), (120, "56.110"), (200, "56.110")))
    found = compared(file, register, TODAY, near_ring(250))
    first, second = found.by_quarter
    assert (first.name, second.name) == ("2026 Q1", "2026 Q2")
    assert first.minutes == Pair(3 * 3 * 2, 3 * 3 * 3), "three rounds of a question of three minutes"
    assert first.over_budget == Pair(1, 2), "the third question within 30 days, and never next to the place"
    assert second.over_budget == Pair(0, 0)


def test_minutes_above_the_limit_are_over_budget_too(tmp_path: Path) -> None:
    cases = [works("2026-03-02", "A1", form="platsvandring"), works("2026-02-02", "A2", form="platsvandring")]
    file, register = small(tmp_path, *cases, near=((120, "56.110"),))
    assert compared(file, register, TODAY, TODAY).by_quarter[0].over_budget == Pair(1, 1)


def test_rounds_with_too_few_or_too_many_are_pointed_at(tmp_path: Path) -> None:
    file, register = small(tmp_path, works("2026-03-02"), near=((10, "56.110"), (120, "56.110"), (220, "56.110")))
    assert compared(file, register, TODAY, near_ring(250)).stages[0].unexpected == Pair(1, 0)


def test_what_is_silent_or_over_reaches_nobody_and_what_waits_is_counted_and_said(tmp_path: Path) -> None:
    silent = works("2026-03-02", "B", case_type="upphandling", stage="anbudstid")
    late = works("2026-03-02", "C", respond_by="2026-03-01")
    held = works("2026-03-02", "D", form="enkat")
    file, register = small(tmp_path, silent, late, held, near=((10, "56.110"),))
    totals = compared(file, register, TODAY, TODAY).totals
    assert (totals.rounds, totals.held, totals.invitations) == (Pair(1, 1), Pair(1, 1), Pair(1, 1))


def test_a_later_version_in_a_later_stage_is_a_round_of_its_own_and_an_older_version_is_ignored(tmp_path: Path) -> None:
    cases = [
        works("2026-03-02", version=2),
        works("2026-02-02", version=1),
        works("2026-05-04", version=3, stage="ta_plan"),
    ]
    file, register = small(tmp_path, *cases, near=((10, "56.110"),))
    found = compared(file, register, TODAY, TODAY)
    assert [row.stage for row in found.cases[0].rounds] == ["projektering", "ta_plan"]
    assert found.a.stale == 1


def test_a_stage_that_one_model_does_not_know_is_refused_there_and_said(tmp_path: Path) -> None:
    data = TODAY.model_dump(mode="json")
    data["case_types"] = [t for t in data["case_types"] if t["id"] != "gatuarbete"]
    file, register = small(tmp_path, works("2026-03-02"), near=((10, "56.110"),))
    found = compared(file, register, TODAY, DialogueModel.model_validate(data))
    assert "unknown_case_type" in found.b.refused[0]
    assert found.totals.invitations == Pair(1, 0)


def test_what_the_models_say_differently_is_listed_in_words() -> None:
    (one,) = differences(TODAY, near_ring(250))
    assert (one.where, one.what) == ("gatuarbete/projektering", "ring near")
    assert (one.a, one.b) == ("150 m kundnara + leveransberoende", "250 m kundnara + leveransberoende")


def test_a_committee_reads_the_differences_in_its_own_language_and_without_ids() -> None:
    (one,) = worded(differences(TODAY, near_ring(250)), TODAY, near_ring(250))
    assert one.where == ("Gatuarbete och trafikanordning: Projektering", "Street works: Design")
    assert one.what == ("vilka som nås", "who is reached")
    assert one.a[0] == "inom 150 m: kundnära verksamhet, beroende av leveranser, tunga fordon eller lastplats"
    assert one.b[1] == "within 250 m: customer-facing, dependent on deliveries, heavy vehicles or loading"


def test_every_part_of_a_policy_has_words() -> None:
    parts = (getattr(TODAY, name) for name in ("burden_policy", "seasons", "late_comers", "expected_reach"))
    assert {name for part in parts for name in type(part).model_fields} - WHAT.keys() == {"basis"}


def test_every_kind_of_difference_has_words_and_what_one_model_lacks_is_a_dash() -> None:
    data = TODAY.model_dump(mode="json")
    data["case_types"] = [t for t in data["case_types"] if t["id"] != "evenemang"]
    data["industry_groups"]["leveransberoende"]["codes"] = ["F"]
    data["burden_policy"]["max_asks_per_person_per_30_days"] = 9
    other = DialogueModel.model_validate(data)
    found = list(worded(differences(TODAY, other), TODAY, other))
    ids = {i for t in TODAY.case_types for i in (f"{t.id}/", f"{t.id}:")} | set(TODAY.industry_groups)
    assert {row.b for row in found if row.where[0].startswith("Evenemang")} == {("–", "–")}
    assert ("frågor till en person på 30 dagar", "9") in {(row.what[0], row.b[0]) for row in found}
    assert "näringsgrenar som bara den ena har" in {row.what[0] for row in found}
    for row in found:
        for text in (*row.where, *row.what):
            assert not any(id_ in text for id_ in ids), row


def test_the_command_compares_a_year_and_writes_a_page_that_stands_alone(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    html = tmp_path / "backtest.html"
    models = [folder / "model.json", folder / "model-tried.json"]
    assert (
        backtest(cases=folder / "cases", register=folder / "register.csv", model_files=models, html=html, json_=True)
        == 0
    )
    out, err = capsys.readouterr()
    told = json.loads(out)
    assert told["totals"]["gained"] + told["totals"]["dropped"] > 0
    assert len(told["cases"]) >= 60
    assert {"a", "b"} == set(told["models"])
    assert "invitations" in err
    text = html.read_text(encoding="utf-8")
    for fetched in ("<script", "http://", "https://", "url(", "@import"):
        assert fetched not in text
    assert text.count("<svg") == text.count('role="img"') + text.count('aria-hidden="true"><path')
    assert text.count('role="img"') == text.count("<title id=") > 10


def test_the_table_of_stages_is_what_another_program_reads(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    models = [folder / "model.json", folder / "model.json"]
    files = {"cases": folder / "cases" / "2025-03.jsonl", "register": folder / "register.csv", "model_files": models}
    assert backtest(**files) == 0  # type: ignore[arg-type]
    rows = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert all(len(row) == 15 and row[9] == row[10] == "0" for row in rows)
    assert backtest(**files, by="company") == 0  # type: ignore[arg-type]
    assert capsys.readouterr().out == "", "nothing changes for anybody"
    assert backtest(cases=folder, register=folder / "register.csv", model_files=models) == 1
    assert "no case file there" in capsys.readouterr().err
    assert backtest(**{**files, "model_files": models[:1]}) == 2  # type: ignore[arg-type]


def test_names_from_the_register_and_the_cases_are_text_on_the_page(tmp_path: Path) -> None:
    file, register = small(tmp_path, works("2026-03-02", title="<b>Titel"), near=((10, "56.110"), (200, "56.110")))
    names = {register.recipient_id(row): "<script>alert(1)</script>" for row in range(2)}
    made = compared(file, register, TODAY, near_ring(250), names)
    text = page(made, register, "register.csv")
    assert "&lt;script&gt;" in text
    assert "<script>" not in text
    assert "&lt;b&gt;Titel" in text
