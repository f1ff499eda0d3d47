"""The rules that every door shares: everything that is wrong is told at once, with its place, and nothing is quoted."""

import json
from typing import Any

import pytest

from schemas import model as dialogue_model
from schemas.case import may_be_confidential
from schemas.case_rules import CONFIDENTIAL, Verdict, judge
from schemas.complaints import MOST
from tests.matcher_cases import content

MODEL = dialogue_model.default()
PARIS = {"role": "site", "geometry": {"type": "Point", "coordinates": [2.35, 48.86]}}
SWAPPED = {"role": "site", "geometry": {"type": "Point", "coordinates": [59.4, 18.03]}}
OPEN_RING = {"type": "Polygon", "coordinates": [[[18.0, 59.4], [18.1, 59.4], [18.1, 59.5], [18.0, 59.5]]]}


def judged(**changes: Any) -> Verdict:
    return judge(json.dumps(content(**changes)).encode(), MODEL)


def places(verdict: Verdict) -> set[tuple[str, str]]:
    return {(item.code, item.pointer) for item in verdict.complaints}


def test_a_case_that_keeps_the_rules_is_taken() -> None:
    verdict = judged()
    assert verdict.case is not None
    assert verdict.complaints == ()


def test_every_rule_that_a_case_breaks_is_told_at_once() -> None:
    verdict = judged(
        stage="granskning",
        form="brevduva",
        geometries=[PARIS, SWAPPED, {"role": "zone", "geometry": OPEN_RING}],
        industries=[{"code": "45.2", "version": "2025"}, {"code": "54.711", "version": "2025"}],
    )
    assert verdict.case is None
    assert places(verdict) == {
        ("unknown_stage", "/stage"),
        ("unknown_form", "/form"),
        ("outside_sweden", "/geometries/0/geometry/coordinates"),
        ("axis_order", "/geometries/1/geometry/coordinates"),
        ("unclosed_ring", "/geometries/2/geometry/coordinates/0"),
        ("unknown_code", "/industries/0/code"),
        ("unknown_code", "/industries/1/code"),
    }


def test_faults_of_shape_do_not_hide_faults_of_meaning_in_other_fields() -> None:
    verdict = judged(version=0, title=7, stage="granskning", geometries=[PARIS])
    assert places(verdict) == {
        ("wrong_shape", "/version"),
        ("wrong_shape", "/title"),
        ("unknown_stage", "/stage"),
        ("outside_sweden", "/geometries/0/geometry/coordinates"),
    }


@pytest.mark.parametrize("field", ["municipality", "case_id", "source", "title", "version", "case_type", "stage"])
def test_a_field_that_is_missing_is_the_only_complaint_about_it(field: str) -> None:
    case = content()
    del case[field]
    assert places(judge(json.dumps(case).encode(), MODEL)) == {("wrong_shape", f"/{field}")}


def test_a_geometry_of_the_wrong_shape_is_not_also_a_case_that_says_nowhere() -> None:
    assert places(judged(geometries=[{"geometry": {"type": "Point", "coordinates": []}}])) == {
        ("wrong_shape", "/geometries/0/geometry/coordinates")
    }


def test_a_rule_over_several_fields_is_told_beside_a_fault_of_shape() -> None:
    verdict = judged(title="", area="municipality")
    assert {item.pointer for item in verdict.complaints} == {"/title", ""}
    assert any("both geometries and area" in item.detail for item in verdict.complaints)


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        (
            {"geometries": [{"geometry": {"type": "Point", "coordinates": [18.0]}}]},
            "/geometries/0/geometry/coordinates",
        ),
        ({"geometries": [{"geometry": {"type": "Circle"}}]}, "/geometries/0/geometry"),
        ({"reach": [{"buffer_m": 1, "industries": [{"code": "56"}]}]}, "/reach/0/industries/0/version"),
        ({"reach": [{"buffer_m": 1, "industries": "some"}]}, "/reach/0/industries"),
        ({"meeting": {"place": "Torget"}}, "/meeting/start"),
        ({"named": ["a/b~c", ""]}, "/named/1"),
        ({"respondby": "2025-12-05"}, "/respondby"),
        ({"official": {"name": "x", "e~post": "y"}}, "/official"),
    ],
)
def test_a_pointer_leads_to_a_place_in_the_input(changes: dict[str, Any], pointer: str) -> None:
    assert {item.pointer for item in judged(**changes).complaints} == {pointer}


def test_the_doors_for_writers_are_strict_about_types() -> None:
    assert places(judged(version="1", urgent="yes", open_questions="Var?")) == {
        ("wrong_shape", "/version"),
        ("wrong_shape", "/urgent"),
    }


def test_a_question_may_have_as_many_letters_as_the_schema_says() -> None:
    assert judged(question="å" * 300, question_en="a" * 300).case is not None
    assert {item.pointer for item in judged(question="å" * 301).complaints} == {"/question"}


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"municipality": "٠١٦٢"}, "/municipality"),
        ({"documents": [{"title": "x", "url": "https://kommun.example/a\u0085b"}]}, "/documents/0/url"),
        ({"documents": [{"title": "x", "url": "https://kommun.example/a b"}]}, "/documents/0/url"),
        ({"documents": [{"title": "x", "url": "http://kommun.example/"}]}, "/documents/0/url"),
        ({"documents": [{"title": "x", "url": "https://kommun.example/ärende?a=1#b"}]}, None),
    ],
)
def test_digits_and_spaces_are_those_that_every_reader_of_the_schema_knows(
    changes: dict[str, Any], pointer: str | None
) -> None:
    assert {item.pointer for item in judged(**changes).complaints} == ({pointer} if pointer else set())


def test_a_whole_number_may_be_written_with_a_point() -> None:
    verdict = judged(version=2.0, occurrence=1.0)
    assert verdict.case is not None
    assert verdict.case.version == 2
    assert places(judged(version=2.5)) == {("wrong_shape", "/version")}
    assert places(judged(version=True)) == {("wrong_shape", "/version")}


def test_a_complaint_says_what_to_do_with_the_limits_of_the_schema() -> None:
    said = {item.pointer: item.detail for item in judged(title="x" * 161, state="paused", occurrence=0).complaints}
    assert said["/title"] == "string_too_long: too long; shorten it to 160 characters"
    assert "'withdrawn'" in said["/state"]
    assert said["/occurrence"].endswith("use 1 or more")


def test_a_complaint_never_quotes_the_input() -> None:
    secret = "800101-1236"
    verdict = judged(
        case_id=secret,
        title={secret: 1},
        industries=[{"code": "8001011236", "version": "2025"}],
        form=secret,
        stage="x800101-1236",
        official={"name": "x", secret: secret},
        **{secret: secret},
    )
    assert len(verdict.complaints) >= 6
    assert "800101" not in repr(verdict.complaints).replace("_", "")


def test_of_very_many_faults_a_hundred_are_told() -> None:
    assert len(judged(named=[1] * 3000).complaints) == MOST


@pytest.mark.parametrize(
    "value",
    [
        json.dumps(content(confidential=True)).encode(),
        json.dumps(content(confidential=True)).encode("utf-16"),
        b'{"\\u0063onfidential": true, "confidential": false}',
        b'{"title": "\\u0041", "\\u0063onfidenti\\u0061l": true',
        '{"confidential": "ja'.encode("utf-16-le"),
        b'{"confidential": 1, "title": 7, "stage": 8}',
    ],
)
def test_of_a_confidential_case_only_that_is_said_however_it_is_written(value: bytes) -> None:
    assert may_be_confidential(value)
    verdict = judge(value, MODEL)
    assert verdict.confidential
    assert verdict.complaints == (CONFIDENTIAL,)


@pytest.mark.parametrize(
    ("value", "code"), [(b"", "broken_json"), (b"{", "broken_json"), (b"\xff", "broken_json"), (b"[]", "wrong_shape")]
)
def test_what_is_no_object_is_one_complaint(value: bytes, code: str) -> None:
    assert [(item.code, item.pointer) for item in judge(value, MODEL).complaints] == [(code, "")]


def test_an_event_over_the_limit_is_not_read() -> None:
    assert [item.code for item in judge(b" " * 11, MODEL, most_bytes=10).complaints] == ["too_large"]
