"""Files of many JSON texts: JSON Lines, one array, or one text over several lines. Cut into the texts, nothing parsed.

Each text is handed on byte for byte, with the line that it begins on, so that whoever judges it sees what was written.
"""

import json
from collections.abc import Iterator
from typing import Final

_BLANK: Final = " \t\r\n"
_DECODER: Final = json.JSONDecoder()


def split(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Each text with its line: the items of an array; the whole where it is one text, or broken and begun on one line
    and ended on another; else line by line.
    """
    data = data.removeprefix(b"\xef\xbb\xbf")
    if data.lstrip().startswith(b"["):
        yield from _items(data)
        return
    lines = [(number, line) for number, line in enumerate(data.splitlines(), 1) if line.strip()]
    if not lines:
        return
    if len(lines) > 1 and _are_texts(lines) and not _is_json(data):
        yield from lines
    else:
        yield lines[0][0], data.strip()


def _items(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The items of an array. Where it is broken, the rest is one text, which is broken too."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        yield 1, data.strip()
        return
    at, counted, line = _next(text, text.index("[") + 1), 0, 1
    expected = text[at : at + 1] != "]"
    while expected:
        line, counted = line + text.count("\n", counted, at), at
        try:
            _, end = _DECODER.raw_decode(text, at)
        except (ValueError, RecursionError):
            yield line, text[at:].encode()
            return
        yield line, text[at:end].encode()
        at = _next(text, end)
        expected = text[at : at + 1] == ","
        if expected:
            at = _next(text, at + 1)
    if text[at : at + 1] != "]" or text[at + 1 :].strip(_BLANK):
        yield line + text.count("\n", counted, at), text[at:].encode()


def _next(text: str, at: int) -> int:
    while at < len(text) and text[at] in _BLANK:
        at += 1
    return at


def _are_texts(lines: list[tuple[int, bytes]]) -> bool:
    """Whether lines look like texts of their own: one of the first two is an object, or one that is not indented."""
    if any(_is_object(line.strip()) for _, line in lines[:2]):
        return True
    return any(_is_object(line) for _, line in lines)


def _is_object(line: bytes) -> bool:
    return line.startswith(b"{") and line.endswith(b"}")


def _is_json(data: bytes) -> bool:
    try:
        json.loads(data)
    except (ValueError, RecursionError):
        return False
    return True
