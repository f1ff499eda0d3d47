"""`nardialog case import` without a broker, and how what it found is numbered."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from schemas.case import Case
from schemas.complaints import Complaint
from services import cli
from services.portal.case_numbering import numbered
from tests.matcher_cases import content
from tests.unit.test_case_formats import delivery, plan

MAPPING = """
[columns]
case_id = "nr"
title = "rubrik"
stage = "skede"
[constants]
source = "gis"
municipality = "0162"
case_type = "gatuarbete"
[skip]
skede = ["arkiverad"]
"""
REGISTER = """workplace_id,organisation,name,lon,lat,sni,sni_version,status
W1,556000-0001,Kiosken,18.03,59.4,56110,2025,active
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    rows = [("1", "Vägen", "projektering"), ("2", "Torget", "vilande"), ("3", "Arkivet", "arkiverad")]
    features = [
        {"type": "Feature", "properties": {"nr": number, "rubrik": title, "skede": stage},
         "geometry": {"type": "Point", "coordinates": [18.03, 59.4]}}
        for number, title, stage in rows
    ]  # fmt: skip
    Path("cases.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    Path("mapping.toml").write_text(MAPPING)
    Path("register.csv").write_text(REGISTER)
    return tmp_path


def ended(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as end:
        cli.main(arguments)
    out, err = capsys.readouterr()
    return int(end.value.code or 0), out, err


def test_a_dry_run_counts_without_a_broker_and_says_where_and_why_something_is_refused(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = ended(
        capsys,
        "case",
        "import",
        "cases.geojson",
        "--mapping",
        "mapping.toml",
        "--dry-run",
        "--json",
        "--report",
        "r.csv",
    )
    assert code == 6
    assert json.loads(out) == {
        "read": 3, "accepted": 1, "added": 1, "changed": 1, "closed": 0, "unchanged": 0, "skipped": 1, "refused": 1,
        "reasons": {"unknown_stage": 1},
    }  # fmt: skip
    assert err.startswith('cases.geojson: feature 2 (2): /stage: unknown_stage: "vilande" is no stage of gatuarbete')
    with Path("r.csv").open(encoding="utf-8-sig") as file:
        (row,) = csv.DictReader(file)
    assert (row["place"], row["case"], row["pointer"], row["reason"]) == ("feature 2", "2", "/stage", "unknown_stage")


def test_the_rules_are_those_of_every_door(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cases = [content(), content(case_id="B", stage="okand", title=""), content(case_id="C", confidential=True)]
    Path("own.json").write_text(json.dumps(cases))
    code, out, err = ended(capsys, "case", "import", "own.json", "--dry-run", "--json")
    assert (code, json.loads(out)["reasons"]) == (6, {"wrong_shape": 1, "confidential": 1})
    assert "/stage: unknown_stage" in err
    validated = ended(capsys, "case", "validate", "own.json", "--json")[1].splitlines()
    assert [bool(json.loads(line)["errors"]) for line in validated] == [False, True, True]


def test_what_began_long_ago_and_is_not_known_is_history_in_a_register_unless_a_day_is_said(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = plan(status="laga kraft", objektidentitet="a" * 8, datumStatusforandring="1974-05-01")
    undated = plan(status="laga kraft", objektidentitet="b" * 8, datumStatusforandring=None)
    undated["properties"]["beslutsinformation"][0]["datumLagakraft"] = ["1980-01-01", "1981-01-01"]
    Path("plans.json").write_text(json.dumps(delivery(old, undated)))
    code, out, _ = ended(capsys, "case", "import", "plans.json", "--dry-run", "--json")
    assert (code, json.loads(out)["skipped"], json.loads(out)["reasons"]) == (0, 2, {"before_since": 2})
    out = ended(capsys, "case", "import", "plans.json", "--dry-run", "--json", "--since", "1980-06-01")[1]
    assert (json.loads(out)["changed"], json.loads(out)["skipped"]) == (1, 1)
    Path("own.json").write_text(json.dumps(content(stage_opened="1995-01-01")))
    assert json.loads(ended(capsys, "case", "import", "own.json", "--dry-run", "--json")[1])["changed"] == 1


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("cases.geojson",), 1, "nothing says case_id"),
        (
            ("cases.geojson", "--format", "wzdx", "--mapping", "mapping.toml"),
            1,
            "is WZDx without a version",
        ),
        (("cases.geojson", "--mapping", "nowhere.toml"), 1, "nowhere.toml: No such file or directory"),
        (("nowhere.json",), 1, "nowhere.json: No such file or directory"),
        (("cases.geojson", "--format", "gml"), 2, "--format"),
    ],
)
def test_what_cannot_be_read_at_all_is_a_sentence_and_an_exit_code(
    here: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], code: int, said: str
) -> None:
    got, out, err = ended(capsys, "case", "import", *arguments, "--dry-run")
    assert (got, out) == (code, "")
    assert said in err


def test_match_reads_the_same_formats_with_the_same_mapping(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = ended(
        capsys, "match", "--register", "register.csv", "--cases", "cases.geojson", "--case-mapping", "mapping.toml",
        "--no-holds",
    )  # fmt: skip
    assert code == 6
    assert [json.loads(line)["case_id"] for line in out.splitlines()] == ["1"]
    assert "cases.geojson: feature 2: /stage: unknown_stage" in err
    assert "1 left out by the mapping" in err


# The version of what bears none


def case(**changes: Any) -> Case:
    return Case.model_validate(content(**changes))


def version(outcome: Case | Complaint | None) -> int:
    assert isinstance(outcome, Case), outcome
    return outcome.version


def test_an_unchanged_case_is_unchanged_and_a_changed_one_is_the_next_version() -> None:
    first = numbered(case(), None, 0)
    assert version(first) == 1
    assert isinstance(first, Case)
    assert numbered(case(), first, 0) is None
    assert version(numbered(case(title="Annan"), first, 0)) == 2
    assert numbered(case(), case(version=41), 0) is None


def test_a_numbered_state_is_so_many_thousands_and_an_older_one_is_refused_though_it_is_different() -> None:
    third = numbered(case(), None, 3)
    assert version(third) == 3000
    assert isinstance(third, Case)
    assert numbered(case(), third, 3) is None
    assert version(numbered(case(title="Läst på annat vis"), third, 3)) == 3001
    assert version(numbered(case(title="Annan"), third, 4)) == 4000
    older = numbered(case(title="Annan"), third, 2)
    assert isinstance(older, Complaint)
    assert older.code == "stale_version"


def test_a_number_that_is_too_high_for_a_version_is_refused() -> None:
    outcome = numbered(case(), None, 2_000_001)
    assert isinstance(outcome, Complaint)


def test_a_file_does_not_open_again_what_was_withdrawn() -> None:
    for said in (case(), case(title="Annan")):
        outcome = numbered(said, case(version=5, state="withdrawn"), 0)
        assert isinstance(outcome, Complaint)
        assert outcome.code == "withdrawn"
    assert numbered(case(state="withdrawn"), case(version=5, state="withdrawn"), 0) is None


def test_what_ends_a_case_ends_it_at_the_stage_where_it_is() -> None:
    ended_ = numbered(case(stage="flerarsplan", state="withdrawn"), case(stage="ta_plan", occurrence=2), 0)
    assert isinstance(ended_, Case)
    assert (ended_.stage, ended_.occurrence, ended_.version) == ("ta_plan", 2, 2)


def test_a_version_of_its_own_is_kept_and_judged_as_by_submit() -> None:
    assert version(numbered(case(version=7), None, None)) == 7
    assert numbered(case(version=7), case(version=7), None) is None
    for known, code in ((case(version=8), "stale_version"), (case(version=7, title="Annan"), "version_conflict")):
        outcome = numbered(case(version=7), known, None)
        assert isinstance(outcome, Complaint)
        assert outcome.code == code
