"""The why-block: sentences made of reasons as values."""

from typing import Any

import pytest

from schemas import industries
from schemas.invitation import InvitedWorkplace, Reason
from schemas.round import EXAMPLE, Round
from services.rendering.dates import Lang
from services.rendering.why import MOST, Workplace, source_line, why_block, why_lines

ROUND = Round.model_validate(EXAMPLE)
FACTS = {"A": Workplace("A", "Exempelbageriet", "Stockholmsvägen 40"), "B": Workplace("B", "Bara namn")}


def invited(id_: str, *reasons: dict[str, Any]) -> InvitedWorkplace:
    return InvitedWorkplace(workplace_id=id_, reasons=[Reason.model_validate(reason) for reason in reasons])


def lines(*workplaces: InvitedWorkplace, lang: Lang = "sv", more: int = 0) -> list[str]:
    return why_lines(workplaces, FACTS, ROUND.texts, lang, more)


def distance(metres: float, role: str | None = "road") -> dict[str, Any]:
    return {"kind": "distance", "role": role, "distance_m": metres}


@pytest.mark.parametrize(
    ("role", "metres", "sv", "en"),
    [
        ("road", 120.4, "120 meter från vägen", "120 metres from the road"),
        ("site", 119.5, "120 meter från området", "120 metres from the area"),
        ("detour", 1, "1 meter från omledningsvägen", "1 metre from the diversion route"),
        ("zone", 1234, "1\u00a0234 meter från området", "1,234 metres from the area"),
        ("road", 0, "vid vägen", "by the road"),
        ("site", 0.2, "inom området", "within the area"),
        ("new_role", 0, "inom området", "within the area"),
        (None, 0, "inom området", "within the area"),
    ],
)
def test_a_distance_is_said_in_whole_metres_from_what_it_is_measured_to(
    role: str | None, metres: float, sv: str, en: str
) -> None:
    assert lines(invited("A", distance(metres, role))) == [f"Ert arbetsställe Stockholmsvägen 40 ligger {sv}."]
    assert lines(invited("A", distance(metres, role)), lang="en") == [f"Your premises Stockholmsvägen 40 are {en}."]


def test_a_workplace_near_two_things_gets_one_sentence_with_the_shortest_distances() -> None:
    near = invited("A", distance(300, "site"), distance(80), distance(40), distance(0, "zone"))
    assert lines(near) == [
        "Ert arbetsställe Stockholmsvägen 40 ligger inom området, 40 meter från vägen och 300 meter från området."
    ]


def test_a_workplace_without_street_goes_by_name_and_an_unknown_one_by_nothing() -> None:
    assert lines(invited("B", distance(0)), invited("C", distance(5))) == [
        "Ert arbetsställe Bara namn ligger vid vägen.",
        "Ert arbetsställe ligger 5 meter från vägen.",
    ]


def test_an_industry_is_named_once_with_its_code_as_people_write_it() -> None:
    code = {"kind": "industry", "code": "56110", "version": "2025"}
    assert lines(invited("A", code), invited("B", code)) == ["Er bransch 56.110 Restaurangverksamhet berörs."]


def test_a_code_of_sni_2007_is_not_given_a_name_of_sni_2025() -> None:
    assert lines(invited("A", {"kind": "industry", "code": "56100", "version": "2007"})) == [
        "Er bransch 56.100 (SNI 2007) berörs."
    ]


def test_a_translated_code_says_so_and_whether_it_belongs_wholly_or_in_part() -> None:
    """FC-018."""
    wholly = {"kind": "industry", "code": "69102", "version": "2007", "heading": "69", "translated": "full"}
    partly = {"kind": "industry", "code": "45200", "version": "2007", "heading": "9531", "translated": "part"}
    back = {"kind": "industry", "code": "56110", "version": "2025", "heading": "5610", "translated": "full"}
    assert lines(invited("A", wholly, partly, back)) == [
        "Er bransch 69.102 (SNI 2007) berörs. Koden är översatt till SNI 2025: den hör till 69 "
        "Juridisk och ekonomisk konsultverksamhet.",
        "Er bransch 45.200 (SNI 2007) kan beröras. Koden är översatt till SNI 2025: den hör bara delvis till 95.31 "
        f"{industries.name('95', '2025')}.",
        "Er bransch 56.110 Restaurangverksamhet berörs. Koden är översatt till SNI 2007: den hör till 56.10.",
    ]
    assert lines(invited("A", partly), lang="en")[0].startswith(
        "Your industry 45.200 (SNI 2007) may be affected. The code was translated to SNI 2025: it belongs only in part"
    )


@pytest.mark.parametrize("lang", ["sv", "en"])
@pytest.mark.parametrize("kind", ["municipality", "subscription", "named", "participant", "added", "industry"])
def test_every_reason_has_words_and_none_of_them_is_free_text(kind: str, lang: Lang) -> None:
    [line] = lines(invited("A", {"kind": kind, "why": "Köp nu!"}), lang=lang)
    assert line.endswith(".")
    assert "Köp" not in line


def test_forty_workplaces_are_nine_and_a_count() -> None:
    said = lines(*(invited(f"W{n}", distance(n)) for n in range(40)))
    assert len(said) == MOST + 1
    assert said[-1] == "… och 31 till."
    assert said[0] == "Ert arbetsställe ligger vid vägen."


def test_workplaces_beyond_those_in_the_invitation_are_counted_too() -> None:
    assert lines(invited("A", distance(0)), more=7)[-1] == "… och 7 till."
    assert lines(invited("A", distance(0)), more=7, lang="en")[-1] == "… and 7 more."


def test_workplaces_at_one_address_are_said_once() -> None:
    facts = {f"W{n}": Workplace(f"W{n}", street="Storgatan 1") for n in range(40)}
    workplaces = [invited(id_, distance(12)) for id_ in facts]
    assert why_lines(workplaces, facts, ROUND.texts, "sv") == [
        "Ert arbetsställe Storgatan 1 ligger 12 meter från vägen."
    ]


def test_the_block_ends_with_source_and_date_and_what_to_do_if_it_is_wrong() -> None:
    block = why_block(ROUND, [invited("A", distance(0))], FACTS, "sv")
    assert block[-2:] == [
        "Uppgifterna kommer från Bolagsverket/SCB, hämtade 3 november.",
        "Stämmer uppgifterna inte? Hör av er till oss, så rättar vi dem.",
    ]
    assert source_line(ROUND.model_copy(update={"register_date": None}), "en") == (
        "The facts come from Bolagsverket/SCB."
    )


def test_made_up_facts_say_that_they_are() -> None:
    assert source_line(ROUND.model_copy(update={"synthetic": True}), "sv") == "Påhittade uppgifter för demonstration."


@pytest.mark.parametrize(("place", "own"), [("A", False), ("s1", True)])
def test_a_subscriber_who_answered_before_gave_its_own_facts_and_a_workplace_is_the_registers(
    place: str, own: bool
) -> None:
    block = why_block(ROUND, [invited(place, {"kind": "participant"})], FACTS, "sv")
    assert ("Ni lämnade själva uppgifterna när ni började bevaka." in block) is own
    assert any("Bolagsverket/SCB" in line for line in block) is not own
