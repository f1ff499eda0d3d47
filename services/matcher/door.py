"""The matcher's door: which cases are taken, and why the others are not.

Confidentiality is asked before anything else, and again of whatever could not be parsed: a confidential case may not
even lie among the dead letters (OSL 2009:400), so it is refused with its value dropped. What passes here can be
matched: its geometries can be meant, its codes exist in SNI 2025, its type and stage are the dialogue model's.
"""

import json
from typing import Any

from schemas import geojson, industries
from schemas.case import CASE_CHANGED, Case, may_be_confidential
from schemas.model import DialogueModel
from schemas.topics import EVENT_BYTES
from schemas.types import IndustryCode
from services.runtime.errors import Rejected
from services.runtime.parsing import Parsed, parse, validate
from services.runtime.records import Record

FAMILY = "se.nardialog.case."


def accept(record: Record, model: DialogueModel, *, anywhere: bool = False) -> Parsed[Case] | None:
    """The case in a record of `cases`, or None for a type that a newer writer may send. Raises `Rejected`."""
    value = record.value or b""
    _bounded(value)
    try:
        parsed = parse(record, {CASE_CHANGED: Case}, FAMILY)
    except Rejected as error:
        raise _careful(error, value) from None
    if parsed is None:
        return None
    if record.key != parsed.event.key.encode():
        raise Rejected("wrong_key", "the key must be municipality/source/case id; send it so")
    admit(parsed.event, model, anywhere=anywhere)
    return parsed


def read(value: bytes, model: DialogueModel, *, anywhere: bool = False) -> Case:
    """The case in a line of a case file: unknown fields are refused. Raises `Rejected`."""
    _bounded(value)
    try:
        case = validate(value, Case, extra="forbid")
    except Rejected as error:
        raise _careful(error, value) from None
    admit(case, model, anywhere=anywhere)
    return case


def admit(case: Case, model: DialogueModel, *, anywhere: bool = False) -> None:
    """Raises `Rejected` for a well-formed case that cannot be meant or is unknown to the model."""
    _known_stage(case, model)
    for i, item in enumerate(case.geometries):
        if complaint := geojson.check(item.geometry, anywhere=anywhere):
            raise Rejected(complaint.code, complaint.detail, f"/geometries/{i}/geometry{complaint.pointer}")
    _known_codes(case.industries, "/industries")
    for i, ring in enumerate(case.reach or []):
        if ring.industries != "all":
            _known_codes(ring.industries, f"/reach/{i}/industries")


def _bounded(value: bytes) -> None:
    if may_be_confidential(value):
        raise _confidential()
    if len(value) > EVENT_BYTES:
        raise Rejected("too_large", f"the event has {len(value)} bytes; the limit is {EVENT_BYTES}: make it smaller")


def _confidential() -> Rejected:
    return Rejected(
        "confidential",
        "confidential cases are not taken; keep them in the case system",
        "/confidential",
        drop_value=True,
    )


def _careful(error: Rejected, value: bytes) -> Rejected:
    """The error, or the refusal of a confidential case where the bytes could say so in some disguise (`\\u0063…`)."""
    if error.pointer == "/confidential":
        return _confidential()
    try:
        content: Any = json.loads(value)
    except (ValueError, RecursionError):
        return error
    marked = isinstance(content, dict) and content.get("confidential", False) not in (False, None)
    return _confidential() if marked else error


def _known_stage(case: Case, model: DialogueModel) -> None:
    case_type = model.case_type(case.case_type)
    if case_type is None:
        known = ", ".join(item.id for item in model.case_types)
        raise Rejected("unknown_case_type", f"the model has no such case type; known: {known}", "/case_type")
    if model.stage(case.case_type, case.stage) is None:
        known = ", ".join(stage.id for stage in case_type.stages)
        raise Rejected("unknown_stage", f"case type {case_type.id} has no such stage; known: {known}", "/stage")
    asked = {"/form": case.form, "/meeting/form": case.meeting.form if case.meeting else None}
    for pointer, form in asked.items():
        if form is not None and form not in model.forms:
            raise Rejected("unknown_form", f"the model has no such form; known: {', '.join(model.forms)}", pointer)


def _known_codes(codes: list[IndustryCode], pointer: str) -> None:
    for i, item in enumerate(codes):
        if item.version != "2025":
            raise Rejected("sni_2007", "SNI 2007 comes later; use SNI 2025", f"{pointer}/{i}/version")
        try:
            industries.parse(item.code)
        except industries.UnknownCode as error:
            raise Rejected("unknown_code", str(error), f"{pointer}/{i}/code") from None
