"""Which cases are taken, and everything that is wrong with the others: one set of rules for every door.

Confidentiality is asked before anything else, and again of whatever could not be parsed: a confidential case is not
even a list of faults (OSL 2009:400). What passes can be matched: its geometries can be meant, its codes exist in
their version of SNI, its type, stage and forms are the dialogue model's. The doors for people and case systems
(`judge`) are strict about the shape and tell all at once; the reader of `cases` is tolerant and asks `complaints` of
what it could read.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from pydantic import ValidationError

from schemas import geojson, industries
from schemas.case import Case, may_be_confidential
from schemas.complaints import MOST, WRONG_SHAPE, Complaint, of_shape
from schemas.model import DialogueModel
from schemas.topics import EVENT_BYTES
from schemas.types import IndustryCode

CONFIDENTIAL: Final = Complaint(
    "confidential", "confidential cases are not taken; keep them in the case system", "/confidential"
)
_PLACES: Final = frozenset({"geometries", "area", "named", "state"})


@dataclass(frozen=True)
class Verdict:
    """A case that is taken, or why not."""

    case: Case | None
    complaints: tuple[Complaint, ...] = ()

    @property
    def confidential(self) -> bool:
        """Whether nothing of it may be kept or shown."""
        return CONFIDENTIAL in self.complaints


def judge(value: bytes, model: DialogueModel, *, anywhere: bool = False, most_bytes: int = EVENT_BYTES) -> Verdict:
    """The case in a JSON text, or everything that is wrong with it. With `anywhere` places may lie outside Sweden."""
    if may_be_confidential(value):
        return Verdict(None, (CONFIDENTIAL,))
    if oversized := too_large(len(value), most_bytes):
        return Verdict(None, (oversized,))
    try:
        case = Case.model_validate_json(value, strict=True, extra="forbid")
    except ValidationError as error:
        found = of_shape(error, value)
        if says_confidential(found, value):
            return Verdict(None, (CONFIDENTIAL,))
        told = dict.fromkeys([*found, *_of_the_rest(value, found, model, anywhere=anywhere)])
        return Verdict(None, tuple(told)[:MOST])
    found = list(complaints(case, model, anywhere=anywhere))[:MOST]
    return Verdict(None if found else case, tuple(found))


def complaints(case: Case, model: DialogueModel, *, anywhere: bool = False) -> Iterator[Complaint]:
    """Why a well-formed case cannot be meant or is unknown to the model."""
    yield from _unknown_words(case, model)
    for i, item in enumerate(case.geometries):
        if complaint := geojson.check(item.geometry, anywhere=anywhere):
            yield complaint.under(f"/geometries/{i}/geometry")
    yield from _unknown_codes(case.industries, "/industries")
    for i, ring in enumerate(case.reach or []):
        if ring.industries != "all":
            yield from _unknown_codes(ring.industries, f"/reach/{i}/industries")


def too_large(size: int, most: int = EVENT_BYTES) -> Complaint | None:
    """Whether an event has too many bytes."""
    if size <= most:
        return None
    return Complaint(
        "too_large", f"the event has {size} bytes; the limit is {most}: make it smaller, its geometries first"
    )


def says_confidential(found: list[Complaint], value: bytes) -> bool:
    """Whether what could not be parsed could say so in some disguise: `\\u0063onfidential`, UTF-16."""
    if any(item.pointer == CONFIDENTIAL.pointer for item in found):
        return True
    try:
        content: Any = json.loads(value)
    except (ValueError, RecursionError):
        return False
    return isinstance(content, dict) and content.get("confidential", False) not in (False, None)


def _of_the_rest(value: bytes, found: list[Complaint], model: DialogueModel, *, anywhere: bool) -> list[Complaint]:
    """What the rules say of the fields whose shape is right, so that who corrects a case need not come back twice.

    Fields at fault are left out, or filled in where a case must have them; what is said of those is dropped.
    """
    content = json.loads(value) if found[0].code == WRONG_SHAPE else None
    if not isinstance(content, dict):
        return []
    faulty = {item.pointer.split("/")[1] for item in found if item.pointer}
    known = {name: part for name, part in content.items() if name in Case.model_fields and name not in faulty}
    filled: dict[str, Any] = {name: part for name, part in _fillings(model).items() if name not in known}
    if _PLACES & faulty:
        filled["named"] = ["-"]
        known.pop("area", None)
    try:
        case = Case.model_validate_json(json.dumps(known | filled), strict=True)
    except ValidationError as error:  # a rule over several fields
        return [item for item in of_shape(error, b"{}") if not item.pointer]
    unsure = {*faulty, *filled, *({"stage"} if "case_type" in filled else ())}
    return [
        item
        for item in complaints(case, model, anywhere=anywhere)
        if not (item.pointer and item.pointer.split("/")[1] in unsure)
    ]


def _fillings(model: DialogueModel) -> dict[str, Any]:
    case_type = model.case_types[0]
    return {
        "municipality": "0000", "source": "-", "case_id": "-", "version": 1, "title": "-",
        "case_type": case_type.id, "stage": case_type.stages[0].id,
    }  # fmt: skip


def _unknown_words(case: Case, model: DialogueModel) -> Iterator[Complaint]:
    case_type = model.case_type(case.case_type)
    if case_type is None:
        known = ", ".join(item.id for item in model.case_types)
        yield Complaint("unknown_case_type", f"the model has no such case type; known: {known}", "/case_type")
    elif model.stage(case.case_type, case.stage) is None:
        known = ", ".join(stage.id for stage in case_type.stages)
        yield Complaint("unknown_stage", f"case type {case_type.id} has no such stage; known: {known}", "/stage")
    asked = {"/form": case.form, "/meeting/form": case.meeting.form if case.meeting else None}
    for pointer, form in asked.items():
        if form is not None and form not in model.forms:
            yield Complaint("unknown_form", f"the model has no such form; known: {', '.join(model.forms)}", pointer)


def _unknown_codes(codes: list[IndustryCode], pointer: str) -> Iterator[Complaint]:
    for i, item in enumerate(codes):
        try:
            industries.parse(item.code, item.version)
        except industries.UnknownCode as error:
            yield Complaint("unknown_code", str(error), f"{pointer}/{i}/code")
