"""A whole register file as workplaces and contacts, with its report: what import and `match` both begin with.

Rows are read by batches: their columns become ours, what the mapping leaves out is counted, their places become degrees
all at once, each row is checked. Whether the coordinate system fits is known at the end, and nothing is done before.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from itertools import islice
from pathlib import Path
from typing import Final

from schemas.complaints import Complaint
from services.matcher.register import formats
from services.matcher.register.checks import NOTHING, PlainContact, Refused, Rules, check
from services.matcher.register.delimited import LONGEST
from services.matcher.register.packed import Packed
from services.matcher.register.places import Locator, Place, number, system
from services.matcher.register.report import Report
from services.matcher.register.source import Given, Row, Source, Stated, Unreadable
from services.runtime.mapping import Bound, FieldMapping, MappingError, same_names

BATCH: Final = 4096
ALIKE: Final = 0.8
"""From how alike on a column's name is taken for a misspelt one of ours."""
NOT_A_NUMBER: Final = Complaint("not_a_number", "is not a number; write degrees such as 18.0300, or metres", "")
FAULTS: Final = {
    "too_many_fields": ("", "has more fields than the header; quote fields that hold the delimiter"),
    "unquoted": ("", "has a quotation mark inside a quoted field that is not doubled; write it twice"),
    "too_long_field": ("", f"has a field of more than {LONGEST:,} characters; shorten it"),
    "not_a_point": ("geometry", "is not a point; give the workplace one, such as its entrance"),
}


@dataclass(frozen=True)
class Asked:
    """How a file is to be read: the mapping, by its path or by the name of a shipped one, and what overrides it."""

    mapping: str | None = None
    crs: str | None = None
    encoding: str | None = None


@dataclass(frozen=True)
class RegisterFile:
    """What a file says. Of two rows with one workplace id the first is kept and the second refused."""

    companies: Packed
    contacts: tuple[PlainContact, ...]
    report: Report
    says_contacts: bool = True
    """Whether it has columns for contacts at all."""
    refused: frozenset[str] = frozenset()
    """Workplaces whose rows were refused: they are not gone, and stay as they were."""


def read(
    path: Path,
    rules: Rules,
    asked: Asked = Asked(),
    on_rows: Callable[[int, int | None], object] = lambda count, total: None,
) -> RegisterFile:
    """Reads and checks a file. Raises `Unreadable` where it cannot be read as a whole. `on_rows` is told how many rows
    were read since it was last called, and of how many if that is known.
    """
    opened = _Opened.of(path, asked)
    rules = replace(rules, organisations=opened.organisations, code_width=opened.mapping.width.get("sni"))
    locator = Locator(system(opened.crs), anywhere=rules.anywhere, names=opened.axes)
    companies = Packed()
    contacts: list[PlainContact] = []
    report = Report(row_word=opened.source.row_word)
    for batch in _batches(opened.source.rows()):
        rows = [
            (given, Row(given.line, opened.bound.apply(given.values)))
            for given in batch
            if not opened.bound.skips(given.values)
        ]
        report.skip(len(batch) - len(rows))
        for (given, row), place in zip(rows, opened.places(rows, locator), strict=True):
            result = _refused_by_format(given, row) or check(row, rules, place)
            if not isinstance(result, Refused) and result.company.workplace_id in companies:
                result = Refused(
                    row.line, "duplicate_workplace", "workplace_id: stands on an earlier line; keep one row",
                    "workplace_id", row.values,
                )  # fmt: skip
            report.add(result)
            if not isinstance(result, Refused):
                companies.add(result.company)
                contacts += result.contacts
        on_rows(len(batch), opened.source.total)
    locator.check()
    report.elsewhere = locator.differing
    report.notes += opened.notes + ([] if report.read else ["has no rows below its header; check the export"])
    return RegisterFile(
        companies,
        tuple(contacts),
        report,
        says_contacts=bool({"email", "phone"} & opened.mapping.ours),
        refused=frozenset(report.refused_workplaces - companies.keys()),
    )


@dataclass(frozen=True)
class _Opened:
    """A file, and how its columns become ours."""

    source: Source
    mapping: FieldMapping
    bound: Bound
    crs: str | None
    by_geometry: bool
    organisations: bool
    axes: tuple[str, str]
    notes: list[str]

    @classmethod
    def of(cls, path: Path, asked: Asked) -> "_Opened":
        given = formats.mapping_of(asked.mapping) if asked.mapping is not None else None
        stated = Stated(
            encoding=asked.encoding or (given.encoding if given else None),
            delimiter=given.delimiter if given else None,
            layer=given.layer if given else None,
            wanted=given.theirs if given and given.columns else frozenset(formats.COLUMNS),
        )
        source = formats.open_source(path, stated)
        columns = {name.lower() for name in source.columns}
        theirs = given is not None and bool(given.columns)
        mapping = given or FieldMapping()
        if not theirs:  # our own shape; a mapping may still say how it is meant
            ours = same_names(n for n in formats.COLUMNS if n in columns and n not in mapping.constants)
            mapping = replace(mapping, columns=ours.columns)
        by_geometry = source.geometry and not (theirs and {"lon", "lat"} & mapping.columns.keys())
        _check_names(path, mapping, source, mapped=theirs)
        try:
            bound = mapping.bind(source.columns)
        except MappingError as error:
            raise Unreadable(f"{path.name}: {error}") from None
        told = asked.crs or (given.crs if given else None)
        return cls(
            source, mapping, bound, told or (source.crs if by_geometry else None), by_geometry,
            organisations=theirs and "workplace_id" not in mapping.ours,
            axes=("x", "y") if by_geometry else (_column(bound, "lon"), _column(bound, "lat")),
            notes=[] if theirs else _left_aside(source.columns),
        )  # fmt: skip

    def places(self, rows: Sequence[tuple[Given, Row]], locator: Locator) -> list[Place]:
        """The places of some rows; one whose numbers are none says so."""
        points: list[tuple[float, float] | None] = []
        wrong: set[int] = set()
        for i, (given, row) in enumerate(rows):
            try:
                points.append(given.point if self.by_geometry else self._numbers(row))
            except ValueError:
                points.append(None)
                wrong.add(i)
        found = locator.places(points, [row.values.get("municipality", "") for _, row in rows])
        for (_, row), place in zip(rows, found, strict=True):
            if place.lon is not None:
                row.values["lon"], row.values["lat"] = repr(place.lon), repr(place.lat)
        return [Place(complaint=NOT_A_NUMBER) if i in wrong else place for i, place in enumerate(found)]

    def _numbers(self, row: Row) -> tuple[float, float] | None:
        x = number(row.values.get("lon", ""), NOTHING, self.mapping.decimal)
        y = number(row.values.get("lat", ""), NOTHING, self.mapping.decimal)
        return None if x is None or y is None else (x, y)


def _check_names(path: Path, mapping: FieldMapping, source: Source, *, mapped: bool) -> None:
    """What must be there is there: by name, in the file or in the mapping."""
    if not source.columns:
        raise Unreadable(f"{path.name}: holds no rows with columns; check the export")
    missing = [name for name in REQUIRED_ALWAYS if name not in mapping.ours]
    if not mapped and "workplace_id" not in mapping.ours:
        missing.insert(0, "workplace_id")
    if not (source.geometry or {"lon", "lat"} <= mapping.ours or "municipality" in mapping.ours):
        missing.append("lon and lat, or municipality")
    if missing:
        if mapped:
            raise Unreadable(
                f"{path.name}: the mapping says nothing of {', '.join(missing)}; say it under [columns] or [constants]"
            )
        found = ", ".join(source.columns)[:300]
        raise Unreadable(f"{path.name}: missing required column {', '.join(missing)}; found {found}")


REQUIRED_ALWAYS: Final = tuple(name for name in formats.REQUIRED if name != "workplace_id")


def _left_aside(columns: Sequence[str]) -> list[str]:
    """Columns that are none of ours and look like a slip: `statuss` would invite whoever is closed."""
    there = {name.lower() for name in columns}
    absent = [name for name in formats.COLUMNS if name not in there]
    near = {name: get_close_matches(name.lower(), absent, 1, ALIKE) for name in columns}
    return [
        f"column {name} is none of ours and is left aside; is {close[0]} meant?"
        for name, close in near.items()
        if close and name.lower() not in formats.COLUMNS
    ]


def _column(bound: Bound, name: str) -> str:
    parts = bound.columns.get(name, ())
    return parts[0][0] if parts and parts[0] else name


def _refused_by_format(given: Given, row: Row) -> Refused | None:
    if not given.fault:
        return None
    field, detail = FAULTS[given.fault]
    return Refused(given.line, given.fault, f"{field}: {detail}" if field else detail, field, row.values)


def _batches(rows: Iterator[Given]) -> Iterator[list[Given]]:
    while batch := list(islice(rows, BATCH)):
        yield batch
