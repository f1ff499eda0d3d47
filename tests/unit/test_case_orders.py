"""What is said about a case: which states of a round it holds, in what order, and what is refused."""

import json
from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from schemas.case import Case, CaseState
from schemas.dialogue import Dialogue
from schemas.identity import round_id
from schemas.round import EXAMPLE, Outcome, Round, RoundState
from schemas.suppression import Suppression
from schemas.types import Basis
from services.portal import case_orders
from services.portal.case_orders import Standing, content_hash, event_id, standing, submission
from services.portal.owed import COLUMNS, owing, row
from services.runtime.json_texts import split
from services.runtime.records import Outgoing
from services.runtime.settings import KafkaSettings
from tests.matcher_cases import content

KAFKA = KafkaSettings(topic_prefix="t-")
NOW = datetime(2026, 11, 25, 8, tzinfo=UTC)
CASE = Case.model_validate(content())


def round_(**changes: object) -> Round:
    return Round.model_validate(EXAMPLE | {"case_key": CASE.key, "set_hash": "ab" * 16} | changes)


def held_by(record: Outgoing) -> Suppression:
    assert record.topic == "t-suppressions"
    return Suppression.model_validate_json(record.value or b"")


def holds(suppression: Suppression, basis: Basis) -> bool:
    assert suppression.basis is not None
    return basis.order <= suppression.basis.order


def undone(basis: Basis, so_far: Dialogue | None = None, version: int = 1) -> tuple[Dialogue, Suppression]:
    open_ = round_(basis=basis.model_dump())
    decided = case_orders.undone(open_, so_far, NOW, by="prov", reason="fel område")
    first, then = case_orders.undo(decided, open_, version, KAFKA, NOW)
    assert [record.topic for record in then] == ["t-dialogues"]
    return decided, held_by(first[0])


def test_an_undo_holds_the_open_round_at_once_and_not_what_the_next_release_opens() -> None:
    present = Basis(case_version=1, import_number=7, subscription=3)
    decided, suppression = undone(present)
    assert holds(suppression, present)
    again = case_orders.released(round_(), decided, NOW, by="prov", reason="")
    assert [item.kind for item in again.decisions] == ["undo", "release"]
    assert not holds(suppression, Basis(case_version=1, decision=again.number))


def test_an_undo_holds_what_is_derived_meanwhile_from_a_new_import_or_the_cases_newest_version() -> None:
    _, suppression = undone(Basis(case_version=1, import_number=7), version=2)
    assert holds(suppression, Basis(case_version=1, decision=1, import_number=8, subscription=90))
    assert holds(suppression, Basis(case_version=2, import_number=8))
    assert not holds(suppression, Basis(case_version=2, decision=2))


def test_a_second_undo_holds_what_the_release_between_them_opened() -> None:
    decided, first = undone(Basis(case_version=1))
    decided = case_orders.released(round_(), decided, NOW, by="prov", reason="")
    reopened = Basis(case_version=1, decision=decided.number, import_number=1)
    decided, second = undone(reopened, decided)
    assert not holds(first, reopened)
    assert holds(second, reopened)
    assert (decided.number, second.suppression_id) == (3, first.suppression_id)


def test_a_release_names_the_set_that_was_looked_at_and_an_undo_the_reason() -> None:
    decided = case_orders.released(round_(), None, NOW, by="näringslivskontoret", reason="kontrollerad")
    assert decided.key == "0162/exempel/EX-2"
    assert (decided.decisions[0].set_hash, decided.decisions[0].by) == ("ab" * 16, "näringslivskontoret")
    assert undone(Basis(case_version=1))[1].reason == "fel område"


@pytest.mark.parametrize("state", RoundState)
def test_a_withdrawal_first_holds_the_rounds_that_are_not_finished(state: RoundState) -> None:
    ends = case_orders.withdrawn(CASE)
    asked, informed = (round_id(CASE.key, CASE.stage, 1, purpose) for purpose in ("ask", "inform"))
    known = [round_(round_id=asked, state=state), round_(round_id=informed, state="closed")]
    first, then = submission(ends, CASE, known, KAFKA, NOW)
    assert [record.topic for record in then] == ["t-cases"]
    assert len(first) == (state in {RoundState.OPEN, RoundState.MATCHING, RoundState.HELD})
    for record in first:
        suppression = held_by(record)
        assert holds(suppression, Basis(case_version=1, decision=9, import_number=9, subscription=9))
        assert not holds(suppression, Basis(case_version=2, import_number=1))


def test_a_withdrawal_also_holds_what_the_matcher_may_be_about_to_open() -> None:
    """The case was sent a moment ago: no round of it is known yet, and the stage has just moved on."""
    moved = CASE.model_copy(update={"version": 2, "stage": "ta_plan"})
    first, _ = submission(case_orders.withdrawn(moved), CASE, [], KAFKA, NOW)
    assert {held_by(record).round_id for record in first} == {
        round_id(CASE.key, stage, 1, purpose) for stage in ("projektering", "ta_plan") for purpose in ("ask", "inform")
    }


def test_a_case_that_stays_open_holds_nothing() -> None:
    assert submission(CASE, CASE, [round_()], KAFKA, NOW)[0] == ()


def test_a_withdrawal_is_the_next_version_of_the_whole_case() -> None:
    ends = case_orders.withdrawn(CASE)
    assert (ends.version, ends.state.value, ends.title) == (2, "withdrawn", CASE.title)


def test_the_same_state_is_the_same_event_however_it_was_written() -> None:
    spaced = json.dumps(content(title="  Titel "), indent=3)
    assert event_id(Case.model_validate_json(spaced)) == event_id(CASE)
    assert event_id(CASE.model_copy(update={"title": "Annan"})) != event_id(CASE)


@pytest.mark.parametrize(
    ("version", "title", "what"),
    [
        (3, "Titel", Standing.NEW),
        (2, "Titel", Standing.KNOWN),
        (2, "Annan", Standing.CONFLICT),
        (1, "Titel", Standing.STALE),
    ],
)
def test_a_version_says_one_thing_and_rises(version: int, title: str, what: Standing) -> None:
    known = CASE.model_copy(update={"version": 2})
    given = CASE.model_copy(update={"version": version, "title": title})
    assert standing(given, known.version, content_hash(known)) is what


def test_of_two_decisions_at_once_the_one_that_was_replaced_knows_it() -> None:
    ours = case_orders.released(round_(), None, NOW, by="a", reason="")
    theirs = case_orders.released(round_(), None, NOW, by="b", reason="")
    assert case_orders.stands(ours, ours)
    assert not case_orders.stands(ours, theirs)
    assert not case_orders.stands(ours, None)


@pytest.mark.parametrize(
    ("data", "lines"),
    [
        (b'{"a": 1}\n\n{"a": 2}\n', [1, 3]),
        (b'\n{\n  "a": 1\n}\n', [2]),
        (b'{"a": [\n{"b": 1}\n]}', [1]),
        (b'{"a": 1,\n"b": 2', [1]),
        (b'{"a": 1\n{"a": 2}\n', [1, 2]),
        (b'{"a": 1', [1]),
        (b" \n", []),
    ],
)
def test_a_case_file_is_lines_or_one_object(data: bytes, lines: list[int]) -> None:
    assert [line for line, _ in split(data)] == lines


def feedback_round(**changes: object) -> Round:
    about = {"round_id": "f1", "purpose": "feedback", "follows": round_().round_id, "number": 1}
    return round_(**about | changes)


def test_a_case_that_is_closed_still_tells_what_came_of_the_answers_and_one_that_is_withdrawn_does_not() -> None:
    closed = CASE.model_copy(update={"version": 2, "state": CaseState.CLOSED})
    held, _ = submission(closed, CASE, [round_(), feedback_round()], KAFKA, NOW)
    assert "f1" not in {held_by(record).round_id for record in held}
    held, _ = submission(case_orders.withdrawn(CASE), CASE, [round_(), feedback_round()], KAFKA, NOW)
    assert "f1" in {held_by(record).round_id for record in held}


def test_a_decision_to_tell_something_says_it_in_swedish() -> None:
    told = case_orders.fed_back(round_(), None, NOW, by="ops", outcome=Outcome(taken="Vi flyttar lastzonen."))
    assert (told.decisions[0].kind, told.decisions[0].outcome) == ("feedback", Outcome(taken="Vi flyttar lastzonen."))
    both = case_orders.corrected(round_(), told, NOW, by="ops", text="Dagen är den 9.", text_en="The day is the 9th.")
    assert (both.number, both.decisions[1].correction) == (2, "Dagen är den 9.")
    with pytest.raises(ValidationError, match="feedback needs"):
        case_orders.fed_back(round_(), None, NOW, by="ops", outcome=Outcome(taken_en="Only in English", said=" "))
    with pytest.raises(ValidationError, match="correct needs"):
        case_orders.corrected(round_(), None, NOW, by="ops", text="")


def promising(**changes: object) -> Round:
    by = changes.pop("feedback_by", "2026-12-01")
    return round_(plan={**EXAMPLE["plan"], "feedback_by": by}, **changes)  # type: ignore[dict-item]


def test_a_round_owes_from_its_first_invitation_until_those_who_were_asked_are_told() -> None:
    assert owing([promising()]) == [promising()]
    assert owing([promising(state="closed", reason="newer_stage")])
    assert owing([promising(state="withdrawn"), promising(state="held"), promising(state="silent")]) == []
    assert owing([promising(counts={"invitations": 0}), promising(purpose="inform")]) == []
    assert owing([promising(), feedback_round()]) == []
    assert owing([promising(), feedback_round(state="held", reason="undone")]) == [promising()]


def test_what_is_owed_soonest_comes_first_and_says_whether_its_day_has_passed() -> None:
    rounds = [
        promising(round_id=name, feedback_by=by) for name, by in (("a", None), ("b", "2026-11-24"), ("c", "2026-11-25"))
    ]
    assert [item.round_id for item in owing(rounds)] == ["b", "c", "a"]
    late = [dict(zip(COLUMNS, row(item, NOW), strict=True))["late"] for item in owing(rounds)]
    assert late == [True, False, False]
