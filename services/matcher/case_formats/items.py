"""What a case file holds, piece by piece: a case as text, a refusal, or something left out on purpose."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, TypeAlias

from schemas.complaints import Complaint
from schemas.types import is_personal_number


class Unreadable(Exception):
    """The file as a whole cannot be read: what, where, what to do."""


@dataclass(frozen=True)
class Draft:
    """One case in our shape, as JSON, not judged yet."""

    place: str
    value: bytes
    case: str | None = None
    """The case's id, where it was read before."""
    numbered: int | None = None
    """None where `version` is the sender's own. Else the version is derived when it is known what was sent before:
    this is the source's number of the state, 0 where it numbers none.
    """
    opened: date | None = None
    """When its stage began, where the file says so."""


@dataclass(frozen=True)
class Refusal:
    """Something that no case came of. No complaint quotes personal data; a code that stands in a list is named."""

    place: str
    complaints: tuple[Complaint, ...]
    case: str | None = None


@dataclass(frozen=True)
class Skipped:
    """Something that was left out because the mapping says so."""

    place: str
    reason: str


Item: TypeAlias = Draft | Refusal | Skipped


class Unusable(Exception):
    """One piece of the file cannot become a case."""

    def __init__(self, code: str, detail: str, pointer: str = "") -> None:
        super().__init__(detail)
        self.complaint = Complaint(code, detail, pointer)


def draft(place: str, content: Mapping[str, Any], *, numbered: int | None, opened: date | None) -> Draft:
    """A draft of a case that has been put together. What is empty is left out."""
    kept = {name: value for name, value in content.items() if value not in (None, "", [])}
    return Draft(place, json.dumps(kept).encode(), label(kept.get("case_id")), numbered, opened)


def refused(place: str, error: Unusable, case: str | None = None) -> Refusal:
    """A refusal of one piece."""
    return Refusal(place, (error.complaint,), label(case))


def label(case_id: str | None) -> str | None:
    """A case's id as it may be shown: one that reads as a personal number is refused, and not shown either."""
    return case_id[:100] if case_id and not is_personal_number(case_id) else None


def features(content: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The features of a collection (RFC 7946 §3.3) with their places, counted from 1. Raises `Unreadable`."""
    found = content.get("features")
    if content.get("type") != "FeatureCollection" or not isinstance(found, list):
        raise Unreadable('is no GeoJSON FeatureCollection: it needs "type": "FeatureCollection" and a list "features"')
    for number, feature in enumerate(found, 1):
        yield f"feature {number}", feature if isinstance(feature, dict) else {}
