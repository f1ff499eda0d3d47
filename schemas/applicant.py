"""A case's applicant, who is never invited: an organisation, by its number, or a sole trader, whose number is personal.

A personal number never stands on `cases`: the doors put the recipient id in its place, which is a keyed hash, and by
which the register's workplaces of the same applicant are known. Whoever writes to the topic past the doors is refused,
and nothing of the value is kept.
"""

import json
import re
from collections.abc import Callable
from typing import Final

from schemas.case import Case
from schemas.complaints import Complaint
from schemas.identity import recipient_id
from schemas.types import RecipientId, reads_as_person

PERSONAL: Final = Complaint(
    "personal_applicant",
    "the applicant is a personal number, which may not stand on the topic; "
    "send the case by POST /api/v1/cases or `nardialog case submit`, which put a keyed hash in its place",
    "/applicant",
)
_NAMED: Final = re.compile(rb'"applicant"|\\u00')


def of(case: Case, key: bytes) -> RecipientId | None:
    """The applicant's recipient id; None where the case names none."""
    if case.applicant_id is not None:
        return RecipientId(case.applicant_id)
    return recipient_id(case.applicant, key) if case.applicant else None


def is_person(case: Case) -> bool:
    """Whether the applicant's number is personal and stands in clear."""
    return case.applicant is not None and reads_as_person(case.applicant)


def keyed(case: Case, key: Callable[[], bytes]) -> Case:
    """The case as it may be published. The key is only asked for where it is needed."""
    if case.applicant is None or not is_person(case):
        return case
    return case.model_copy(update={"applicant": None, "applicant_id": recipient_id(case.applicant, key())})


def names_person(value: bytes) -> bool:
    """Whether the bytes of a case, well-formed or not, name a person as applicant."""
    if not _NAMED.search(value):
        return False
    try:
        content = json.loads(value)
    except (ValueError, RecursionError):
        return False
    applicant = content.get("applicant") if isinstance(content, dict) else None
    return isinstance(applicant, str | int) and reads_as_person(str(applicant))
