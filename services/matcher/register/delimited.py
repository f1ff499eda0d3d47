"""CSV in (RFC 4180, read tolerantly where nothing can be misread): any delimiter, any line end, a spreadsheet's quirks.

The delimiter is the sign that brings out the most of the columns that somebody will ask for, so that a comma in a
column's name is no delimiter. A row with more fields than the header is refused and never shifted: it is what a decimal
comma does between commas.
"""

import csv
import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from services.matcher.register.encodings import encoding_of
from services.matcher.register.source import Given, Source, Stated, Unreadable

USUAL: Final = (";", "\t", ",", "|")
SEPARATOR_LINE: Final = re.compile(r"sep=(.)\s*\Z", re.IGNORECASE)
"""What Excel writes before the header to tell itself the delimiter."""
MANY_LINES: Final = 20
"""A field of more lines than this is a quotation mark that was never closed."""

csv.field_size_limit(1 << 20)


def open_delimited(path: Path, stated: Stated) -> Source:
    """A CSV file. Raises `Unreadable` where its encoding or its header cannot be used."""
    encoding = encoding_of(path, stated.encoding)
    delimiter, header, skipped = _header(path, encoding, stated)
    columns = tuple(unicodedata.normalize("NFC", name).strip() for name in header)
    if not any(columns):
        raise Unreadable(f"{path.name}: is empty; the first line must name the columns")
    if twice := sorted({name for name in columns if name and columns.count(name) > 1 and name in stated.wanted}):
        raise Unreadable(f"{path.name}: column {', '.join(twice)} stands twice; keep one")
    return Source(columns, lambda: _rows(path, encoding, delimiter, columns, skipped))


def _header(path: Path, encoding: str, stated: Stated) -> tuple[str, list[str], int]:
    """The delimiter, the header's fields, and how many lines stand before it."""
    with path.open(encoding=encoding, newline="") as file:
        for skipped, line in enumerate(file):
            if told := SEPARATOR_LINE.match(line.strip("\r\n")):
                return told[1], next(csv.reader(file, delimiter=told[1]), []), skipped + 1
            if line.strip():
                delimiter = stated.delimiter or _delimiter(line, stated.wanted)
                break
        else:
            raise Unreadable(f"{path.name}: is empty; the first line must name the columns")
    with path.open(encoding=encoding, newline="") as file:
        for _ in range(skipped):
            next(file)
        return delimiter, next(csv.reader(file, delimiter=delimiter), []), skipped


def _delimiter(line: str, wanted: frozenset[str]) -> str:
    others = sorted({sign for sign in line if not sign.isalnum() and sign not in "_\"' .-()[]/\r\n"} - set(USUAL))
    folded = {name.casefold() for name in wanted}

    def worth(sign: str) -> tuple[int, int]:
        fields = [
            unicodedata.normalize("NFC", field).strip().casefold() for field in next(csv.reader([line], delimiter=sign))
        ]
        return len(folded.intersection(fields)), len(fields) if sign in USUAL else 0

    return max((*USUAL, *others), key=worth)


def _rows(path: Path, encoding: str, delimiter: str, columns: tuple[str, ...], skipped: int) -> Iterator[Given]:
    with path.open(encoding=encoding, newline="") as file:
        for _ in range(skipped):
            next(file)
        reader = csv.reader(file, delimiter=delimiter)
        next(reader)
        width = len(columns)
        try:
            for fields in reader:
                if not any(fields) or not any(field.strip() for field in fields):
                    continue
                line = reader.line_num + skipped
                if any(field.count("\n") > MANY_LINES for field in fields if len(field) > MANY_LINES):
                    raise Unreadable(f"{path.name}: line {line}: a quotation mark before it is never closed; close it")
                fault = "too_many_fields" if any(field.strip() for field in fields[width:]) else ""
                yield Given(line, dict(zip(columns, fields, strict=False)), None, fault)
        except csv.Error as error:
            raise Unreadable(f"{path.name}: line {reader.line_num + skipped}: {error}; correct the quoting") from None
