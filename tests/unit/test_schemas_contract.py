"""The contract: examples are valid, the checked-in schemas are the models', forms of one number are one recipient."""

import json

import jsonschema
import pytest
from pydantic import ValidationError

from schemas.export import EVENTS, FOLDER, schema, written
from schemas.identity import DEMO_RECIPIENT_KEY, recipient_id
from schemas.topics import ALL_TOPICS, TOPICS


@pytest.mark.parametrize("event_type", EVENTS)
def test_the_checked_in_schema_does_not_drift(event_type: str) -> None:
    assert (FOLDER / f"{event_type}.json").read_text() == written(event_type), "run `python -m schemas.export`"


@pytest.mark.parametrize("event_type", EVENTS)
def test_each_example_is_valid_by_model_and_by_schema(event_type: str) -> None:
    _, model, example = EVENTS[event_type]
    model.model_validate_json(json.dumps(example))
    jsonschema.validate(example, schema(event_type))


def test_every_topic_has_dead_letters_that_take_more_than_it() -> None:
    assert len(ALL_TOPICS) == 2 * len(TOPICS)
    assert all(topic.dead_letters.max_message_bytes > topic.max_message_bytes for topic in TOPICS)


@pytest.mark.parametrize("form", ["559999-0008", "5599990008", "165599990008", "SE559999000801"])
def test_every_way_to_write_an_organisation_number_is_one_recipient(form: str) -> None:
    assert recipient_id(form, DEMO_RECIPIENT_KEY) == recipient_id("5599990008", DEMO_RECIPIENT_KEY)


def test_no_key_that_we_store_holds_what_a_database_cannot() -> None:
    for _, model, example in EVENTS.values():
        if "case_key" in example:
            with pytest.raises(ValidationError, match="case_key"):
                model.model_validate_json(json.dumps({**example, "case_key": "0162/x/\x00"}))
