"""SNI 2025 and SNI 2007: spellings, levels, what does not exist, and what a code of one is in the other."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.industries import (
    UnknownCode,
    ancestors,
    label,
    leaves,
    leaves_under,
    parse,
    possible,
    translate,
    written,
)

VERSIONS = pytest.mark.parametrize("version", ["2025", "2007"])


@VERSIONS
@pytest.mark.parametrize(
    ("text", "bare"),
    [
        ("01.110", "01110"),
        ("01110", "01110"),
        ("01 110", "01110"),
        ("01,110", "01110"),
        ("01\u00a0110", "01110"),
        ("A 01.110", "01110"),
        ("A01.110", "01110"),
        ("06.10", "0610"),
        ("71.1", "711"),
        ("56.30", "5630"),
        ("5630", "5630"),
        ("56", "56"),
        ("i", "I"),
    ],
)
def test_every_spelling_of_a_code_is_one(version: str, text: str, bare: str) -> None:
    """FC-085, FC-086."""
    assert parse(text, version) == bare


@VERSIONS
@pytest.mark.parametrize("text", ["1110", "6.1", "6.10", "6", "35.00", "", "99999", "5611O", "54.711", "X", "56.1100"])
def test_a_code_that_could_be_another_or_is_none_is_refused(version: str, text: str) -> None:
    """FC-017, FC-085, FC-086."""
    with pytest.raises(UnknownCode):
        parse(text, version)


def test_a_code_without_its_version_is_none() -> None:
    with pytest.raises(ValueError, match="known: 2025, 2007"):
        parse("56.110", "2002")


@pytest.mark.parametrize(
    ("text", "version", "nearest"),
    [
        ("35.00", "2025", "35.110 "),
        ("35.00", "2007", "35.11"),
        ("54.711", "2007", "53.20; 55.10"),
        ("47.115", "2025", "47.11"),
        ("zz", "2025", ""),
    ],
)
def test_a_refusal_names_the_nearest_codes_of_the_same_version(text: str, version: str, nearest: str) -> None:
    """FC-017, FC-086."""
    with pytest.raises(UnknownCode, match=f"not a code of SNI {version}; nearest: {nearest}") as refusal:
        parse(text, version)
    assert refusal.value.nearest
    assert all(parse(written(code), version) == code for code in refusal.value.nearest)


@pytest.mark.parametrize(("text", "could"), [("1410", "14.10 or 01.410"), ("6.1", "61 or 06.1"), ("6", "06")])
def test_a_code_that_may_have_lost_its_zero_is_told_what_it_could_be(text: str, could: str) -> None:
    """FC-085."""
    with pytest.raises(UnknownCode, match=f"lost a leading zero: write the code in full, with its point: {could}$"):
        parse(text, "2025")


def test_a_code_of_the_other_version_only_is_refused_with_the_question_whether_the_version_is_right() -> None:
    with pytest.raises(UnknownCode, match="SNI 2007 has it: is the version right"):
        parse("45.200", "2025")


def test_the_same_letter_is_another_section_and_a_code_with_the_wrong_one_is_refused() -> None:
    assert ancestors("68201", "2007")[0] == "L"
    assert ancestors("68201", "2025")[0] == "M"
    assert "64190" in leaves_under("L", "2025")
    assert parse("L 68.201", "2007") == "68201"
    with pytest.raises(UnknownCode, match="section M of SNI 2025"):
        parse("L 68.201", "2025")


@VERSIONS
@pytest.mark.parametrize("code", ["I", "56", "563", "5630", "56300"])
def test_a_leaf_lies_under_each_of_its_headings(version: str, code: str) -> None:
    assert code in ancestors("56300", version)
    assert "56300" in leaves_under(code, version)


def test_what_does_not_exist_lies_under_nothing_and_becomes_nothing() -> None:
    assert ancestors("54711", "2007") == ()
    assert ancestors("56119", "2025") == ("I", "56", "561", "5611")
    assert leaves_under("5", "2025") == frozenset()
    assert translate("54711", "2007").codes == ()


def test_a_class_that_was_split_becomes_the_union_and_one_that_was_not_becomes_itself() -> None:
    """FC-018."""
    split = translate("45.20".replace(".", ""), "2007")
    assert (split.codes, split.version, split.whole) == (("9531", "9540"), "2025", False)
    assert translate("69102", "2007").codes == ("6910",)
    assert translate("69102", "2007").whole
    assert translate("9531", "2025").codes == ("4520",)
    assert set(possible("69102", "2007")) == leaves_under("6910", "2025")


def test_a_heading_becomes_the_union_of_all_under_it() -> None:
    under = {new for one in ("4711", "4719") for new in translate(one, "2007").codes}
    assert set(translate("471", "2007").codes) == under
    assert set(translate("G", "2007").codes) >= under


def test_a_class_that_is_new_was_nothing_before() -> None:
    assert translate("4689", "2025").codes == ()


@VERSIONS
def test_every_code_but_the_new_class_becomes_something_and_that_something_may_have_been_it(version: str) -> None:
    for code in {leaf[:4] for leaf in leaves(version)} - {"4689"}:
        became = translate(code, version)
        assert became.codes
        assert all(code in translate(new, became.version).codes for new in became.codes)


def test_there_are_as_many_codes_as_the_standards_say() -> None:
    """SNI 2025: 22 sections, 87 divisions, 835 detailed groups. SNI 2007: 21, 88, 272 groups, 615 classes."""
    for version, sizes in {"2025": (22, 87, 287, 651), "2007": (21, 88, 272, 615)}.items():
        above = [ancestors(leaf, version) for leaf in leaves(version)]
        assert tuple(len({one[level] for one in above}) for level in range(4)) == sizes
    assert len(leaves("2025")) == 835


def test_a_code_is_read_with_its_name_or_with_its_old_version() -> None:
    assert label("56110", "2025") == "56.110 Restaurangverksamhet"
    assert label("56100", "2007") == "56.100 (SNI 2007)"


@settings(max_examples=60, deadline=None)
@given(st.text("0123456789., AGIxå", max_size=8), st.sampled_from(["2025", "2007"]))
def test_no_text_is_a_traceback_and_what_is_taken_is_its_own_spelling(text: str, version: str) -> None:
    try:
        bare = parse(text, version)
    except UnknownCode:
        return
    assert parse(written(bare), version) == bare
    assert ancestors(bare, version)[-1] == bare
