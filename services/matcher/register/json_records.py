"""Records in JSON: a list of objects, an object that holds one such list, or one object a line (JSON Lines).

Objects inside an object become columns by their path, see `services.runtime.mapping.flatten`. This is how the
high-value data sets are delivered.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from services.matcher.register.encodings import encoding_of
from services.matcher.register.source import Given, Source, Unreadable
from services.runtime.mapping import flatten


def is_geojson(path: Path) -> bool:
    """Whether a JSON file is a FeatureCollection, by its first block."""
    with path.open("rb") as file:
        return b'"FeatureCollection"' in file.read(1 << 16)


def open_records(path: Path, encoding: str | None = None) -> Source:
    """A file of JSON records. Raises `Unreadable` where it is not one."""
    text = path.read_text(encoding=encoding_of(path, encoding))
    lines = path.suffix.lower() in (".jsonl", ".ndjson")
    records = list(_json_lines(path, text) if lines else enumerate(_records(path, text), 1))
    rows = [Given(number, flatten(record)) for number, record in records]
    columns = tuple(dict.fromkeys(name for row in rows for name in row.values))
    return Source(columns, lambda: iter(rows), total=len(rows), row_word="line" if lines else "row")


def _records(path: Path, text: str) -> list[dict[str, Any]]:
    try:
        held = json.loads(text)
    except json.JSONDecodeError as error:
        raise Unreadable(f"{path.name}: line {error.lineno}: is not JSON: {error.msg}; send it whole") from None
    except RecursionError:
        raise Unreadable(f"{path.name}: is nested too deeply to be read") from None
    if isinstance(held, dict):
        lists = [value for value in held.values() if isinstance(value, list)]
        held = lists[0] if len(lists) == 1 and "organisationsidentitet" not in held else [held]
    if not isinstance(held, list) or not all(isinstance(record, dict) for record in held):
        raise Unreadable(f"{path.name}: is JSON but not a list of records; give a list of objects, or one a line")
    return held


def _json_lines(path: Path, text: str) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except json.JSONDecodeError as error:
            raise Unreadable(f"{path.name}: line {number}: is not JSON: {error.msg}; send it whole") from None
        except RecursionError:
            raise Unreadable(f"{path.name}: line {number}: is nested too deeply to be read") from None
        if not isinstance(record, dict):
            raise Unreadable(f"{path.name}: line {number}: is JSON but not an object")
        yield number, record
