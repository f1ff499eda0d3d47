"""What a business asks to follow: each field is read, or told of with what to do; nothing is guessed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.portal import places
from services.portal.wishes import Fields, Premises, Read, read

TOWN = places.of("0162")
BAKERY = Premises("W1", "Exempelbageriet", "Stockholmsvägen 40", 18.03, 59.4)
CAFE = Premises("W2", "Exempelkafé", "Mörbyleden 1", 18.04, 59.4)


def asked(found: tuple[Premises, ...] = (), /, **changes: object) -> Read:
    given = {"where": "place", "place": "Mörby centrum", "email": "anna@exempel.se", **changes}
    return read(Fields(**given), TOWN, found)  # type: ignore[arg-type]


def wrong(result: Read) -> dict[str, str]:
    return {problem.field: problem.key for problem in result.problems}


def test_a_place_and_a_radius_are_a_circle_that_says_what_it_is() -> None:
    wish = asked().wish
    assert wish is not None
    assert wish.area.circle is not None
    assert (wish.area.label, wish.area.circle.radius_m, wish.codes) == ("800 m runt Mörby centrum", 800, ())


@pytest.mark.parametrize(("said", "meant"), [("daily", "daily"), ("weekly", "weekly"), ("hourly", "at_once")])
def test_how_often_is_one_of_three_and_at_once_where_it_is_none(said: str, meant: str) -> None:
    wish = asked(frequency=said).wish
    assert wish is not None
    assert wish.frequency == meant


def test_one_hit_in_the_register_is_the_workplace() -> None:
    wish = asked((BAKERY,), where="workplace", workplace="bageri").wish
    assert wish is not None
    assert (wish.area.workplace_id, wish.area.label) == ("W1", "800 m runt Exempelbageriet")


def test_several_hits_are_given_back_to_choose_among() -> None:
    several = asked((BAKERY, CAFE), where="workplace", workplace="exempel")
    assert [choice.value for choice in several.workplaces] == ["W1", "W2"]
    assert several.wish is None
    assert not several.problems
    chosen = asked((CAFE,), where="workplace", workplace="exempel", workplace_id="W2").wish
    assert chosen is not None
    assert chosen.area.workplace_id == "W2"


@pytest.mark.parametrize("text", ["56110", "56.110", " 56 110 "])
def test_a_code_is_itself_however_it_is_written(text: str) -> None:
    wish = asked(industries=text).wish
    assert wish is not None
    assert [item.code for item in wish.codes] == ["56110"]


def test_a_code_of_sni_2007_is_translated_and_shown_and_a_ticked_class_stays_itself() -> None:
    """FC-018."""
    split = asked(industries="45.200")
    assert [choice.value for choice in split.codes] == ["9531", "9540"]
    ticked = asked(industries="45.200", codes=("9531", "3220")).wish
    assert ticked is not None
    assert [item.code for item in ticked.codes] == ["9531", "3220"]
    assert wrong(asked(industries="3220")) == {"industries": "unknown_code"}


def test_a_code_that_does_not_exist_is_told_of_with_the_nearest_that_does() -> None:
    [problem] = asked(industries="56.999").problems
    assert (problem.key, problem.values) == (
        "unknown_code",
        {"text": "56.999", "nearest": "56.110 Restaurangverksamhet"},
    )


def test_an_everyday_word_means_its_industry_and_a_word_of_many_is_chosen_among() -> None:
    cafe = asked(industries="Café").wish
    assert cafe is not None
    assert [item.code for item in cafe.codes] == ["56110"]
    many = asked(industries="kaffe")
    assert {"10830", "46370"} <= {choice.value for choice in many.codes}
    assert many.wish is None
    ticked = asked(industries="kaffe", codes=("10830",)).wish
    assert ticked is not None
    assert [item.code for item in ticked.codes] == ["10830"]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"where": ""}, "where"),
        ({"place": "Atlantis"}, "place"),
        ({"where": "workplace", "workplace": "x"}, "workplace"),
        ({"where": "workplace", "workplace": "Finns inte"}, "workplace"),
        ({"where": "point", "latitude": "91", "longitude": "18"}, "latitude"),
        ({"where": "point", "latitude": "59,4", "longitude": "öster"}, "longitude"),
        ({"where": "point", "latitude": "nan", "longitude": "18"}, "latitude"),
        ({"radius": "1"}, "radius"),
        ({"radius": "inf"}, "radius"),
        ({"industries": "56.999"}, "industries"),
        ({"industries": "qwertyuiop"}, "industries"),
        ({"email": "inte en adress"}, "email"),
    ],
)
def test_what_is_wrong_is_told_of_at_its_field(changes: dict[str, object], field: str) -> None:
    assert field in wrong(asked(**changes))


@given(st.text(max_size=40), st.text(max_size=40), st.text(max_size=20), st.text(max_size=40), st.text(max_size=40))
def test_no_text_is_a_traceback(where: str, latitude: str, radius: str, codes: str, email: str) -> None:
    for way in (where, "point", "workplace", "municipality"):
        asked((BAKERY,), where=way, latitude=latitude, radius=radius, industries=codes, email=email, codes=(codes,))


def test_every_named_place_lies_in_the_picture() -> None:
    picture = places.picture(TOWN)
    assert picture is not None
    assert [dot.name for dot in picture.dots] == [place.name for place in TOWN.places]
    assert all(0 < dot.x < picture.width and 0 < dot.y < picture.height for dot in picture.dots)


def test_an_unknown_municipality_has_no_places_and_no_picture() -> None:
    assert places.picture(places.of("9999")) is None
