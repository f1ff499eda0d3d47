"""What the contract refuses, and what it forgives: limits, geometries, numbers of persons, unknown fields."""

import json
import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from schemas.case import EXAMPLE, Case, may_be_confidential
from schemas.export import EVENTS
from schemas.geojson import Geometry, check
from schemas.identity import contact_id, invitation_id, normal_organisation, recipient_id, round_id
from schemas.types import _BLANKS, _SHOWN, _UNSEEN, MAX_VERTICES, Line, Text, Title, is_personal_number

GEOMETRY: TypeAdapter[Geometry] = TypeAdapter(Geometry)
KEY = b"k" * 32


def case(**change: Any) -> Case:
    return Case.model_validate_json(json.dumps({**EXAMPLE, **change}))


def line(count: int) -> list[dict[str, Any]]:
    points = [[18 + i / 100_000, 59.4] for i in range(count)]
    return [{"geometry": {"type": "LineString", "coordinates": points}}]


@pytest.mark.parametrize("event_type", EVENTS)
def test_an_unknown_field_is_refused_at_our_doors_and_ignored_by_readers(event_type: str) -> None:
    _, model, example = EVENTS[event_type]
    newer = json.dumps({**example, "of_a_later_release": 1})
    with pytest.raises(ValidationError):
        model.model_validate_json(newer)
    assert model.model_validate_json(newer, extra="ignore") == model.model_validate_json(json.dumps(example))


@pytest.mark.parametrize(
    "change",
    [
        {"title": ""},
        {"title": "x" * 161},
        {"summary": "x" * 4001},
        {"case_id": "x" * 101},
        {"case_id": "191212121212"},
        {"version": 0},
        {"municipality": "162"},
        {"respond_by": "4000-01-01"},
        {"geometries": line(MAX_VERTICES + 1)},
        {"geometries": line(2) * 51},
        {"geometries": []},
        {"area": "municipality"},
        {"urgent": True},
        {"confidential": True},
        {"documents": [{"title": "x", "url": "http://exempel.example/x"}]},
        {"meeting": {"place": "x", "start": "2025-12-01T10:00:00Z", "end": "2025-12-01T10:00:00Z"}},
        {"meeting": {"place": "x", "start": "2025-12-01T10:00:00"}},
    ],
    ids=lambda change: json.dumps(change)[:40],
)
def test_what_goes_over_a_limit_or_makes_no_sense_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        case(**change)


def test_the_largest_geometry_is_still_taken() -> None:
    assert case(geometries=line(MAX_VERTICES)).geometries


def test_a_title_is_one_line_in_one_normal_form() -> None:
    assert case(title="A\u030asas\r\n  Kafé\x00 ").title == "Åsas Kafé"


@pytest.mark.parametrize(
    ("geometry", "code", "pointer"),
    [
        ({"type": "Point", "coordinates": [59.4, 18.03]}, "axis_order", "/coordinates"),
        ({"type": "Point", "coordinates": [674_000, 6_588_000]}, "not_degrees", "/coordinates"),
        ({"type": "Point", "coordinates": [2.35, 48.85]}, "outside_sweden", "/coordinates"),
        ({"type": "LineString", "coordinates": [[18, 59.4], [59.4, 18]]}, "axis_order", "/coordinates/1"),
        (
            {"type": "Polygon", "coordinates": [[[18, 59], [18.1, 59], [18.1, 59.1], [18, 59.1]]]},
            "unclosed_ring",
            "/coordinates/0",
        ),
        (
            {"type": "Polygon", "coordinates": [[[18, 59], [18.1, 59.1], [18.1, 59], [18, 59.1], [18, 59]]]},
            "invalid_polygon",
            "/coordinates",
        ),
        (
            {"type": "GeometryCollection", "geometries": [{"type": "Point", "coordinates": [59.4, 18.03]}]},
            "axis_order",
            "/geometries/0/coordinates",
        ),
        ({"type": "Point", "coordinates": [18.03, 59.4, 12.5]}, None, None),
    ],
)
def test_a_geometry_is_refused_with_its_mistake_and_its_place(
    geometry: dict[str, Any], code: str | None, pointer: str | None
) -> None:
    complaint = check(GEOMETRY.validate_python(geometry))
    assert (complaint and complaint.code, complaint and complaint.pointer) == (code, pointer)


@pytest.mark.parametrize(
    "geometry",
    [
        {"type": "Point", "coordinates": [18]},
        {"type": "Point", "coordinates": [float("nan"), 59]},
        {"type": "Point", "coordinates": [18, 59], "crs": {"type": "name"}},
        {"type": "LineString", "coordinates": [[18, 59]]},
        {"type": "Polygon", "coordinates": []},
        {"type": "Circle", "coordinates": [18, 59]},
    ],
)
def test_what_is_not_geojson_is_refused(geometry: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        GEOMETRY.validate_python(geometry)


@pytest.mark.parametrize("text", ["19121212-1212", "191212121212", "121212-1212", "121212+1212", "SE121212121201"])
def test_a_personal_number_is_known_in_every_form_and_is_one_recipient(text: str) -> None:
    assert is_personal_number(text)
    assert normal_organisation(text) == "1212121212"
    assert "1212121212" not in recipient_id(text, KEY)


@pytest.mark.parametrize("text", ["559999-0008", "165599990008", "EX-0001", "1212121213"])
def test_a_company_or_an_opaque_id_is_no_person(text: str) -> None:
    assert not is_personal_number(text)


def test_another_key_gives_another_recipient() -> None:
    assert recipient_id("559999-0008", KEY) != recipient_id("559999-0008", b"x" * 32)


def test_ids_are_the_same_each_time_and_their_parts_never_run_together() -> None:
    assert round_id("c", "s", 1, "p") == round_id("c", "s", 1, "p")
    assert round_id("ca", "s", 1, "p") != round_id("c", "as", 1, "p")
    assert round_id("c", "s", 1, "p") != round_id("c", "s", 2, "p")
    assert invitation_id("ab", "c") != invitation_id("a", "bc")
    assert contact_id("s", "r", None, "x", "sms") != contact_id("s", "r", "x", "", "sms")


@pytest.mark.parametrize(
    ("value", "marked"),
    [
        (b'\xff\xfe{"confidential": tr', True),
        (b'{"CONFIDENTIAL"\n:\t"yes"', True),
        (b'{"confidential": "false"}', True),
        (b'{"confidential": falsehood', True),
        (b'{"a": {"confidential": true}}', True),
        (b'{"confidential": false, "confidential": true}', True),
        (b'{"confidential": true, "title": ', True),
        (b'{"confidential":1}', True),
        (b'{"confidential": false}', False),
        (b'{"confidential" : null}', False),
        (b"{}", False),
        (b'{"confidential":false', False),
        (b'{"title": "confidential"}', False),
        (b"", False),
    ],
)
def test_a_confidential_case_is_known_even_in_broken_bytes(value: bytes, marked: bool) -> None:
    assert may_be_confidential(value) is marked


HOLLOW = "\u034f\u115f\u1160\u2800\u3164\ufe0f\uffa0"


@given(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
    | st.text(f"a å\u030a\u00a0\t\n{HOLLOW}", max_size=12)
)
def test_a_line_that_is_left_as_it_is_is_one_already(text: str) -> None:
    """Against the plain rule: nothing unseen, one normal form, blanks as one space each, none at the ends."""
    plain = _BLANKS.sub(" ", unicodedata.normalize("NFC", _UNSEEN.sub("", text))).strip()
    assert TypeAdapter(Line).validate_python(text) == (plain if _SHOWN.search(plain) else "")


@pytest.mark.parametrize(
    "title",
    [
        "   ",
        "\u200b",
        "\u200e\u200f",
        "\u200d",
        "\ufe0f",
        "\u3164",
        "\u2800 \u2800",
        "\u00ad",
        "\U000e0041",
        "\x9b",
        "\x00",
    ],
)
def test_a_title_that_shows_nothing_is_no_title(title: str) -> None:
    """FC-041."""
    with pytest.raises(ValidationError, match="at least 1 character"):
        TypeAdapter(Title).validate_python(title)


@pytest.mark.parametrize("sign", ["\x1b", "\x9b", "\x80", "\u202e", "\ufffe", "\U000e0041", "\x00", "\x7f"])
def test_what_a_terminal_obeys_or_only_machines_read_is_in_no_text(sign: str) -> None:
    """FC-039, FC-041: a title is shown by commands too."""
    for kind in (Title, Line, Text):
        assert sign not in TypeAdapter(kind).validate_python(f"Röd{sign}31m gata")


def test_emoji_stay_whole_in_a_title() -> None:
    for emoji in ("👩\u200d👩\u200d👧", "\u26a0\ufe0f", "नि\u200cष"):
        assert TypeAdapter(Title).validate_python(f"{emoji} Vägen") == f"{emoji} Vägen"
