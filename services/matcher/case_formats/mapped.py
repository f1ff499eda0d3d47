"""Pieces of a file as rows with places on the map, and how a mapping makes cases of them.

A format says what its pieces are; which of its fields is which of ours stands in a mapping that is shipped with it and
that the user's own adds to (`mappings/`). Pieces with one case id are one case with several places; what else they say
of it must agree.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from importlib.resources import files
from typing import Any, Final

from schemas.case_rules import CONFIDENTIAL
from schemas.model import DialogueModel
from services.matcher.case_formats import shaping
from services.matcher.case_formats.items import (
    Draft,
    Item,
    Refusal,
    Skipped,
    Unreadable,
    Unusable,
    draft,
    refused,
)
from services.runtime import mapping
from services.runtime.mapping import Bound, FieldMapping, MappingError

NEEDED: Final = ("case_id", "source", "municipality", "title", "case_type", "stage")
MOST_PLACES: Final = 50
"""Geometries that one case may have; more of them are put together."""
MOST_TOGETHER: Final = 100


@dataclass(frozen=True)
class Piece:
    """One piece of a file: where it stands, what it says, and its geometries in WGS 84 with their roles."""

    place: str
    row: Mapping[str, str]
    places: Sequence[tuple[str, Mapping[str, Any]]] = ()
    numbered: int = 0
    fault: Unusable | None = None
    """Why it cannot become a case, where the format's own rules say so."""


def mapping_for(shipped: str | None, text: str | None, rows: Iterable[Mapping[str, str]]) -> FieldMapping:
    """The mapping of a format: the user's own, on top of what is shipped with it; our own names without either.

    Raises `Unreadable`.
    """
    if text is None and shipped is None:
        names = {name for row in rows for name in row}
        return mapping.same_names(sorted(names & shaping.NAMES))
    return parsed(text if text is not None else "", shipped)


def parsed(text: str, shipped: str | None) -> FieldMapping:
    """A mapping from its text. Raises `Unreadable`."""
    try:
        if shipped is None:
            return mapping.parse(text, shaping.NAMES)
        return mapping.parse(f'extends = "{shipped}"\n{text}', shaping.NAMES, _shipped)
    except MappingError as error:
        raise Unreadable(f"the mapping: {error}") from None


def _shipped(name: str) -> str:
    return files("services.matcher.case_formats").joinpath(f"mappings/{name}.toml").read_text(encoding="utf-8")


def cases(pieces: Sequence[Piece], found: FieldMapping, model: DialogueModel, status_key: str | None) -> Iterator[Item]:
    """The cases of a file's pieces, in the order in which each was first met. Raises `Unreadable`."""
    joined: dict[tuple[str, str, str], _Case] = {}
    spoilt: dict[str, Refusal] = {}
    bound = _bound(pieces, found)
    for piece in pieces:
        row = bound.apply(piece.row)
        item = Skipped(piece.place, "mapping") if bound.skips(piece.row) else _item(piece, row, model, status_key)
        if isinstance(item, _Case):
            joined.setdefault(item.key, item).join(item)
            continue
        if isinstance(item, Refusal) and (case_id := row.get("case_id")):
            spoilt[case_id] = item
        yield item
    own = "version" in found.ours
    for case in joined.values():
        yield case.item(None if own else case.numbered, spoilt.get(case.content.get("case_id", "")))


def _bound(pieces: Sequence[Piece], found: FieldMapping) -> Bound:
    columns = dict.fromkeys(name for piece in pieces for name in piece.row)
    missing = [name for name in NEEDED if name not in found.ours]
    if missing and pieces:
        raise Unreadable(
            f"nothing says {', '.join(missing)}; let the mapping say it: [columns] {missing[0]} = a field of the file, "
            f"or [constants] {missing[0]} = what it is for all of it"
        )
    try:
        return (found if columns else FieldMapping(constants=found.constants)).bind(list(columns))
    except MappingError as error:
        raise Unreadable(f"the mapping: {error}") from None


def _item(piece: Piece, row: Mapping[str, str], model: DialogueModel, status_key: str | None) -> "Refusal | _Case":
    said = [*piece.row.items(), ("confidential", row.get("confidential", ""))]
    if any(shaping.marks_confidential(name, text) for name, text in said):
        return Refusal(piece.place, (CONFIDENTIAL,))
    try:
        if piece.fault is not None:
            raise piece.fault
        content = shaping.content(row, model, status_key)
    except Unusable as error:
        return refused(piece.place, error, row.get("case_id"))
    role = row.get(shaping.ROLE) or None
    places = [(role or own, place) for own, place in piece.places]
    return _Case(piece.place, content, places, piece.numbered, shaping.day_of(row.get("stage_opened", "")))


@dataclass
class _Case:
    """A case as the pieces so far say it is."""

    place: str
    content: dict[str, Any]
    places: list[tuple[str, Mapping[str, Any]]]
    numbered: int
    opened: date | None
    disagreement: str | None = field(default=None)

    @property
    def key(self) -> tuple[str, str, str]:
        return self.content["municipality"], self.content.get("source", ""), self.content.get("case_id", self.place)

    def join(self, other: "_Case") -> None:
        """Another piece of the same case."""
        if other is self:
            return
        mine, theirs = self.content, other.content
        self.disagreement = self.disagreement or next(
            (
                f"{other.place} has another {name}"
                for name in sorted({*mine, *theirs})
                if mine.get(name) != theirs.get(name)
            ),
            None,
        )
        self.places += other.places
        self.numbered = max(self.numbered, other.numbered)

    def item(self, numbered: int | None, spoilt: Refusal | None) -> Draft | Refusal:
        """The case, or why not: half a case would reach half of those whom it concerns, and half of a confidential one
        is confidential.
        """
        case_id = self.content.get("case_id")
        if spoilt is not None and CONFIDENTIAL in spoilt.complaints:
            return Refusal(self.place, (CONFIDENTIAL,))
        if spoilt is not None:
            error = Unusable("piece_refused", f"{spoilt.place} is of the same case and was refused")
            return refused(self.place, error, case_id)
        if self.disagreement is not None:
            error = Unusable("pieces_disagree", f"pieces of one case must say the same: {self.disagreement}")
            return refused(self.place, error, case_id)
        version = {} if numbered is None else {"version": 1}
        places = {} if self.content.get("area") else {"geometries": together(self.places)}
        return draft(self.place, self.content | version | places, numbered=numbered, opened=self.opened)


def together(places: Sequence[tuple[str, Mapping[str, Any]]]) -> list[dict[str, Any]]:
    """A case's geometries with their roles. Where a case may not have so many, those of one role become collections."""
    if len(places) <= MOST_PLACES:
        return [{"role": role, "geometry": geometry} for role, geometry in places]
    found = []
    for role in dict.fromkeys(role for role, _ in places):
        simple = [part for own, geometry in places if own == role for part in _simple(geometry)]
        for start in range(0, len(simple), MOST_TOGETHER):
            part = {"type": "GeometryCollection", "geometries": simple[start : start + MOST_TOGETHER]}
            found.append({"role": role, "geometry": part})
    return found


def _simple(geometry: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    parts = geometry.get("geometries")
    return parts if isinstance(parts, list) else [geometry]
