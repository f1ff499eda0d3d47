"""Looks for known personal values in any bytes, in whatever way they may be written.

Text is compared without case and in NFC; numbers by their digits, whatever stands between them. Both are looked for in
the bytes as they are and behind JSON's and URLs' escapes, base64 and hex, to the second layer. Looks for values, not
for kinds of value: what is searched for has to be unlike everything else.
"""

import base64
import binascii
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from urllib.parse import unquote

_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{8,}")
_HEX = re.compile(r"(?:[0-9A-Fa-f]{2}){6,}")
_ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})")
_BETWEEN_DIGITS = re.compile(r"[\s().+/-]+")
_LAYERS = 2


class Traces:
    """`texts` and `numbers` map a harmless name to the value that may not be found."""

    def __init__(self, texts: Mapping[str, str], numbers: Mapping[str, str]) -> None:
        self._texts = {name: _plain(value) for name, value in texts.items()}
        self._numbers = {name: re.sub(r"\D", "", value) for name, value in numbers.items()}

    def within(self, data: bytes) -> set[str]:
        """The names of the values that stand in these bytes."""
        found: set[str] = set()
        for text in _views(data, _LAYERS):
            plain = _plain(text)
            found |= {name for name, value in self._texts.items() if value in plain}
            digits = _BETWEEN_DIGITS.sub("", text)
            found |= {name for name, value in self._numbers.items() if value in digits}
        return found

    def within_any(self, many: Iterable[bytes]) -> set[str]:
        """The same of several."""
        return {name for data in many for name in self.within(data)}


def _views(data: bytes, layers: int) -> Iterator[str]:
    text = data.decode("utf-8", "replace")
    unescaped = _ESCAPE.sub(lambda match: chr(int(match[1], 16)), text).replace("\\/", "/")
    yield from dict.fromkeys((text, unescaped, unquote(unescaped)))
    if layers:
        for inner in _decoded(unescaped):
            yield from _views(inner, layers - 1)


def _decoded(text: str) -> Iterator[bytes]:
    """What may lie in base64, wherever it begins, and in hex."""
    for run in _BASE64.findall(text):
        standard = run.replace("-", "+").replace("_", "/")
        for start in range(4):
            part = standard[start:]
            yield base64.b64decode(part[: len(part) // 4 * 4])
            if rest := len(part) % 4:
                with_padding = part + "=" * (4 - rest)
                if rest != 1:
                    yield base64.b64decode(with_padding)
    for run in _HEX.findall(text):
        yield binascii.unhexlify(run)


def _plain(text: str) -> str:
    return unicodedata.normalize("NFC", text).casefold()
