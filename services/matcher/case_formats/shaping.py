"""From one row of another format, mapped to our names, to a case's content.

A mapping gives text; here it becomes what the case's shape wants: whole numbers, days, lists, an official, a meeting.
What cannot be read so is left as it stands, and the door says what is wrong with it. Nobody shortens a title at the
source for our sake, so a text that is too long is cut and ends with an ellipsis.
"""

import re
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from schemas.case import CaseState
from schemas.model import CaseType, DialogueModel
from services.matcher import municipalities
from services.matcher.case_formats.items import Unusable

_CUT: Final = {
    "title": 160, "title_en": 160, "summary": 4000, "summary_en": 4000, "open_questions": 4000, "already_decided": 4000,
    "decision_body": 200, "unit": 200, "diary_number": 200, "official_name": 200, "official_title": 200,
    "document_title": 200, "meeting_place": 200,
}  # fmt: skip
"""Texts that may be cut, and how long each may be."""
_PLAIN: Final = (
    "case_id", "source", "state", "municipality", "case_type", "stage", "procedure", "influence", "area", "applicant",
    "urgent_reason", "question", "question_en", "form", "deviation_reason",
)  # fmt: skip
_WHOLE: Final = ("version", "occurrence")
_YES_NO: Final = ("urgent", "synthetic")
_DAYS: Final = ("stage_opened", "respond_by", "decision_at")
_LISTS: Final = ("industries", "sni_version", "named")
_PARTS: Final[Mapping[str, tuple[str, ...]]] = {
    "official": ("name", "title", "phone", "email"),
    "meeting": ("place", "start", "end", "form", "seats"),
    "document": ("title", "url"),
}
_TEXTS: Final = tuple(name for name in _CUT if name.partition("_")[0] not in _PARTS)
ROLE: Final = "role"
NAMES: Final = frozenset(
    {*_PLAIN, *_WHOLE, *_YES_NO, *_DAYS, *_LISTS, *_TEXTS, "event_at", "confidential", ROLE}
    | {f"{part}_{name}" for part, names in _PARTS.items() for name in names}
)
"""What a mapping for cases may give a value to."""

_YES: Final = frozenset({"true", "1", "ja", "yes", "sant", "j", "y"})
_NO: Final = frozenset({"", "false", "0", "nej", "no", "falskt", "n"})
_WORD: Final = re.compile(r"[^\W\d_][\w .:-]{0,59}")
EARLIEST_YEAR: Final = 1990
_COMPACT_DAY: Final = re.compile(r"(\d{4})[/-]?(\d{2})[/-]?(\d{2})")
_STOCKHOLM: Final = ZoneInfo("Europe/Stockholm")


def content(row: Mapping[str, str], model: DialogueModel, status_key: str | None = None) -> dict[str, Any]:
    """A case's content without its geometries. `status_key` is how the model calls the format's statuses.

    Raises `Unusable` where a word has no counterpart of ours.
    """
    made: dict[str, Any] = {name: row[name].strip() for name in (*_PLAIN, "event_at") if row.get(name)}
    made |= {name: _cut(row[name], _CUT[name]) for name in _TEXTS if row.get(name)}
    made |= {name: _whole(row[name]) for name in _WHOLE if row.get(name)}
    made |= {name: _yes_no(row[name]) for name in _YES_NO if row.get(name)}
    made |= {name: _day(row[name]) for name in _DAYS if row.get(name) and not _long_ago(name, row[name])}
    made |= _lists(row) | _parts(row)
    made["municipality"] = _municipality(row.get("municipality", ""))
    case_type = _case_type(row.get("case_type", ""), model)
    ends = made.get("state", CaseState.OPEN) != CaseState.OPEN
    made |= {"case_type": case_type.id, "stage": _stage(row.get("stage", ""), case_type, status_key, ends=ends)}
    return made


def marks_confidential(name: str, text: str) -> bool:
    """Whether a field, on whatever level of the piece, says that it is confidential."""
    return name.rpartition(".")[2].casefold() == "confidential" and text.strip().casefold() not in _NO


def _cut(text: str, most: int | None) -> str:
    return text if most is None or len(text) <= most else text[: most - 2].rstrip() + " …"


def _whole(text: str) -> int | str:
    return int(text) if re.fullmatch(r"[0-9]{1,10}", text.strip()) else text


def _yes_no(text: str) -> bool | str:
    word = text.strip().casefold()
    return True if word in _YES else False if word in _NO else text


def _day(text: str) -> str:
    """A day as ISO 8601 writes it; of a moment with its offset from UTC, the day in Sweden."""
    if (found := _COMPACT_DAY.fullmatch(text.strip())) is not None:
        return "-".join(found.groups())
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        return text
    try:
        return (moment.astimezone(_STOCKHOLM) if moment.tzinfo else moment).date().isoformat()
    except OverflowError:
        return text


def _long_ago(name: str, text: str) -> bool:
    """Whether something that has happened was before the days that an event may tell of: old plans are in force since
    then, and it is no slip.
    """
    day = day_of(text)
    return name != "respond_by" and day is not None and 1800 < day.year < EARLIEST_YEAR


def _lists(row: Mapping[str, str]) -> dict[str, Any]:
    codes = re.split(r"[\s,;|]+", row.get("industries", "").strip())
    version = row.get("sni_version", "").strip()
    named = re.split(r"[\s,;|]+", row.get("named", "").strip())
    return {
        "industries": [{"code": code, "version": version} for code in codes if code],
        "named": [name for name in named if name],
    }


def _parts(row: Mapping[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for part, names in _PARTS.items():
        values = {name: _cut(text, _CUT.get(f"{part}_{name}")) for name in names if (text := row.get(f"{part}_{name}"))}
        if values:
            found[part] = values
    if "seats" in found.get("meeting", {}):
        found["meeting"]["seats"] = _whole(found["meeting"]["seats"])
    document = found.pop("document", {})
    if document.get("url", "").startswith("https://"):  # others could not be opened safely, and are no reason to refuse
        found["documents"] = [{"title": document["url"][:200]} | document]
    return found


def _municipality(text: str) -> str:
    text = text.strip()
    if re.fullmatch(r"[0-9]{4}", text):
        return text
    if (code := municipalities.code_of(text)) is None:
        said = f"{_named(text)} is no municipality's name or four-digit code" if text else "no municipality is said"
        raise Unusable(
            "unknown_municipality", f"{said}; let the mapping say it: [constants] municipality", "/municipality"
        )
    return code


def _case_type(text: str, model: DialogueModel) -> CaseType:
    found = model.case_type(text.strip())
    if found is None:
        known = ", ".join(item.id for item in model.case_types)
        raise Unusable(
            "unknown_case_type",
            f"{_named(text)} is no case type of the model; say which in [values.case_type]; known: {known}",
            "/case_type",
        )
    return found


def _stage(text: str, case_type: CaseType, status_key: str | None, *, ends: bool) -> str:
    """The stage that is meant: ours by its id, or the one that the model says this status is."""
    text = text.strip()
    for stage in case_type.stages:
        if stage.id == text:
            return stage.id
    for stage in case_type.stages if status_key else ():
        statuses = stage.external_status.get(status_key or "", [])
        if text and text in ([statuses] if isinstance(statuses, str) else statuses):
            return stage.id
    if ends:
        return case_type.stages[0].id  # what ends a case keeps the stage that it had; see `numbering`
    known = ", ".join(stage.id for stage in case_type.stages)
    raise Unusable(
        "unknown_stage",
        f"{_named(text)} is no stage of {case_type.id}; say which in [values.stage], or leave it out with [skip]; "
        f"known: {known}",
        "/stage",
    )


def _named(text: str) -> str:
    """A code word, said by its name. Anything that is not plainly a word is not repeated: it may be somebody's."""
    text = text.strip()
    if not text:
        return "nothing"
    return f'"{text}"' if _WORD.fullmatch(text) else "what stands there"


def day_of(text: str) -> date | None:
    """The day in Sweden of a moment or a day, or None."""
    try:
        return date.fromisoformat(_day(text))
    except ValueError:
        return None
