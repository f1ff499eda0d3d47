"""Whom an industry concerns: codes as they stand, translated codes, exceptions under both."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import industries
from schemas.types import IndustryCode
from services.matcher.industry import CodeSet, Match, match, matches, of_codes, overlap


def code(text: str, version: str) -> IndustryCode:
    return IndustryCode(code=text, version=version)


def found(own: IndustryCode, *sets: CodeSet) -> tuple[str, str | None] | None:
    result = match(own, sets)
    return (result.heading, result.translated) if result else None


def test_register_and_case_of_2007_are_compared_as_they_stand() -> None:
    """FC-017: 47.111 by group and section, 47.710 and 45.200 by section only, 54.711 by nothing."""
    group, section = of_codes([code("47.1", "2007")]), of_codes([code("G", "2007")])
    both = of_codes([code("47.1", "2007"), code("G", "2007")])
    assert found(code("47111", "2007"), *group) == ("471", None)
    assert found(code("47111", "2007"), *both) == ("471", None)
    for text in ("47710", "45200"):
        assert found(code(text, "2007"), *group) is None
        assert found(code(text, "2007"), *section) == ("G", None)
    assert found(code("54711", "2007"), *both) is None


@pytest.mark.parametrize(
    ("own", "wanted", "expected"),
    [
        ("69102", "69.10", ("6910", "full")),
        ("69102", "69", ("69", "full")),
        ("45200", "95.31", ("9531", "part")),
        ("45200", "95", ("95", "full")),
        ("45200", "45.20", None),
        ("47111", "47.11", ("4711", "part")),
        ("47111", "47.1", ("471", "part")),
        ("47111", "G", ("G", "full")),
        ("56100", "56.110", ("56110", "part")),
        ("471", "47.12", ("4712", "part")),
    ],
)
def test_a_code_of_2007_is_every_code_that_it_may_have_become(
    own: str, wanted: str, expected: tuple[str, str] | None
) -> None:
    """FC-018: the union of a split class; in full only where all of it lies under the heading."""
    sets = of_codes([code(wanted, "2025")]) if expected else of_codes([code("47.40", "2025")])
    assert found(code(own, "2007"), *sets) == expected


def test_the_same_digits_in_another_version_are_never_compared_as_text() -> None:
    """FC-018: 47.78 was other new goods; in 2025 some of those are elsewhere, and 82.30 of both is one class."""
    assert found(code("47420", "2007"), *of_codes([code("47.40", "2025")])) == ("4740", "full")
    assert found(code("47420", "2007"), *of_codes([code("47.42", "2007")])) == ("4742", None)
    assert found(code("47410", "2007"), *of_codes([code("47.41", "2007")])) == ("4741", None)


def test_a_case_of_2007_meets_a_register_of_2025_by_translation_too() -> None:
    sets = of_codes([code("45.2", "2007")])
    assert found(code("9531", "2025"), *sets) == ("452", "full")
    assert found(code("9540", "2025"), *sets) == ("452", "part")
    assert found(code("56110", "2025"), *sets) is None
    assert found(code("9531", "2025"), *of_codes([code("45.201", "2007")])) == ("45201", "part")


def test_a_code_as_it_stands_comes_before_its_translation() -> None:
    both = of_codes([code("45.20", "2007"), code("95", "2025")])
    assert found(code("45200", "2007"), *both) == ("4520", None)


def test_the_heading_that_covers_most_is_named() -> None:
    sets = of_codes([code("47.11", "2025"), code("G", "2025")])
    assert found(code("47111", "2007"), *sets) == ("G", "full")


def test_an_exception_takes_away_the_possible_codes_under_it_and_all_of_them_only_where_none_is_left() -> None:
    trade = CodeSet(frozenset({"47"}), frozenset({"4791"}))
    assert found(code("47910", "2025"), trade) is None
    assert found(code("47111", "2007"), trade) == ("47", "part")
    nothing_left = CodeSet(frozenset({"47"}), frozenset({"4711", "4791"}))
    assert found(code("47111", "2007"), nothing_left) is None


def test_an_exception_holds_inside_its_own_group_only() -> None:
    without, plain = CodeSet(frozenset({"95"}), frozenset({"9531", "9540"})), CodeSet(frozenset({"9531"}))
    assert found(code("45200", "2007"), without) is None
    assert found(code("45200", "2007"), without, plain) == ("9531", "part")


def test_a_workplace_at_heading_level_is_concerned_by_that_heading_and_those_above_it_only() -> None:
    """FC-086: a heading is not refined by guessing; only a translation is a union of what could be."""
    assert found(code("711", "2025"), *of_codes([code("71", "2025")])) == ("71", None)
    assert found(code("711", "2025"), *of_codes([code("71.11", "2025")])) is None


def test_three_codes_are_three_matches_each_once() -> None:
    """FC-019."""
    own = [code(text, "2025") for text in ("56110", "47242", "10710", "56110")]
    sets = of_codes([code(text, "2025") for text in ("56.110", "47.242", "10")])
    assert [item.heading for item in matches(own, sets)] == ["56110", "47242", "10"]
    assert matches(own[:1], sets) == (Match("56110", "2025", "56110"),)


def test_a_subscription_and_a_ring_have_something_in_common_across_versions() -> None:
    assert overlap(code("56", "2025"), of_codes([code("56.110", "2025")]))
    assert overlap(code("4520", "2007"), of_codes([code("95.31", "2025")]))
    assert not overlap(code("4520", "2007"), of_codes([code("56", "2025")]))
    assert not overlap(code("5411", "2007"), of_codes([code("56", "2025")]))
    assert not overlap(code("47", "2025"), (CodeSet(frozenset({"4791"}), frozenset({"4791"})),))


HEADINGS = st.sampled_from(sorted({leaf[:n] for leaf in industries.leaves("2025") for n in (2, 3, 4, 5)}))


@given(
    st.sampled_from(sorted(industries.leaves("2007"))),
    st.frozensets(HEADINGS, min_size=1, max_size=4),
    st.frozensets(HEADINGS, max_size=2),
)
def test_a_translation_is_what_asking_each_possible_code_gives(
    own: str, wanted: frozenset[str], without: frozenset[str]
) -> None:
    asked = CodeSet(wanted, without)
    fits = {
        leaf: {heading for heading in wanted if leaf.startswith(heading)}
        for new in industries.translate(own, "2007").codes
        for leaf in industries.leaves("2025")
        if leaf.startswith(new) and not leaf.startswith(tuple(without))
    }
    result = match(code(own, "2007"), (asked,))
    assert (result is not None) == any(fits.values())
    if result:
        covered = [leaf for leaf, headings in fits.items() if result.heading in headings]
        assert covered
        assert (result.translated == "full") == (len(covered) == len(industries.possible(own, "2007")))
