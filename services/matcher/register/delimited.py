"""CSV in (RFC 4180, read tolerantly where nothing can be misread): any delimiter, any line end, a spreadsheet's quirks.

The delimiter is the sign that brings out the most of the columns that somebody will ask for, so that a comma in a
column's name is no delimiter. A row with more fields than the header is refused and never shifted: it is what a decimal
comma does between commas. Quotation marks are read strictly (RFC 4180 §2.5): one that is not doubled inside a field
refuses its row, and one that is never closed stops the import, since what it swallows are other rows.
"""

import csv
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final, TextIO

from services.matcher.register.encodings import encoding_of
from services.matcher.register.source import Given, Source, Stated, Unreadable

USUAL: Final = (";", "\t", ",", "|")
SEPARATOR_LINE: Final = re.compile(r"sep=(.)\s*\Z", re.IGNORECASE)
"""What Excel writes before the header to tell itself the delimiter."""
MANY_LINES: Final = 20
"""A field of more lines than this is a quotation mark that was never closed."""
AROUND: Final = "\ufeff\u200b\u2060\0\x1a \t"
"""What may stand around a field and says nothing: byte-order marks of files that were put together, DOS's end-of-file
sign, padding.
"""
WRAPPED: Final = re.compile(r'^="(.*)"$')
"""How a spreadsheet is told that digits are text."""
SHOWN: Final = 200
"""Of a field in a row that is refused for its shape."""
LONGEST: Final = 1 << 20

csv.field_size_limit(LONGEST)


def open_delimited(path: Path, stated: Stated) -> Source:
    """A CSV file. Raises `Unreadable` where its encoding or its header cannot be used."""
    encoding = encoding_of(path, stated.encoding)
    delimiter, header, skipped = _header(path, encoding, stated)
    columns = tuple(unicodedata.normalize("NFC", name.strip(AROUND)).strip() for name in header)
    if not any(columns):
        raise Unreadable(f"{path.name}: is empty; the first line must name the columns")
    if twice := _twice(columns, stated.wanted):
        raise Unreadable(f"{path.name}: column {', '.join(twice)} stands twice; keep one")
    return Source(columns, lambda: _rows(path, encoding, delimiter, columns, skipped))


def _twice(columns: tuple[str, ...], wanted: frozenset[str]) -> list[str]:
    """Wanted columns that are there several times: of those that differ in case only, nobody knows which is meant."""
    asked = {name.casefold() for name in wanted}
    folded = Counter(name.casefold() for name in columns if name)
    exact = Counter(columns)
    return sorted(
        {
            name
            for name in columns
            if name.casefold() in asked and (exact[name] > 1 or (folded[name.casefold()] > 1 and name not in wanted))
        }
    )


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
        lines = _Lines(file)
        reader = csv.reader(lines, delimiter=delimiter, strict=True)
        header = next(reader)
        width = len(columns)
        while True:
            first, fault = reader.line_num + skipped + 1, ""
            try:
                fields = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                if reader.line_num + skipped > first or "end of data" in str(error):
                    raise _unclosed(path, first) from None
                fault = "too_long_field" if "limit" in str(error) else "unquoted"
                fields = _before_quotes(lines.last, delimiter)
            if not any(field.strip(AROUND) for field in fields) or fields == header:
                continue
            if any(field.count("\n") > MANY_LINES for field in fields if len(field) > MANY_LINES):
                raise _unclosed(path, first)
            if '="' in lines.last:
                fields = [WRAPPED.sub(r"\1", field) for field in fields]
            fields[0] = fields[0].strip(AROUND)
            if not fault and any(field.strip(AROUND) for field in fields[width:]):
                fault = "too_many_fields"
            yield Given(reader.line_num + skipped, dict(zip(columns, fields, strict=False)), None, fault)


def _before_quotes(line: str, delimiter: str) -> list[str]:
    """The fields of a line that are surely what they seem: those before its first quotation mark."""
    whole = line.partition('"')[0].split(delimiter)[:-1]
    return [field[:SHOWN] for field in whole] or [""]


class _Lines:
    """A file's lines, and the last that was read: the reader of fields loses a line that it cannot read."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self.last = ""

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        self.last = next(self._file)
        return self.last


def _unclosed(path: Path, line: int) -> Unreadable:
    return Unreadable(
        f"{path.name}: line {line}: a quotation mark on it is never closed, or one inside a field is not doubled; "
        "correct it, or the rows after it would be read as part of it"
    )
