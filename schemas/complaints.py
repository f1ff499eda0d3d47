"""What is wrong with something that came in: a stable code, what to do, and where (JSON pointer, RFC 6901).

A complaint never quotes the input, which may be personal data. Of pydantic's errors the kind, the schema's own limits
and the place are kept; a name that is no field is told only where it looks like one.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from pydantic import ValidationError

from schemas.types import type_id_pattern, web_pattern

WRONG_SHAPE: Final = "wrong_shape"
BROKEN_JSON: Final = "broken_json"
MOST: Final = 100
"""As many complaints are told of one input; who has more mends these first."""

ADVICE: Final[Mapping[str, str]] = {
    "missing": "the field is required; add it",
    "extra_forbidden": "no such field; remove it or correct its name",
    "literal_error": "not one of the allowed values; use {expected}",
    "enum": "not one of the allowed values; use {expected}",
    "string_too_long": "too long; shorten it to {max_length} characters",
    "string_too_short": "too short; write at least {min_length} characters",
    "string_pattern_mismatch": "not in the form {pattern}; correct it",
    "string_type": "must be text; put it in quotation marks",
    "string_unicode": "must be valid Unicode text",
    "too_long": "too long; use at most {max_length}",
    "too_short": "too short; use at least {min_length}",
    "greater_than_equal": "too small; use {ge} or more",
    "less_than_equal": "too large; use {le} or less",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a number that is not infinite",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "list_type": "must be a list",
    "tuple_type": "must be a list",
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
    "date_type": "must be a day, such as 2025-12-05",
    "date_parsing": "must be a day, such as 2025-12-05",
    "date_from_datetime_parsing": "must be a day, such as 2025-12-05",
    "date_from_datetime_inexact": "must be a day, such as 2025-12-05, without a time",
    "datetime_type": "must be a moment, such as 2025-12-05T16:00:00+01:00",
    "datetime_parsing": "must be a moment, such as 2025-12-05T16:00:00+01:00",
    "datetime_from_date_parsing": "must be a moment, such as 2025-12-05T16:00:00+01:00",
    "timezone_aware": "has no offset from UTC; add Z or +01:00",
    "union_tag_invalid": "not a geometry type of GeoJSON that may stand here (RFC 7946 §3.1); of a Feature send its "
    "geometry, and of a collection in a collection its parts",
    "union_tag_not_found": "has no type; a GeoJSON geometry has one (RFC 7946 §3.1)",
}
"""What to do, by pydantic's kind of error, with the schema's limits filled in."""

PATTERNS: Final[Mapping[str, str]] = {
    type_id_pattern: "not an id of the dialogue model; these have lower-case letters, digits and _ . - only",
    "^[0-9]{4}$": "not SCB's code of a municipality; write its four digits, such as 0162",
    "^(2025|2007)$": "not a version of SNI; write 2025 or 2007",
    web_pattern: "not a public address; it begins with https:// and has no spaces",
}
"""What a schema's patterns mean, in words."""

_FIELD = re.compile(r"[A-Za-z][A-Za-z_]{0,39}")


@dataclass(frozen=True)
class Complaint:
    """What is wrong with an input: a stable code, what to do about it, where (JSON pointer inside the input)."""

    code: str
    detail: str
    pointer: str = ""

    def under(self, pointer: str) -> "Complaint":
        """The same, seen from further out."""
        return Complaint(self.code, self.detail, pointer + self.pointer)


def of_shape(error: ValidationError, value: bytes) -> list[Complaint]:
    """Pydantic's errors on a JSON text as complaints, in the order of the schema's fields."""
    content = _content(value)
    found: list[tuple[Complaint, bool]] = []
    for item in error.errors(include_input=False, include_url=False):
        if item["type"] == "json_invalid":
            return [Complaint(BROKEN_JSON, "is not whole JSON; send one JSON object in UTF-8")]
        pointer, branched = _pointer(item["loc"], content, item["type"])
        found.append((Complaint(WRONG_SHAPE, f"{item['type']}: {advice(item)}", pointer), branched))
    return list(dict.fromkeys(_without_other_branches(found)))[:MOST]


def pointer_to(parts: Iterable[object]) -> str:
    """A JSON pointer."""
    return "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in parts)


def _content(value: bytes) -> Any:
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return None


def _pointer(loc: tuple[int | str, ...], content: Any, kind: str) -> tuple[str, bool]:
    """Where an error stands in the input, and whether it is of one branch of a union. Pydantic's place also names the
    branch, which is nothing in the input.
    """
    here, parts, branched = content, list[object](), False
    for i, part in enumerate(loc):
        last = i == len(loc) - 1
        if _has(here, part):
            here = here[part]
            if last and kind == "extra_forbidden" and not _FIELD.fullmatch(str(part)):
                continue
        elif not (last and kind == "missing"):
            branched = True
            continue
        parts.append(part)
    return pointer_to(parts), branched


def _has(content: Any, part: int | str) -> bool:
    if isinstance(content, list):
        return isinstance(part, int) and part < len(content)
    return isinstance(content, dict) and part in content


def _without_other_branches(found: list[tuple[Complaint, bool]]) -> Iterable[Complaint]:
    """Where one branch of a union has a fault further in, that is the one that was meant."""
    for complaint, branched in found:
        deeper = f"{complaint.pointer}/"
        if not (branched and any(other.pointer.startswith(deeper) for other, _ in found)):
            yield complaint


def advice(item: Any) -> str:
    """What to do about one of pydantic's errors."""
    if item["type"] == "value_error":
        return str(item["msg"]).removeprefix("Value error, ")
    context = item.get("ctx", {})
    if context.get("pattern") in PATTERNS:
        return PATTERNS[context["pattern"]]
    try:
        return ADVICE[item["type"]].format(**context)
    except KeyError:
        return "does not fit the schema; see the JSON Schema"
