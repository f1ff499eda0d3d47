"""Mapping files: somebody else's columns become ours, and what is misspelt is refused by name."""

from typing import Any

import pytest

from services.matcher.register.formats import COLUMNS, mapping_of, shipped
from services.runtime.mapping import FieldMapping, MappingError, flatten, parse

OURS = ("id", "name", "status", "code")


def mapping(text: str) -> FieldMapping:
    return parse(text, OURS)


def applied(text: str, **row: str) -> dict[str, str]:
    return mapping(text).bind(tuple(row)).apply(row)


def test_a_list_of_columns_is_joined_by_a_space_and_an_inner_list_gives_the_first_that_says_something() -> None:
    text = '[columns]\nname = ["Fornamn", "Efternamn"]\ncode = [["A", "B"], ["C", ""]]'
    row = {"Fornamn": "Åsa", "Efternamn": " ", "A": "", "B": "47"}
    assert applied(text, **row) == {"name": "Åsa", "code": "47"}


def test_values_are_translated_and_a_star_is_all_others() -> None:
    text = '[columns]\nstatus = "S"\n[values.status]\n"1" = "active"\n"*" = "closed"'
    assert [applied(text, S=said)["status"] for said in ("1", " 1 ", "9", "")] == [
        "active",
        "active",
        "closed",
        "closed",
    ]


def test_a_value_that_is_not_listed_stays_as_it_is_without_a_star() -> None:
    assert applied('[columns]\nstatus = "S"\n[values.status]\n"1" = "active"', S="7") == {"status": "7"}


def test_a_constant_is_the_same_in_every_row_and_a_width_gives_back_leading_zeros() -> None:
    text = '[columns]\ncode = "C"\n[constants]\nstatus = "active"\n[width]\ncode = 5'
    assert applied(text, C="1110 47241 6.1") == {"code": "01110 47241 6.1", "status": "active"}


def test_rows_with_a_listed_value_are_skipped() -> None:
    bound = mapping('[columns]\nid = "I"\n[skip]\nS = ["9", 0]').bind(("I", "S"))
    assert [bound.skips({"I": "1", "S": said}) for said in ("9", "0 ", "1", "")] == [True, True, False, False]


def test_names_are_found_in_another_normal_form_and_another_case() -> None:
    assert applied('[columns]\nname = "Företagsnamn"', **{"FO\u0308RETAGSNAMN": "x"}) == {"name": "x"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[columns]\nnmae = "N"', "nmae: no such name of ours; nearest: name"),
        ('[constants]\nstaus = "1"', "staus: no such name of ours; nearest: status"),
        ('[values.codes]\n"1" = "2"', "codes: no such name of ours; nearest: code"),
        ('[colums]\nname = "N"', "colums: no such key; nearest: columns"),
        ('encodin = "x"', "encodin: no such key; nearest: encoding"),
        ('delimiter = "||"', "delimiter: is longer than one sign"),
        ('decimal = ";"', "decimal: "),
        ("[columns]\nname = []", "columns.name: names no column"),
        ("[columns]\nname = 3", "columns.name: "),
        ('[columns]\nname = "N"\n[constants]\nname = "x"', "name: stands under columns and under constants"),
        ("[columns", "is not TOML"),
        ('extends = "scb"', "there is no shipped mapping"),
    ],
)
def test_what_is_misspelt_is_refused_by_name(text: str, said: str) -> None:
    with pytest.raises(MappingError) as refused:
        mapping(text)
    assert said in str(refused.value)


@pytest.mark.parametrize("text", ['[columns]\nname = "Nmn"', '[columns]\nname = "Namn"\n[skip]\nNmn = ["1"]'])
def test_a_column_that_the_file_does_not_have_is_refused_with_the_nearest(text: str) -> None:
    with pytest.raises(MappingError, match="column Nmn is not in the file; nearest: Namn"):
        mapping(text).bind(("Id", "Namn"))


def test_a_mapping_that_extends_another_has_the_last_word() -> None:
    base = 'crs = "EPSG:3006"\n[columns]\nid = "I"\ncode = "C"\n[constants]\nstatus = "active"'
    made = parse('extends = "base"\n[columns]\nstatus = "S"\n[constants]\ncode = "1"', OURS, lambda name: base)
    assert made.crs == "EPSG:3006"
    assert made.bind(("I", "S")).apply({"I": "7", "S": "x"}) == {"id": "7", "status": "x", "code": "1"}


def test_records_inside_records_become_columns_by_their_path() -> None:
    record = {
        "a": {"b": 1, "c": None},
        "sni": [{"kod": "56110"}, {"kod": "     "}, {"kod": "47242"}],
        "list": ["x", 2.0],
    }
    assert flatten(record) == {
        "a.b": "1", "a.c": "", "sni[0].kod": "56110", "sni[].kod": "56110 47242", "list": "x 2",
    }  # fmt: skip


def test_lists_inside_lists_do_not_double_the_columns_at_every_level() -> None:
    record: dict[str, Any] = {"b": 1}
    for _ in range(60):
        record = {"a": [record]}
    assert len(flatten(record)) == 2


@pytest.mark.parametrize("name", sorted(shipped()))
def test_every_shipped_mapping_is_a_mapping_of_our_columns(name: str) -> None:
    made = mapping_of(name)
    assert made.ours <= set(COLUMNS)
    assert {"organisation", "sni", "sni_version"} <= made.ours
