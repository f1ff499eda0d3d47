"""JSON Schemas of the events, generated from the models: `python -m schemas.export` writes `schemas/generated/`.

They are checked in, so that a change of the contract is seen in review; a test fails when they drift. Written for the
writer's side (`additionalProperties: false`), each with its example.
"""

import json
from pathlib import Path
from typing import Any, Final

from schemas import case, company, contact, delivery, dialogue, invitation, notice, response, subscription, suppression
from schemas import round as round_
from schemas.topics import (
    CASES,
    COMPANIES,
    CONTACTS,
    DELIVERIES,
    DIALOGUES,
    INVITATIONS,
    NOTICES,
    RESPONSES,
    ROUNDS,
    SUBSCRIPTIONS,
    SUPPRESSIONS,
    Topic,
)
from schemas.types import Event

FOLDER: Final = Path(__file__).with_name("generated")

EVENTS: Final[dict[str, tuple[Topic, type[Event], dict[str, Any]]]] = {
    case.CASE_CHANGED: (CASES, case.Case, case.EXAMPLE),
    dialogue.DIALOGUE_CHANGED: (DIALOGUES, dialogue.Dialogue, dialogue.EXAMPLE),
    company.COMPANY_CHANGED: (COMPANIES, company.Company, company.EXAMPLE),
    company.IMPORT_COMPLETED: (COMPANIES, company.ImportCompleted, company.MARKER_EXAMPLE),
    contact.CONTACT_CHANGED: (CONTACTS, contact.Contact, contact.EXAMPLE),
    subscription.SUBSCRIPTION_CHANGED: (SUBSCRIPTIONS, subscription.Subscription, subscription.EXAMPLE),
    subscription.CASE_FOLLOWED: (SUBSCRIPTIONS, subscription.Following, subscription.FOLLOWING_EXAMPLE),
    round_.ROUND_CHANGED: (ROUNDS, round_.Round, round_.EXAMPLE),
    invitation.INVITATION_CHANGED: (INVITATIONS, invitation.Invitation, invitation.EXAMPLE),
    notice.NOTICE_REQUESTED: (NOTICES, notice.Notice, notice.EXAMPLE),
    suppression.SUPPRESSION_CHANGED: (SUPPRESSIONS, suppression.Suppression, suppression.EXAMPLE),
    delivery.DELIVERY_RECORDED: (DELIVERIES, delivery.Delivery, delivery.EXAMPLE),
    response.RESPONSE_RECORDED: (RESPONSES, response.Response, response.EXAMPLE),
}
"""Event type → its topic, its model, an example that is valid."""


def schema(event_type: str) -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of one event type."""
    topic, model, example = EVENTS[event_type]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:nardialog:{event_type}",
        "x-topic": topic.name,
        "examples": [example],
        **model.model_json_schema(),
    }


def written(event_type: str) -> str:
    """The schema as the text of its file."""
    return json.dumps(schema(event_type), ensure_ascii=False, indent=2, sort_keys=True) + "\n"


def write(folder: Path = FOLDER) -> list[Path]:
    """Writes every schema; returns the files."""
    folder.mkdir(exist_ok=True)
    paths = []
    for event_type in EVENTS:
        path = folder / f"{event_type}.json"
        path.write_text(written(event_type))
        paths.append(path)
    return paths


if __name__ == "__main__":
    for path in write():
        print(path.name)
