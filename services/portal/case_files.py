"""Case files as people and case systems write them: JSON Lines, or one JSON object over several lines."""

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

STDIN: Final = "-"


@dataclass(frozen=True)
class Piece:
    """One case's text, and where it begins."""

    file: str
    line: int
    value: bytes

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


def pieces(name: str) -> list[Piece]:
    """The cases of a file, or of standard input where it is called `-`. Raises `OSError`."""
    data = sys.stdin.buffer.read() if name == STDIN else Path(name).read_bytes()
    said = "stdin" if name == STDIN else name
    return [Piece(said, line, value) for line, value in split(data.removeprefix(b"\xef\xbb\xbf"))]


def split(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Each case's text with its line: the whole where it is one JSON text, or broken and begun on one line and ended
    on another; else line by line.
    """
    lines = [(number, line) for number, line in enumerate(data.splitlines(), 1) if line.strip()]
    if not lines:
        return
    if len(lines) > 1 and not (_is_json(data) or not any(_is_object(line) for _, line in lines[:2])):
        yield from lines
    else:
        yield lines[0][0], data.strip()


def _is_object(line: bytes) -> bool:
    return line.strip().startswith(b"{") and line.strip().endswith(b"}")


def _is_json(data: bytes) -> bool:
    try:
        json.loads(data)
    except (ValueError, RecursionError):
        return False
    return True
