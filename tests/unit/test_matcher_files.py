"""`nardialog match` and `companies import --dry-run` on files: lines out, reasons on stderr, honest exit codes."""

import json
from pathlib import Path
from typing import Any

import pytest

from schemas.subscription import EXAMPLE, FOLLOWING_EXAMPLE
from services.matcher.commands import match
from services.matcher.register.commands import import_
from tests.matcher_cases import content

HEADER = "workplace_id,organisation,name,lon,lat,sni,sni_version,municipality\n"
REGISTER = HEADER + "W1,5599990008,Bageriet,18.03,59.4,10.710,2025,0162\nW2,ABC,Caféet,18.2,59.4,56.110,2025,0162\n"


def line(**changes: Any) -> str:
    return json.dumps(content("road", **changes))


class Files:
    """A register and a case file in one folder, and what matching them printed."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.register, self.cases, self._capsys = folder / "register.csv", folder / "cases.jsonl", capsys

    def match(self, *lines: str, register: str = REGISTER, **options: Any) -> tuple[int, list[dict[str, Any]], str]:
        self.register.write_text(register, encoding="utf-8")
        self.cases.write_text("\n".join(lines), encoding="utf-8")
        code = match(register=self.register, cases=self.cases, **options)
        out, err = self._capsys.readouterr()
        return code, [json.loads(text) for text in out.splitlines()], err


@pytest.fixture
def files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Files:
    return Files(tmp_path, capsys)


def test_one_invitation_is_one_line_and_the_same_files_give_the_same_lines(files: Files) -> None:
    code, lines, err = files.match(line())
    assert code == 0
    assert [(item["case_id"], item["organisation"]) for item in lines] == [("A", "5599990008")]
    assert lines[0]["forms"]["primary"] == "fraga"
    assert lines[0]["workplaces"][0]["workplace_id"] == "W1"
    assert "invitations: 1" in err
    assert files.match(line())[1] == lines


def test_refused_and_held_input_is_named_and_ends_with_six(files: Files) -> None:
    """FC-016."""
    borås = [{"role": "site", "geometry": {"type": "Point", "coordinates": [12.94, 57.72]}}]
    code, lines, err = files.match(line(), line(case_id="B", nytt=1), line(case_id="C", geometries=borås))
    assert (code, len(lines)) == (6, 1)
    assert "cases.jsonl: line 2: /nytt: wrong_shape" in err
    assert "case C held: outside_municipality" in err
    assert files.match(line(case_id="C", geometries=borås), no_holds=True)[0] == 0


def test_an_older_version_is_ignored_and_counted_and_a_newer_one_replaces(files: Files) -> None:
    """FC-023."""
    """FC-023."""
    code, lines, err = files.match(line(version=3, title="tre"), line(version=2), line(version=4, title="fyra"))
    assert (code, len(lines)) == (0, 1)
    assert "1 of an older version ignored" in err


def test_a_past_deadline_invites_nobody_and_a_replay_counts_from_the_day_the_stage_opened(files: Files) -> None:
    """FC-020."""
    code, lines, err = files.match(line(respond_by="2020-06-01"))
    assert (code, lines) == (0, [])
    assert "closed: respond_by_passed" in err
    _, replayed, _ = files.match(line(respond_by="2020-06-01", stage_opened="2020-05-04"))
    assert replayed[0]["respond_by"] == "2020-06-01"


def test_a_file_of_subscriptions_invites_its_subscribers_and_names_the_lines_it_refuses(
    files: Files, tmp_path: Path
) -> None:
    follows = tmp_path / "subscriptions.jsonl"
    crossing = [[[18.0, 59.4], [18.1, 59.5], [18.1, 59.4], [18.0, 59.5], [18.0, 59.4]]]
    broken = {
        **EXAMPLE,
        "area": {"kind": "area", "label": "x", "geometry": {"type": "Polygon", "coordinates": crossing}},
    }
    everywhere = {**EXAMPLE, "area": {"kind": "municipality", "label": "hela kommunen"}, "industries": []}
    lines = [everywhere, FOLLOWING_EXAMPLE, {**FOLLOWING_EXAMPLE, "since": "i går"}, broken]
    follows.write_text("\n".join(json.dumps(row) for row in lines), encoding="utf-8")
    code, found, err = files.match(line(), subscriptions=follows)
    reasons = [reason["kind"] for item in found for place in item["workplaces"] for reason in place["reasons"]]
    assert (code, sorted(set(reasons))) == (6, ["distance", "industry", "subscription"])
    assert "subscriptions.jsonl: line 3: /since" in err
    assert "subscriptions.jsonl: line 4: /area/geometry/coordinates: invalid_polygon" in err


def test_points_elsewhere_are_matched_where_the_setting_says_so(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    register = HEADER + "P1,ABC,Boulangerie,2.35,48.86,10.710,2025,0162\n"
    paris = [{"role": "site", "geometry": {"type": "Point", "coordinates": [2.35, 48.86]}}]
    assert files.match(line(geometries=paris), register=register)[0] == 6
    monkeypatch.setenv("NARDIALOG_MATCHER__ALLOW_OUTSIDE_SWEDEN", "true")
    code, lines, _ = files.match(line(geometries=paris), register=register)
    assert (code, lines[0]["workplaces"][0]["distance_m"]) == (0, 0.0)


def test_the_installations_key_makes_other_recipients_than_the_demos(
    files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, demo, _ = files.match(line())
    monkeypatch.setenv("NARDIALOG_INSTALLATION__RECIPIENT_KEY", "a secret of the installation")
    _, ours, _ = files.match(line())
    assert demo[0]["recipient_id"] != ours[0]["recipient_id"]


def test_a_dry_run_reports_counts_and_refused_rows_without_their_values(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, report = tmp_path / "register.csv", tmp_path / "refused.csv"
    path.write_text(REGISTER + "W3,191212121212,Enskild,59.4,18.03,56.110,2025,0162\n", encoding="utf-8")
    assert import_(path, dry_run=True, json=True, report=report) == 6
    counts = json.loads(capsys.readouterr().out)
    assert (counts["read"], counts["accepted"], counts["refused"]) == (3, 2, 1)
    assert counts["reasons"] == {"axis_order": 1}
    written = report.read_text(encoding="utf-8-sig")
    assert written.splitlines()[1].startswith("4,axis_order,")
    assert "1212" not in written


def test_an_open_round_that_reaches_nobody_says_so_and_whom_it_left_out(files: Files) -> None:
    code, lines, said = files.match(line(applicant="559999-0008"))
    assert (code, lines) == (0, [])
    assert "case A reaches nobody (left out: 1 applicant)" in said


def test_a_stage_that_asks_for_the_cases_industries_says_where_the_case_names_none(files: Files) -> None:
    wide = {"case_type": "taxa", "stage": "utredning", "geometries": [], "area": "municipality"}
    assert "names no industries" in files.match(line(**wide))[2]
    assert "names no industries" not in files.match(line(**wide, industries=[{"code": "56", "version": "2025"}]))[2]


def test_a_case_file_is_read_as_strictly_as_case_validate_reads_it(files: Files) -> None:
    as_text = [{"role": "site", "geometry": {"type": "Point", "coordinates": ["18.03", "59.4"]}}]
    for changes in ({"version": "1"}, {"occurrence": True}, {"geometries": as_text}):
        code, lines, said = files.match(line(**changes))
        assert (code, lines) == (6, []), changes
        assert "wrong_shape" in said


def test_fc_020_a_stage_that_opens_in_a_day_that_nobody_means_waits_though_a_replay_counts_from_it(
    files: Files,
) -> None:
    code, lines, said = files.match(line(stage_opened="2090-01-01"))
    assert (code, lines) == (6, [])
    assert "implausible_date: stage_opened 2090-01-01" in said


def test_a_place_whose_role_no_ring_of_its_stage_is_measured_from_is_said(files: Files) -> None:
    detour = [{"role": "detour", "geometry": {"type": "Point", "coordinates": [18.03, 59.4]}}]
    assert "no ring of its stage is measured" in files.match(line(stage="ta_plan", geometries=detour))[2]


def test_what_a_pattern_of_the_schema_wants_is_said_in_words(files: Files) -> None:
    for field, given, words in (
        ("case_type", "Detaljplan", "these have lower-case letters"),
        ("municipality", "Danderyd", "four digits, such as 0162"),
        ("documents", [{"title": "x", "url": "http://a.example"}], "begins with https://"),
    ):
        assert words in files.match(line(**{field: given}))[2]


def test_fc_025_every_case_that_is_refused_is_named_however_many_there_are(files: Files) -> None:
    code, _, said = files.match(*(line(case_id=f"C{i}", stage="nosuch") for i in range(50)))
    assert code == 6
    assert [f"cases.jsonl: line {i}: /stage" in said for i in range(1, 51)] == [True] * 50
