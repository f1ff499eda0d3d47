"""A case file's content as cases, whatever its format: recognised by what stands in it, or told."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from schemas.complaints import BROKEN_JSON, Complaint
from schemas.model import DialogueModel
from services.matcher.case_formats import Format, detaljplan, geojson, mapped, ukplanning, wzdx
from services.matcher.case_formats.items import Draft, Item, Refusal, Unreadable
from services.matcher.case_formats.mapped import Piece
from services.runtime.json_texts import split

RECORD_SEPARATOR: Final = b"\x1e"
"""What stands before each text of a sequence (RFC 8142); inside a JSON text it would be escaped."""
_SHIPPED: Final[Mapping[Format, str]] = {name: name for name in ("detaljplan", "wzdx", "ukplanning")}
_STATUS: Final[Mapping[Format, str]] = {
    "detaljplan": detaljplan.STATUS_KEY, "wzdx": "wzdx_event_status", "ukplanning": "uk_process_stage",
}  # fmt: skip
"""How a dialogue model calls each format's statuses under `external_status`."""


@dataclass(frozen=True)
class Told:
    """What was said about a file."""

    format: Format | None = None
    mapping: str | None = None
    """The text of a mapping file."""
    crs: str | None = None
    encoding: str | None = None


def items(data: bytes, told: Told, model: DialogueModel, today: date) -> Iterator[Item]:
    """What a file holds, in its order. Raises `Unreadable` where it cannot be read as a whole.

    `today` is for formats whose stages follow from their dates.
    """
    data = _as_utf8(data, _encoding(told)).replace(RECORD_SEPARATOR, b"")
    kind = kind_of(data, told)
    if kind == "nardialog":
        _nothing_else_told(told, data)
        return (Draft(f"line {line}", value) for line, value in split(data))
    try:
        return _mapped(data, kind, told, model, today)
    except RecursionError:
        raise Unreadable("is nested too deeply to be read") from None


def kind_of(data: bytes, told: Told) -> Format:
    """The format that was told, or else the one that the content shows."""
    return told.format or recognised(data)


def recognised(data: bytes) -> Format:
    """The format that a file's content shows; our own where it is none of the others."""
    try:
        content = json.loads(data)
    except (ValueError, RecursionError):
        content = next((_object(value) for _, value in split(data)), None)
    if isinstance(content, list):
        content = content[0] if content else None
    if not isinstance(content, dict):
        return "nardialog"
    if detaljplan.MEDIA_TYPE in content:
        return "detaljplan"
    if any(name in content for name in wzdx.FEED):
        return "wzdx"
    if "applicationType" in content:
        return "ukplanning"
    return "geojson" if content.get("type") in ("FeatureCollection", "Feature") else "nardialog"


def _encoding(told: Told) -> str | None:
    if told.encoding is not None or told.mapping is None:
        return told.encoding
    return mapped.parsed(told.mapping, None if told.format is None else _SHIPPED.get(told.format)).encoding


def _as_utf8(data: bytes, encoding: str | None) -> bytes:
    if encoding is None:
        return data.removeprefix(b"\xef\xbb\xbf")
    try:
        return data.decode(encoding).removeprefix("\ufeff").encode()
    except LookupError:
        raise Unreadable(f"no encoding is called {encoding[:30]!r}; say utf-8, iso-8859-1, cp1252 or utf-16") from None
    except UnicodeError:
        raise Unreadable(f"is not {encoding[:30]}; say its own --encoding") from None


def _nothing_else_told(told: Told, data: bytes) -> None:
    if told.mapping is not None or told.crs is not None:
        if all(_object(value) is None for _, value in split(data)):
            raise Unreadable("is no whole JSON in UTF-8; send it whole, or say its --encoding")
        raise Unreadable(
            "is in Närdialog's own format, which has no mapping and is in WGS 84: leave --mapping and --crs out, "
            "or say --format"
        )


def _mapped(data: bytes, kind: Format, told: Told, model: DialogueModel, today: date) -> Iterator[Item]:
    shipped = _SHIPPED.get(kind)
    crs = told.crs or mapped.parsed(told.mapping or "", shipped).crs
    if crs is not None and kind != "geojson":
        raise Unreadable(f"is {kind}, which states its reference system itself: leave --crs out")
    pieces, broken = _pieces(data, kind, crs, today)
    found = mapped.mapping_for(shipped, told.mapping, (piece.row for piece in pieces))
    return iter([*broken, *mapped.cases(pieces, found, model, _STATUS.get(kind))])


def _pieces(data: bytes, kind: Format, crs: str | None, today: date) -> tuple[list[Piece], list[Item]]:
    """The pieces of a file, and what was no piece."""
    if kind == "ukplanning":
        return _applications(data)
    if kind == "geojson":
        return geojson.pieces(_collection(data), crs), []
    if kind == "detaljplan":
        return detaljplan.pieces(_collection(data)), []
    return wzdx.pieces(_collection(data), today), []


def _collection(data: bytes) -> Mapping[str, Any]:
    try:
        content = json.loads(data)
    except UnicodeDecodeError:
        raise Unreadable("is not UTF-8; say its --encoding") from None
    except ValueError as error:
        if (sequence := [_object(value) for _, value in split(data)]) and all(map(_is_feature, sequence)):
            return _together(sequence)
        line = getattr(error, "lineno", None)
        raise Unreadable(f"is not whole JSON{f', from line {line}' if line else ''}; send it again") from None
    if _is_feature(content):
        return _together([content])
    if isinstance(content, list) and all(map(_is_feature, content)):
        return _together(content)
    if not isinstance(content, dict):
        raise Unreadable("is no JSON object")
    return content


def _is_feature(content: Any) -> bool:
    return isinstance(content, dict) and content.get("type") == "Feature"


def _together(features: list[Any]) -> Mapping[str, Any]:
    """Features alone, in a list, or one a line (RFC 8142) as the collection that they are."""
    return {"type": "FeatureCollection", "features": features}


def _applications(data: bytes) -> tuple[list[Piece], list[Item]]:
    broken = Complaint(BROKEN_JSON, "is not whole JSON; send one JSON object in UTF-8")
    read = [(f"line {line}", _object(value)) for line, value in split(data)]
    found = ukplanning.pieces((place, content) for place, content in read if content is not None)
    return found, [Refusal(place, (broken,)) for place, content in read if content is None]


def _object(value: bytes) -> dict[str, Any] | None:
    try:
        content = json.loads(value)
    except (ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None
