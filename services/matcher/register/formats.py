"""Register files in: CSV in our own shape, read tolerantly where nothing can be misread and refused by name elsewhere.

UTF-8 with or without a byte-order mark; comma, semicolon or tab between fields. Other encodings are refused rather
than guessed at, because a wrong guess ends as `Ã¥` in a mail.
"""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

COLUMNS: Final = (
    "workplace_id", "organisation", "name", "lon", "lat", "sni", "sni_version", "status", "municipality", "employees",
    "legal_form", "street", "postcode", "town", "advertising_block", "email", "phone", "language", "contact_source",
)  # fmt: skip
REQUIRED: Final = ("workplace_id", "organisation", "sni", "sni_version")
DELIMITERS: Final = (";", "\t", ",")


class Unreadable(Exception):
    """The file as a whole cannot be read: what, where, what to do."""


@dataclass(frozen=True)
class Row:
    """One row by our column names, and the line of the file that it ends on."""

    line: int
    values: dict[str, str]


def rows(path: Path) -> Iterator[Row]:
    """The rows of a register file. Raises `Unreadable` before the first row where the file is not of our shape."""
    if path.suffix.lower() not in (".csv", ".tsv", ".txt"):
        raise Unreadable(
            f"{path.name}: {path.suffix or 'no suffix'} comes in a later release; use CSV in our own shape"
        )
    text = _text(path)
    header, _, _ = text.partition("\n")
    delimiter = max(DELIMITERS, key=header.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        names = [name.strip().lower() for name in next(reader)]
    except StopIteration:
        raise Unreadable(f"{path.name}: is empty; the first line must name the columns") from None
    _check_header(path, names)
    return _rows(path, reader, names)


def _text(path: Path) -> str:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise Unreadable(f"{path.name}: {error.strerror or 'cannot be read'}; check the path") from None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise Unreadable(f"{path.name}: line {line} is not UTF-8; save the file as UTF-8") from None


def _check_header(path: Path, names: list[str]) -> None:
    missing = [name for name in REQUIRED if name not in names]
    if not ({"lon", "lat"} <= set(names) or "municipality" in names):
        missing.append("lon and lat, or municipality")
    if missing:
        raise Unreadable(f"{path.name}: missing required column {', '.join(missing)}; found {', '.join(names)[:300]}")
    if twice := sorted({name for name in names if names.count(name) > 1 and name in COLUMNS}):
        raise Unreadable(f"{path.name}: column {', '.join(twice)} stands twice; keep one")


def _rows(path: Path, reader: "Iterator[list[str]]", names: list[str]) -> Iterator[Row]:
    known = [(i, name) for i, name in enumerate(names) if name in COLUMNS]
    try:
        for fields in reader:
            if any(field.strip() for field in fields):
                line = int(getattr(reader, "line_num", 0))
                yield Row(line, {name: fields[i].strip() if i < len(fields) else "" for i, name in known})
    except csv.Error as error:
        raise Unreadable(f"{path.name}: line {getattr(reader, 'line_num', 0)}: {error}; correct the quoting") from None
