"""Mapping files: how somebody else's columns become ours (TOML). Pure, and knows no domain: our names are the caller's.

    crs, encoding, delimiter, decimal, layer    how their file is meant
    extends = "NAME"                            a shipped mapping that this one adds to
    [columns]   ours = "theirs"                 or ["a", "b"], joined by a space
                ours = [["a", "b", ""]]         the first of these that says something; with "" none need exist
    [constants] ours = value
    [values.ours] "theirs" = "ours"             "*" is all others
    [width]     ours = 5                        digits that lost their leading zeros get them back
    [skip]      "theirs" = ["value", ...]       rows that are left out and counted

A name that nobody knows, ours or theirs, is an error that names the nearest: a misspelt mapping that reads nothing is
found when nobody is invited. Names and values are compared in Unicode NFC (UAX 15), without blanks around them.
"""

import difflib
import json
import tomllib
import unicodedata
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

OTHERS: Final = "*"

Name = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Scalar = str | bool | int | float
Part = tuple[str, ...]
"""Alternatives: the first that says something is taken. An empty one at the end allows all of them to be missing."""


class MappingError(Exception):
    """The mapping cannot be used: what is wrong in it and what to do."""


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    extends: Name | None = None
    crs: Name | None = None
    encoding: Name | None = None
    delimiter: Name | None = None
    decimal: Literal[".", ","] | None = None
    layer: Name | None = None
    columns: dict[Name, Name | list[Name | list[str]]] = {}
    constants: dict[Name, Scalar] = {}
    values: dict[Name, dict[str, Scalar]] = {}
    width: dict[Name, Annotated[int, Field(ge=1, le=50)]] = {}
    skip: dict[Name, list[Scalar]] = {}


@dataclass(frozen=True)
class FieldMapping:
    """A checked mapping, not yet held against a file's columns."""

    crs: str | None = None
    encoding: str | None = None
    delimiter: str | None = None
    decimal: str | None = None
    layer: str | None = None
    columns: Mapping[str, tuple[Part, ...]] = field(default_factory=dict)
    constants: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    width: Mapping[str, int] = field(default_factory=dict)
    skip: Mapping[str, frozenset[str]] = field(default_factory=dict)

    @property
    def theirs(self) -> frozenset[str]:
        """Every column of theirs that is named."""
        named = {name for parts in self.columns.values() for part in parts for name in part if name}
        return frozenset(named | self.skip.keys())

    @property
    def ours(self) -> frozenset[str]:
        """Every name of ours that gets a value."""
        return frozenset(self.columns.keys() | self.constants.keys())

    def bind(self, columns: Sequence[str]) -> "Bound":
        """The mapping on a file that has these columns. Raises `MappingError` for one that the file does not have."""
        found = _Columns(columns)
        return Bound(
            columns={name: tuple(found.part(part) for part in parts) for name, parts in self.columns.items()},
            constants=self.constants,
            values=self.values,
            width=self.width,
            skip={found.one(name): values for name, values in self.skip.items()},
        )


@dataclass(frozen=True)
class Bound:
    """A mapping whose columns all exist in the file at hand."""

    columns: Mapping[str, tuple[Part, ...]]
    constants: Mapping[str, str]
    values: Mapping[str, Mapping[str, str]]
    width: Mapping[str, int]
    skip: Mapping[str, frozenset[str]]

    def skips(self, row: Mapping[str, str]) -> bool:
        """Whether a row is one that the mapping leaves out."""
        return any(normal(row.get(name, "")) in values for name, values in self.skip.items())

    def apply(self, row: Mapping[str, str]) -> dict[str, str]:
        """The row by our names."""
        ours = dict(self.constants)
        for name, parts in self.columns.items():
            text = _said(parts[0], row) if len(parts) == 1 else " ".join(filter(None, (_said(p, row) for p in parts)))
            if (width := self.width.get(name)) is not None:
                text = " ".join(token.zfill(width) if token.isdecimal() else token for token in text.split())
            if (values := self.values.get(name)) is not None:
                text = values.get(normal(text), values.get(OTHERS, text))
            ours[name] = text
        return ours


def _said(part: Part, row: Mapping[str, str]) -> str:
    for name in part:
        if text := row.get(name, "").strip():
            return text
    return ""


def same_names(names: Iterable[str]) -> FieldMapping:
    """The mapping of a file whose columns bear our own names."""
    return FieldMapping(columns={name: ((name,),) for name in names})


def parse(text: str, names: Collection[str], shipped: Callable[[str], str] | None = None) -> FieldMapping:
    """A mapping from its text. `names` are ours; `shipped` gives the text of a mapping that `extends` may name.

    Raises `MappingError`.
    """
    file = _read(text)
    base = FieldMapping()
    if file.extends is not None:
        if shipped is None:
            raise MappingError("extends: there is no shipped mapping to start from; leave it out")
        base = parse(shipped(file.extends), names, None)
    for section in (file.columns, file.constants, file.values, file.width):
        for name in section:
            if name not in names:
                raise MappingError(f"{name}: no such name of ours; {nearest(name, names)}")
    if both := sorted(file.columns.keys() & file.constants.keys()):
        raise MappingError(f"{', '.join(both)}: stands under columns and under constants; keep one")
    columns = {normal(name): _parts(name, given) for name, given in file.columns.items()}
    constants = {normal(name): text_of(value) for name, value in file.constants.items()}
    return FieldMapping(
        crs=file.crs or base.crs,
        encoding=file.encoding or base.encoding,
        delimiter=_delimiter(file.delimiter) or base.delimiter,
        decimal=file.decimal or base.decimal,
        layer=file.layer or base.layer,
        columns={name: parts for name, parts in base.columns.items() if name not in constants} | columns,
        constants={name: value for name, value in base.constants.items() if name not in columns} | constants,
        values={**base.values, **{name: _texts(values) for name, values in file.values.items()}},
        width={**base.width, **file.width},
        skip={
            **base.skip,
            **{normal(name): frozenset(normal(text_of(v)) for v in vs) for name, vs in file.skip.items()},
        },
    )


def _read(text: str) -> _File:
    try:
        return _File.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise MappingError(f"is not TOML: {error}") from None
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False, include_context=False)[0]
        where = ".".join(str(part) for part in first["loc"][:2])
        if first["type"] == "extra_forbidden":
            raise MappingError(f"{where}: no such key; {nearest(where, _File.model_fields)}") from None
        raise MappingError(f"{where}: {first['msg']}") from None


def _parts(name: str, given: str | list[str | list[str]]) -> tuple[Part, ...]:
    parts = [given] if isinstance(given, str) else given
    found = tuple((normal(part),) if isinstance(part, str) else tuple(normal(one) for one in part) for part in parts)
    if not found or not all(any(part) for part in found):
        raise MappingError(f"columns.{name}: names no column; write theirs")
    return found


def _texts(values: Mapping[str, Scalar]) -> dict[str, str]:
    return {normal(theirs): text_of(ours) for theirs, ours in values.items()}


def _delimiter(given: str | None) -> str | None:
    if given is None:
        return None
    one = {"tab": "\t", "\\t": "\t"}.get(given, given)
    if len(one) != 1:
        raise MappingError('delimiter: is longer than one sign; write the one between two fields, such as ";" or "\\t"')
    return one


class _Columns:
    """A file's columns, found by name: exactly, or else without regard to case where that is one column."""

    def __init__(self, columns: Sequence[str]) -> None:
        self._columns = columns
        self._exact = {normal(name): name for name in columns}
        self._folded: dict[str, list[str]] = {}
        for name in columns:
            self._folded.setdefault(normal(name).casefold(), []).append(name)

    def get(self, name: str) -> str | None:
        if (exact := self._exact.get(name)) is not None:
            return exact
        alike = self._folded.get(name.casefold(), [])
        return alike[0] if len(alike) == 1 else None

    def one(self, name: str) -> str:
        if (found := self.get(name)) is None:
            raise MappingError(f"column {name} is not in the file; {nearest(name, self._columns)}")
        return found

    def part(self, part: Part) -> Part:
        found = tuple(column for name in part if name and (column := self.get(name)) is not None)
        if not found and "" not in part:
            self.one(part[0])
        return found


def nearest(name: str, known: Iterable[str]) -> str:
    """What is said beside an unknown name: the nearest that exist, or the first few."""
    known = [str(one) for one in known]
    folded = {one.casefold(): one for one in known}
    close = [folded[one] for one in difflib.get_close_matches(name.casefold(), folded, 3, 0.6)]
    if close:
        return f"nearest: {', '.join(close)}"
    shown = ", ".join(known[:12]) + (", ..." if len(known) > 12 else "")
    return f"known: {shown}" if known else "there are none"


def normal(text: str) -> str:
    """A name or a value as it is compared: NFC, without blanks around it."""
    return unicodedata.normalize("NFC", text).strip()


def text_of(value: Any) -> str:
    """A value of JSON, TOML or a table as the text that a CSV would hold."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    if isinstance(value, Mapping):
        return json.dumps(value, ensure_ascii=False, default=str)
    if isinstance(value, Iterable) and not isinstance(value, bytes | bytearray):
        return " ".join(filter(None, (text_of(one).strip() for one in value)))
    return str(value)


def flatten(record: Mapping[str, Any]) -> dict[str, str]:
    """A record with records inside it as one row: `{"a": {"b": 1}}` has the column `a.b`, and the list
    `{"sni": [{"kod": "1"}, {"kod": "2"}]}` the columns `sni[].kod`, joined by a space, and `sni[0].kod`, the first.

    Of a list inside a list there is the first of the first, and all of all: every level would double the columns.
    """
    row: dict[str, list[str]] = {}
    for name, value in record.items():
        _flatten(name, value, row, ("[0]", "[]"))
    return {name: " ".join(filter(None, (text.strip() for text in texts))) for name, texts in row.items()}


def _flatten(name: str, value: Any, row: dict[str, list[str]], ways: Sequence[str]) -> None:
    if isinstance(value, Mapping):
        for inner, deeper in value.items():
            _flatten(f"{name}.{inner}", deeper, row, ways)
    elif isinstance(value, list) and any(isinstance(one, Mapping) for one in value):
        for way in ways:
            for one in value[:1] if way == "[0]" else value:
                _flatten(f"{name}{way}", one, row, (way,))
    else:
        row.setdefault(name, []).append(text_of(value))
