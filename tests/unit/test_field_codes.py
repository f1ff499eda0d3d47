"""The field cases of industry codes, through `nardialog match`: a register in one version and cases in the other."""

import json
from pathlib import Path
from typing import Any

import pytest

from services.matcher.commands import match
from tests.matcher_cases import content

HEADER = "workplace_id,organisation,name,lon,lat,sni,sni_version,municipality\n"
Said = dict[str, list[tuple[str, str, str, str | None]]]


def matched(
    folder: Path, capsys: pytest.CaptureFixture[str], rows: dict[str, str], wanted: list[tuple[str, str]]
) -> tuple[int, Said, str]:
    """The exit code, per workplace the own code, its version, the heading and how it was translated, and stderr."""
    register, cases = folder / "register.csv", folder / "cases.jsonl"
    lines = [f"{name},{name},{name},18.03,59.4,{sni},{version},0162" for name, (sni, version) in _split(rows)]
    register.write_text(HEADER + "\n".join(lines) + "\n")
    codes = [{"code": code, "version": version} for code, version in wanted]
    reach = [{"buffer_m": 10, "industries": codes, "why": "prov"}]
    cases.write_text(json.dumps(content(reach=reach, deviation_reason="prov")))
    code = match(register=register, cases=cases)
    out, err = capsys.readouterr()
    found: Said = {}
    for workplace in (workplace for line in out.splitlines() for workplace in json.loads(line)["workplaces"]):
        reasons: list[dict[str, Any]] = [reason for reason in workplace["reasons"] if reason["kind"] == "industry"]
        found[workplace["workplace_id"]] = [
            (reason["code"], reason["version"], reason["heading"], reason.get("translated")) for reason in reasons
        ]
    return code, found, err


def _split(rows: dict[str, str]) -> list[tuple[str, tuple[str, str]]]:
    return [(name, (text.partition("/")[0], text.partition("/")[2])) for name, text in rows.items()]


def test_a_register_and_a_case_of_2007_meet_and_a_code_that_never_was_is_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """FC-017."""
    rows = {"shop": "47.111/2007", "books": "47.710/2007", "typo": "54.711/2007", "garage": "45.200/2007"}
    code, by_group, said = matched(tmp_path, capsys, rows, [("47.1", "2007")])
    assert (code, by_group) == (6, {"shop": [("47111", "2007", "471", None)]})
    assert "register.csv: line 4: unknown_code: sni: " in said
    assert "not a code of SNI 2007; nearest: 53.20; 55.10" in said
    _, by_section, _ = matched(tmp_path, capsys, rows, [("G", "2007")])
    assert {name: reasons[0][2:] for name, reasons in by_section.items()} == {
        "shop": ("G", None),
        "books": ("G", None),
        "garage": ("G", None),
    }


def test_a_case_of_2025_meets_a_register_of_2007_by_what_its_codes_may_be_and_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """FC-018."""
    rows = {"garage": "45.200/2007", "law": "69.102/2007", "café": "56.100/2007", "forest": "02.100/2007"}
    wanted = [("95.31", "2025"), ("69", "2025"), ("56.120", "2025")]
    code, found, _ = matched(tmp_path, capsys, rows, wanted)
    assert code == 0
    assert found == {
        "garage": [("45200", "2007", "9531", "part")],
        "law": [("69102", "2007", "69", "full")],
        "café": [("56100", "2007", "56120", "part")],
    }


def test_a_section_letter_is_of_its_own_version(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """L is finance in SNI 2025 and real estate in SNI 2007."""
    rows = {"bank": "64.190/2025", "landlord": "68.201/2025", "old landlord": "68.201/2007", "old bank": "64.190/2007"}
    _, new, _ = matched(tmp_path, capsys, rows, [("L", "2025")])
    assert {name: reasons[0][3] for name, reasons in new.items()} == {"bank": None, "old bank": "full"}
    _, old, _ = matched(tmp_path, capsys, rows, [("L", "2007")])
    assert set(old) == {"landlord", "old landlord"}


def test_three_codes_are_three_reasons_of_one_invitation(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """FC-019."""
    rows = {"W": "56.110 47.242 10.710/2025"}
    wanted = [("56.110", "2025"), ("47.242", "2025"), ("10.71", "2025")]
    _, found, _ = matched(tmp_path, capsys, rows, wanted)
    assert [reason[2] for reason in found["W"]] == ["56110", "47242", "1071"]
