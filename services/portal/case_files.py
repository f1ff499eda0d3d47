"""Case files as people and case systems write them: JSON Lines, an array, or one JSON object over several lines."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from services.runtime.json_texts import split

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
    said = "stdin" if name == STDIN else name
    return [Piece(said, line, value) for line, value in split(contents(name))]


def contents(name: str) -> bytes:
    """A file, or standard input where it is called `-`. Raises `OSError`."""
    return sys.stdin.buffer.read() if name == STDIN else Path(name).read_bytes()
