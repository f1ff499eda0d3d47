"""Which encoding a text file is in: stated by whoever sends it, by its byte-order mark, or UTF-8. Never guessed.

A wrong guess ends as `Ã¥` in a mail, so a file that is not what it is said to be stops the import, and what its bytes
read as Swedish in is only named. Latin-1 stated is read as windows-1252, which has all of its letters, as the WHATWG
Encoding Standard does; a byte-order mark wins over a statement, as there.
"""

import codecs
import re
from collections import Counter
from itertools import chain
from pathlib import Path
from typing import Final

from services.matcher.register.source import Unreadable
from services.runtime.mapping import nearest

BLOCK: Final = 1 << 20
MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"),
)  # fmt: skip
LATIN_1: Final = "windows-1252"
CANDIDATES: Final = ("utf-8", LATIN_1, "mac_roman", "cp850", "utf-16-le", "utf-16-be")
KNOWN: Final = (
    "utf-8",
    "utf-16",
    LATIN_1,
    "iso-8859-1",
    "iso-8859-15",
    "mac_roman",
    "cp850",
    "cp437",
    "cp865",
    "cp1250",
)
SWEDISH: Final = frozenset("åäöÅÄÖéÉèÈüÜøØæÆàáíóôêëñçßæ–—’‘”“´§°·…\u00a0«»²³½€®©")
"""What stands beyond ASCII in Swedish names and addresses, near enough."""
BEYOND_ASCII: Final = re.compile("[^\x00-\x7f]")
WORD: Final = re.compile(rb"[A-Za-z]*[\x80-\xff][A-Za-z\x80-\xff]*")
ENOUGH: Final = 1 << 16
LIKELY: Final = 0.9
LIKELY_ZERO: Final = 0.5
UNLIKELY: Final = 0.5


def encoding_of(path: Path, stated: str | None) -> str:
    """The codec that a text file is read with. Raises `Unreadable` where the file is not what it is said to be."""
    with path.open("rb") as file:
        head = file.read(4096)
    for mark, codec in MARKS:
        if head.startswith(mark):
            _read_through(path, codec)
            return codec
    if stated is not None:
        codec = codec_of(path.name, stated)
        _doubt(path, stated, codec, _read_through(path, codec, f"{stated}, as was stated"))
        return codec
    if (wide := _wide(head)) is not None:
        raise Unreadable(f"{path.name}: is not UTF-8 but looks like {wide}: say --encoding {wide}")
    _read_through(path, "utf-8", "UTF-8")
    return "utf-8"


def _wide(head: bytes) -> str | None:
    """The encoding of text of two bytes a letter, of which one is zero nearly always. Other zeros are padding."""
    zeros = [head[start::2].count(0) / (len(head) // 2 or 1) for start in (0, 1)]
    if max(zeros) < LIKELY_ZERO or min(zeros) > LIKELY_ZERO:
        return None
    return "utf-16-be" if zeros[0] > zeros[1] else "utf-16-le"


def codec_of(where: str, stated: str) -> str:
    """The codec of a name. Raises `Unreadable` for one that nobody knows."""
    try:
        name = codecs.lookup(stated.strip()).name
        "".encode(name)
    except (LookupError, ValueError):
        raise Unreadable(f"{where}: unknown encoding {stated}; {nearest(stated, KNOWN)}") from None
    return LATIN_1 if name in ("iso8859-1", "ascii") else name


def likely(data: bytes) -> list[str]:
    """The encodings in which bytes read as Swedish, the likeliest first."""
    scored = [(score, codec) for codec in CANDIDATES if (score := _score(data, codec)) >= LIKELY]
    return [codec for score, codec in scored if score == max(score for score, _ in scored)]


def _score(data: bytes, codec: str) -> float:
    """How much of what is beyond ASCII could stand in a Swedish name."""
    if codec.startswith("utf-16") and b"\0" not in data:
        return 0.0
    try:
        return _share(Counter(BEYOND_ASCII.findall(data.decode(codec))))
    except UnicodeError:
        return 0.0


def _share(letters: Counter[str]) -> float:
    return sum(n for letter, n in letters.items() if letter in SWEDISH) / (sum(letters.values()) or 1)


def _read_through(path: Path, codec: str, said: str = "what its byte-order mark says") -> Counter[str]:
    """Decodes the whole file once; what it has beyond ASCII. Raises `Unreadable` at the first byte that is wrong."""
    decoder = codecs.getincrementaldecoder(codec)("strict")
    letters: Counter[str] = Counter()
    lines = 1
    with path.open("rb") as file:
        while True:
            block = file.read(BLOCK)
            try:
                text = decoder.decode(block, final=not block)
            except UnicodeError as error:
                before = error.object[: error.start] if isinstance(error, UnicodeDecodeError) else b""
                line = lines + len(re.findall(rb"\r\n|\r|\n", before))
                hint = instead(_around(path), codec)
                raise Unreadable(f"{path.name}: line {line} is not {said}{hint}") from None
            letters.update(BEYOND_ASCII.findall(text))
            lines += len(re.findall("\r\n|\r|\n", text))
            if not block:
                return letters


def _doubt(path: Path, stated: str, codec: str, letters: Counter[str]) -> None:
    """Stops where the stated encoding gives hardly a Swedish letter and another gives hardly anything else."""
    if codec.startswith("utf") or not letters or (share := _share(letters)) >= UNLIKELY:
        return
    if any(one != codec for one in likely(_around(path))):
        raise Unreadable(
            f"{path.name}: read as {stated}, {1 - share:.0%} of its letters beyond a-z are none that Swedish names have"
            + instead(_around(path), codec)
        )


def instead(data: bytes, codec: str) -> str:
    """What is said about the encodings that fit."""
    fits = [one for one in likely(data) if one != codec]
    if not fits:
        return "; say in which encoding it is with --encoding, or save it as UTF-8"
    said = f'say --encoding {fits[0]}, or encoding = "{fits[0]}" in the mapping, or save it as UTF-8'
    return f"; it reads as Swedish in {' or '.join(fits[:2])}: {said}"


def _around(path: Path) -> bytes:
    """Words with bytes beyond ASCII, some tens of thousands of bytes of them; of 16-bit text its beginning."""
    found: list[bytes] = []
    with path.open("rb") as file:
        head = file.read(ENOUGH)
        if b"\0" in head:
            return head
        for block in chain((head,), iter(lambda: file.read(BLOCK), b"")):
            found += WORD.findall(block)
            if sum(map(len, found)) > ENOUGH:
                break
    return b" ".join(found)
