"""The matcher's door: which cases and decisions are taken, and why the others are not.

The rules are `schemas.case_rules`, which every door shares; here the first complaint is the reason. A confidential case
may not even lie among the dead letters (OSL 2009:400), so it is refused with its value dropped; so is one that names a
person's number as applicant.
"""

from schemas import applicant, case_rules
from schemas.case import CASE_CHANGED, Case, may_be_confidential
from schemas.case_rules import CONFIDENTIAL
from schemas.complaints import Complaint
from schemas.dialogue import DIALOGUE_CHANGED, Dialogue
from schemas.envelope import HELD
from schemas.model import DialogueModel
from services.runtime.errors import Rejected
from services.runtime.parsing import Parsed, parse, validate
from services.runtime.records import Record

FAMILY = "se.nardialog.case."
DIALOGUES = "se.nardialog.dialogue."


def accept(record: Record, model: DialogueModel, *, anywhere: bool = False) -> Parsed[Case] | None:
    """The case in a record of `cases`, or None for a type that a newer writer may send. Raises `Rejected`."""
    value = record.value or b""
    _bounded(value)
    if applicant.names_person(value):
        raise _refusal(applicant.PERSONAL)
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


def accept_dialogue(record: Record) -> Parsed[Dialogue] | None:
    """The decisions in a record of `dialogues`, or None for a type that a newer writer may send. Raises `Rejected`."""
    parsed = parse(record, {DIALOGUE_CHANGED: Dialogue}, DIALOGUES)
    if parsed is not None and record.key != parsed.event.key.encode():
        raise Rejected("wrong_key", "the key must be municipality/source/case id; send it so")
    return parsed


def is_edited(parsed: Parsed[Case]) -> bool:
    """Whether the case asks to be held until an official has looked: it was edited among the dead letters."""
    return parsed.envelope.extensions.get(HELD) == "edited"


def read(value: bytes, model: DialogueModel, *, anywhere: bool = False) -> Case:
    """The case in a line of a case file, read as strictly as `case validate` does. Raises `Rejected`."""
    _bounded(value)
    try:
        case = validate(value, Case, extra="forbid", strict=True)
    except Rejected as error:
        raise _careful(error, value) from None
    admit(case, model, anywhere=anywhere)
    return case


def admit(case: Case, model: DialogueModel, *, anywhere: bool = False) -> None:
    """Raises `Rejected` for a well-formed case that cannot be meant or is unknown to the model."""
    for complaint in case_rules.complaints(case, model, anywhere=anywhere):
        raise _refusal(complaint)


def _bounded(value: bytes) -> None:
    if may_be_confidential(value):
        raise _refusal(CONFIDENTIAL)
    if complaint := case_rules.too_large(len(value)):
        raise _refusal(complaint)


def _careful(error: Rejected, value: bytes) -> Rejected:
    """The error, or the refusal of a confidential case where the bytes could say so in some disguise."""
    said = Complaint(error.reason, error.detail, error.pointer)
    return _refusal(CONFIDENTIAL) if case_rules.says_confidential([said], value) else error


def _refusal(complaint: Complaint) -> Rejected:
    return Rejected(
        complaint.code, complaint.detail, complaint.pointer, drop_value=complaint in (CONFIDENTIAL, applicant.PERSONAL)
    )
