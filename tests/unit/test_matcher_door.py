"""Which cases are taken: confidentiality first, then shape, place, codes and the model's words."""

import json
from typing import Any

import pytest

from schemas import model as dialogue_model
from schemas.case import CASE_CHANGED
from schemas.envelope import Envelope
from schemas.topics import EVENT_BYTES
from services.matcher.door import accept, read
from services.runtime.errors import Rejected
from services.runtime.records import Record
from tests.matcher_cases import content

MODEL = dialogue_model.default()
CASE = content()


def record(value: bytes, key: bytes = b"0162/prov/A", kind: str = CASE_CHANGED) -> Record:
    headers = Envelope(id="1", source="prov", type=kind).headers()
    return Record("cases", 0, 0, key, value, tuple((k, v.encode()) for k, v in headers.items()), 0)


def refusal(changes: dict[str, Any]) -> Rejected:
    with pytest.raises(Rejected) as caught:
        accept(record(json.dumps(CASE | changes).encode()), MODEL)
    return caught.value


def site(geometry: dict[str, Any]) -> dict[str, Any]:
    return {"geometries": [{"role": "site", "geometry": geometry}]}


def test_a_good_case_is_taken_and_a_newer_type_of_the_family_is_passed_by() -> None:
    value = json.dumps(CASE).encode()
    parsed = accept(record(value), MODEL)
    assert parsed is not None
    assert parsed.event.key == "0162/prov/A"
    assert accept(record(value, kind="se.nardialog.case.changed.v2"), MODEL) is None


@pytest.mark.parametrize(
    "value",
    [
        json.dumps(CASE | {"confidential": True}).encode(),
        json.dumps(CASE | {"confidential": "ja", "title": ""}).encode(),
        b'{"title": "hemligt", "confidential": true',
        json.dumps(CASE | {"version": 0}).encode()[:-1] + b', "\\u0063onfidential": true}',
        json.dumps(CASE | {"confidential": True}).encode("utf-16"),
    ],
)
def test_a_confidential_case_is_refused_without_its_value_however_it_is_written(value: bytes) -> None:
    with pytest.raises(Rejected) as caught:
        accept(record(value), MODEL)
    assert (caught.value.reason, caught.value.drop_value) == ("confidential", True)


@pytest.mark.parametrize(
    ("geometry", "code", "pointer"),
    [
        (
            {
                "type": "Polygon",
                "coordinates": [[[59.40, 18.03], [59.40, 18.05], [59.41, 18.05], [59.41, 18.03], [59.40, 18.03]]],
            },
            "axis_order",
            "/geometries/0/geometry/coordinates/0/0",
        ),
        (
            {"type": "Point", "coordinates": [672018.58, 6588510.07]},
            "not_degrees",
            "/geometries/0/geometry/coordinates",
        ),
        (
            {
                "type": "Polygon",
                "coordinates": [[[18.02, 59.39], [18.04, 59.41], [18.04, 59.39], [18.02, 59.41], [18.02, 59.39]]],
            },
            "invalid_polygon",
            "/geometries/0/geometry/coordinates",
        ),
        ({"type": "Point", "coordinates": [2.35, 48.86]}, "outside_sweden", "/geometries/0/geometry/coordinates"),
    ],
)
def test_a_geometry_that_cannot_be_meant_is_refused_with_its_place(
    geometry: dict[str, Any], code: str, pointer: str
) -> None:
    """FC-001, FC-003, FC-005."""
    error = refusal(site(geometry))
    assert (error.reason, error.pointer) == (code, pointer)


def test_a_legacy_reference_system_is_refused() -> None:
    """FC-002."""
    crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::3006"}}
    error = refusal(site({"type": "Point", "coordinates": [672018.58, 6588510.07], "crs": crs}))
    assert error.reason == "wrong_shape"
    assert "WGS 84" in error.detail


def test_places_elsewhere_are_taken_where_the_setting_says_so() -> None:
    value = json.dumps(CASE | site({"type": "Point", "coordinates": [2.35, 48.86]})).encode()
    assert read(value, MODEL, anywhere=True).case_id == "A"


def test_a_case_that_says_nowhere_is_neither_everywhere_nor_nobody() -> None:
    """FC-008."""
    assert "nowhere" in refusal({"geometries": []}).detail


def test_a_code_that_its_version_does_not_have_is_refused_with_the_nearest_and_a_hint_of_the_other() -> None:
    """FC-017."""
    error = refusal({"industries": [{"code": "47.111", "version": "2007"}, {"code": "54.711", "version": "2007"}]})
    assert (error.reason, error.pointer) == ("unknown_code", "/industries/1/code")
    assert "nearest: 53.20; 55.10" in error.detail
    assert "SNI 2007 has it" in refusal({"industries": [{"code": "45.2", "version": "2025"}]}).detail
    lost_zero = {"reach": [{"buffer_m": 10, "industries": [{"code": "1110", "version": "2025"}]}]}
    assert refusal(lost_zero).pointer == "/reach/0/industries/0/code"


def test_an_unknown_stage_type_or_form_is_refused_naming_the_known_ones() -> None:
    error = refusal({"stage": "granskning"})
    assert error.reason == "unknown_stage"
    assert "projektering" in error.detail
    assert refusal({"case_type": "nytt"}).reason == "unknown_case_type"
    assert refusal({"form": "brevduva"}).pointer == "/form"


def test_a_key_that_is_not_the_cases_is_refused() -> None:
    with pytest.raises(Rejected, match="wrong_key"):
        accept(record(json.dumps(CASE).encode(), key=b"A"), MODEL)


def test_an_event_over_the_limit_is_refused_with_both_numbers() -> None:
    """FC-015."""
    with pytest.raises(Rejected, match=str(EVENT_BYTES)) as caught:
        accept(record(b" " * (EVENT_BYTES + 1)), MODEL)
    assert caught.value.reason == "too_large"


def test_implausible_days_are_refused_with_the_field() -> None:
    """FC-020."""
    assert refusal({"respond_by": "4000-01-01"}).pointer == "/respond_by"
    assert refusal({"stage_opened": "0001-01-01"}).pointer == "/stage_opened"


def test_a_case_file_refuses_unknown_fields_and_a_topic_passes_them_by() -> None:
    value = json.dumps(CASE | {"nytt": 1}).encode()
    with pytest.raises(Rejected, match="no such field"):
        read(value, MODEL)
    assert accept(record(value), MODEL) is not None
