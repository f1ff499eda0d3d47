"""A case's applicant is known by its number; a personal number is known by its keyed hash alone."""

import json
from typing import Any

import pytest

from schemas import applicant
from schemas import model as dialogue_model
from schemas.case import Case
from schemas.identity import recipient_id
from services.matcher.door import accept, read
from services.matcher.late import reach_hash
from services.portal.case_orders import submission
from services.runtime.errors import Rejected
from services.runtime.settings import KafkaSettings
from tests.matcher_cases import content
from tests.unit.test_case_orders import NOW
from tests.unit.test_matcher_door import MODEL, record

KEY = b"k" * 32
PERSONS = ["121212-1212", "19121212-1212", "191212121212", "SE121212121201", "\uff11\uff1212121212", "121272-1219"]


def case(**changes: Any) -> Case:
    return Case.model_validate(content(**changes))


@pytest.mark.parametrize("number", PERSONS)
def test_fc_091_a_sole_traders_number_is_keyed_and_the_applicant_is_the_same(number: str) -> None:
    """FC-091."""
    given = case(applicant=number)
    made = applicant.keyed(given, lambda: KEY)
    assert made.applicant is None
    assert applicant.of(made, KEY) == applicant.of(given, KEY) == recipient_id(number, KEY)
    assert applicant.keyed(made, lambda: b"another") == made
    assert reach_hash(made) != reach_hash(case())


@pytest.mark.parametrize("number", ["559999-0008", "EXO-0001", None])
def test_an_organisation_stays_as_it_is_and_needs_no_key(number: str | None) -> None:
    given = case(applicant=number)
    assert applicant.keyed(given, lambda: pytest.fail("no key is asked for")) is given
    assert applicant.of(given, KEY) == (recipient_id(number, KEY) if number else None)


@pytest.mark.parametrize("number", PERSONS)
@pytest.mark.parametrize("also", [{}, {"stage": "nej"}, {"title": 7}])
def test_a_case_that_names_a_person_straight_on_the_topic_is_refused_and_nothing_of_it_kept(
    number: str, also: dict[str, object]
) -> None:
    """Whatever else is wrong with it."""
    value = json.dumps(content(applicant=number) | also).encode()
    with pytest.raises(Rejected) as caught:
        accept(record(value), MODEL)
    assert (caught.value.reason, caught.value.drop_value) == ("personal_applicant", True)
    assert number not in str(caught.value)


def test_a_number_that_is_no_text_and_an_escaped_name_are_seen_too() -> None:
    for value in (b'{"applicant": 191212121212}', b'{"\\u0061pplicant": "121212-1212"}'):
        with pytest.raises(Rejected, match="keyed hash"):
            accept(record(value), MODEL)


def test_a_file_may_name_a_person_for_it_is_matched_where_it_lies() -> None:
    assert read(json.dumps(content(applicant="121212-1212")).encode(), dialogue_model.default()).applicant


def test_no_door_can_publish_a_persons_number_by_mistake() -> None:
    with pytest.raises(ValueError, match="may not stand on the topic"):
        submission(case(applicant="121212-1212"), None, (), KafkaSettings(), NOW)
