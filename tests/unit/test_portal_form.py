"""The answer form: what it asks, and what of what was sent is taken."""

from datetime import UTC, datetime
from typing import Any

import pytest

from services.portal import form
from services.portal.form import MOST_BLOCKS, TEXT_LENGTH, Block, Filled
from services.portal.invited import Group, Invited
from services.portal.standing import standing
from tests.portal_world import NOW, case, company, invitation, round_of

MEETING = {"place": "Kommunhuset", "start": "2026-12-08T17:00:00+01:00"}


def asked(*names: str, now: datetime = NOW, **about: Any) -> tuple[Block, ...]:
    of = round_of(case(**about))
    invited = []
    for name in names:
        item = invitation(company(name), of)
        invited.append(Invited(item, name, standing(of, item, now), late=False, answer=None))
    return form.blocks([Group(of, tuple(invited))])


def codes(fields: dict[str, str], blocks: tuple[Block, ...]) -> list[str]:
    return [fault.code for fault in form.read(fields, blocks).faults]


def test_each_recipient_has_a_block_until_there_are_too_many_and_then_they_share_one() -> None:
    few = asked(*(f"A{n:02}" for n in range(MOST_BLOCKS)))
    many = asked(*(f"A{n:02}" for n in range(MOST_BLOCKS + 1)))
    assert [len(block.invited) for block in few] == [1] * MOST_BLOCKS
    assert [len(block.invited) for block in many] == [MOST_BLOCKS + 1]


def test_what_can_no_longer_be_answered_is_not_asked() -> None:
    assert asked("A", now=datetime(2027, 1, 1, tzinfo=UTC)) == ()


def test_an_answer_is_one_of_the_choices_and_nothing_else() -> None:
    (block,) = asked("A")
    field = form.answer_field(block)
    assert form.read({field: "ja"}, (block,)).of(block) == Filled("ja")
    assert codes({field: "kanske"}, (block,)) == ["choose"]
    assert codes({}, (block,)) == ["choose"]
    (meeting,) = asked("A", meeting=MEETING)
    assert form.read({form.answer_field(meeting): "kanske"}, (meeting,)).of(meeting).answer == "kanske"
    assert codes({form.answer_field(meeting): "ej_relevant"}, (meeting,)) == ["choose"]


def test_of_several_one_answer_is_enough_but_a_text_needs_its_own() -> None:
    one, two = asked("A", "B")
    assert codes({form.answer_field(one): "nej"}, (one, two)) == []
    assert codes({form.answer_field(one): "nej", form.text_field(two): "x"}, (one, two)) == ["choose_with_text"]
    assert codes({}, (one, two)) == ["choose_one"]


def test_a_text_is_as_long_as_it_is_on_the_page_whatever_the_browser_makes_of_its_lines() -> None:
    (block,) = asked("A")
    fields = {form.answer_field(block): "ja", form.text_field(block): ("rad\r\n" * 1000).strip()}
    filled = form.read(fields, (block,))
    assert filled.faults == ()
    assert filled.of(block).text.count("\n") == 999
    assert "\r" not in filled.of(block).text
    fields[form.text_field(block)] = "å" * TEXT_LENGTH
    assert form.read(fields, (block,)).faults == ()
    fields[form.text_field(block)] = "å" * (TEXT_LENGTH + 1)
    assert codes(fields, (block,)) == ["too_long"]


def test_a_control_character_is_no_part_of_a_text() -> None:
    (block,) = asked("A")
    fields = {form.answer_field(block): "ja", form.text_field(block): "a\x00b\x1bc\td"}
    assert form.read(fields, (block,)).of(block).text == "abc\td"


@pytest.mark.parametrize(
    ("number", "said"),
    [("1", []), ("5", []), ("", []), ("0", ["attendees"]), ("6", ["attendees"]), ("två", ["attendees"])],
)
def test_one_to_five_may_come(number: str, said: list[str]) -> None:
    (block,) = asked("A", meeting=MEETING)
    fields = {form.answer_field(block): "ja", form.attendees_field(block): number}
    assert codes(fields, (block,)) == said


def test_who_does_not_come_is_not_counted() -> None:
    (block,) = asked("A", meeting=MEETING)
    fields = {form.answer_field(block): "nej", form.attendees_field(block): "3"}
    assert form.read(fields, (block,)).of(block).attendees is None


def test_a_link_preselects_only_what_can_be_answered() -> None:
    blocks = asked("A")
    assert form.before(blocks, "ja").of(blocks[0]).answer == "ja"
    assert form.before(blocks, "kanske").of(blocks[0]).answer == ""
    two = asked("A", "B")
    assert form.before(two, "ja").of(two[0]).answer == ""
