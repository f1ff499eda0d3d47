"""What Schemathesis loads to test the API of case systems (SCHEMATHESIS_HOOKS).

A JSON Schema cannot say which stages a model has, that a ring ends where it began, or that a case must say where it is.
So that what is meant to be right is also taken, and the parts behind are reached, such cases get words of the model and
a place; and where one is refused all the same, it must be by a rule that no schema says.
"""

import json
from typing import Any

import schemathesis

POSITIVE = "positive"


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: dict[str, Any]) -> None:
    """Gives a case that fits the schema words of the model and a place."""
    if _is_positive(case) and isinstance(case.body, dict) and "/cases" in case.operation.path:
        case.body |= {"case_type": "gatuarbete", "stage": "projektering", "geometries": [], "area": "municipality"}
        case.body |= {"form": None, "meeting": None, "industries": [], "reach": None}


@schemathesis.check
def refused_by_a_rule_alone(ctx: Any, response: Any, case: Any) -> None:
    """What fits the schema is never refused for its shape."""
    if response.status_code != 422 or not _is_positive(case):
        return
    faults = json.loads(response.content).get("errors", [])
    shape = [fault for fault in faults if fault["code"] == "wrong_shape" and not _of_a_rule(fault)]
    assert not shape, f"fits the schema and is refused for its shape: {shape}"


def _is_positive(case: Any) -> bool:
    return case.meta is not None and case.meta.generation.mode.value == POSITIVE


def _of_a_rule(fault: dict[str, str]) -> bool:
    return fault["detail"].startswith(("value_error", "string_too_short"))  # a text that is blank once it is stripped
