"""Planning applications in England, `postSubmissionApplication` of the digital planning data schemas.

A file is one application, a list of them, or one a line. What the applicant, the agent and the public wrote is
personal and is not read; the boundary of the site is, or else the address's own point. The format's stages and kinds
of application are said to be ours by the mapping (`mappings/ukplanning.toml`).
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from services.matcher.case_formats.items import Unusable
from services.matcher.case_formats.mapped import Piece
from services.runtime.mapping import flatten

READ: Final = ("application", "validation", "consultation", "assessment", "appeal", "caseOfficer")
"""The parts of `data` that are read: none of them is what a member of the public wrote."""


def pieces(applications: Iterable[tuple[str, Any]]) -> list[Piece]:
    """The applications of a file."""
    return [_piece(place, application) for place, application in applications]


def _piece(place: str, application: Any) -> Piece:
    data = _part(application, "data")
    proposal = _part(application, "submission", "data", "proposal")
    read = {
        "applicationType": application.get("applicationType") if isinstance(application, dict) else None,
        "data": {name: data.get(name) for name in READ},
        "metadata": {"organisation": _part(application, "metadata").get("organisation")},
        "proposal": {"description": proposal.get("description")},
        "address": {"title": _part(application, "submission", "data", "property", "address").get("title")},
    }
    row = flatten(read) | _times(data) | {"url": _text(_part(data, "assessment", "decisionNotice").get("url"))}
    try:
        return Piece(place, row, [("site", _place(application))])
    except Unusable as error:
        return Piece(place, row, fault=error)


def _times(data: Mapping[str, Any]) -> dict[str, str]:
    """When its stage began, and until when it may be commented on; nothing of an earlier stage."""
    stage = _part(data, "application").get("stage")
    consultation, assessment = _part(data, "consultation"), _part(data, "assessment")
    decided = _text(assessment.get("committeeDecisionDate")) or _text(assessment.get("planningOfficerDecisionDate"))
    if stage == "consultation":
        return {"opened": _text(consultation.get("startDate")), "until": _text(consultation.get("endDate"))}
    return {"opened": decided if stage == "assessment" else "", "until": ""}


def _place(application: Any) -> Mapping[str, Any]:
    submitted = _part(application, "submission", "data")
    for owner in ("proposal", "property"):
        geometry = _part(submitted, owner, "boundary", "site").get("geometry")
        if isinstance(geometry, dict):
            return geometry
    address = _part(submitted, "property", "address")
    longitude, latitude = address.get("longitude"), address.get("latitude")
    if isinstance(longitude, float | int) and isinstance(latitude, float | int):
        return {"type": "Point", "coordinates": [longitude, latitude]}
    raise Unusable("no_geometry", "has neither a boundary nor an address with longitude and latitude", "/geometries")


def _part(content: Any, *names: str) -> Mapping[str, Any]:
    """A part of a part of it, empty where there is none."""
    for name in names:
        content = content.get(name) if isinstance(content, dict) else None
    return content if isinstance(content, dict) else {}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
