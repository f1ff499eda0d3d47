"""`nardialog case validate`: offline, all faults with their places, nothing of a confidential case."""

import io
import json
from pathlib import Path
from typing import Any

import pytest

from services import cli
from tests.matcher_cases import content


def validate(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    with pytest.raises(SystemExit) as end:
        cli.main(["case", "validate", *arguments])
    out, err = capsys.readouterr()
    assert err == ""
    return int(end.value.code or 0), out


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.chdir(tmp_path)

    def write(*cases: dict[str, Any] | str) -> str:
        lines = [case if isinstance(case, str) else json.dumps(case) for case in cases]
        Path("cases.jsonl").write_text("\n".join(lines))
        return "cases.jsonl"

    return write


def test_a_good_file_is_silent_and_exit_0(written: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert validate(capsys, written(content(), json.dumps(content(case_id="B")))) == (0, "")


def test_one_object_over_several_lines_is_a_case_file(written: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert validate(capsys, written(json.dumps(content(), indent=2))) == (0, "")


def test_each_fault_has_file_line_pointer_and_what_to_do_and_the_exit_code_is_3(
    written: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out = validate(capsys, written(content(), content(title="", stage="granskning"), "{"))
    assert code == 3
    said = out.splitlines()
    assert said[0] == "cases.jsonl:2: /title: wrong_shape: string_too_short: too short; write at least 1 characters"
    assert said[1].startswith("cases.jsonl:2: /stage: unknown_stage: ")
    assert said[2] == "cases.jsonl:3: /: broken_json: is not whole JSON; send one JSON object in UTF-8"


def test_standard_input_is_a_file_called_by_a_hyphen(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(json.dumps(content(version=0)).encode())))
    code, out = validate(capsys, "-", "--json")
    told = json.loads(out)
    assert (code, told["file"], told["line"], told["case"]) == (3, "stdin", 1, None)
    assert [error["pointer"] for error in told["errors"]] == ["/version"]


def test_nothing_of_a_confidential_case_is_shown(written: Any, capsys: pytest.CaptureFixture[str]) -> None:
    secret = content(confidential=True, title="Visselblåsarärendet", case_id="KS 7", stage="hemligt")
    for more in ([], ["--json"]):
        code, out = validate(capsys, written(secret), *more)
        assert code == 3
        assert "confidential" in out
        assert not any(word in out for word in ("Visselblåsar", "KS 7", "hemligt", "0162"))


def test_the_setting_that_lets_places_lie_elsewhere_is_the_matchers(
    written: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    paris = [{"role": "site", "geometry": {"type": "Point", "coordinates": [2.35, 48.86]}}]
    assert validate(capsys, written(content(geometries=paris)))[0] == 3
    monkeypatch.setenv("NARDIALOG_MATCHER__ALLOW_OUTSIDE_SWEDEN", "true")
    assert validate(capsys, written(content(geometries=paris)))[0] == 0
