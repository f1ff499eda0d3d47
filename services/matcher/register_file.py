"""The register's columns as one local file, so that a matcher begins where it was and not at the topic's beginning.

What it holds is what the topic said up to the offsets in it; whoever reads on from there knows what the topic says.
It is used only while that is sure: written by this version, whole (`mark`), of the same topic, which a deletion or
another cluster would change, and younger than half of what tombstones are kept for, since an erasure that was read by
nobody in time would otherwise be lost. In any doubt the topic is read from its beginning, which is only slower.

The file is mapped into memory and never changed once it has its name, so that a start costs one look at its bytes.
"""

import json
import mmap
import os
import zlib
from dataclasses import dataclass, fields
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import numpy as np

from schemas.types import IndustryCode
from services.matcher.grid import Grid
from services.matcher.nearest import warm
from services.matcher.texts import Texts
from services.matcher.workplaces import Snapshot

MAGIC: Final = b"nardialog register 2\n"
"""Another number for every other layout: a file is never translated, only left aside."""
ALIGN: Final = 64
BLOCK: Final = 4096
"""Bytes whose sum stands for them in a file's mark."""
POPULATE: Final = getattr(mmap, "MAP_POPULATE", 0)
"""Where the system can, the whole file is mapped at once and not page by page."""
TEXTS: Final = ("ids", "recipient_ids", "organisations")
COLUMNS: Final = ("recipient", "organisation", "status", "municipality", "by_municipality", "municipality_starts",
                  "codes", "slot", "alive")  # fmt: skip
CELLS: Final = ("starts", "x", "y", "codes", "rows")


class Unusable(Exception):
    """Why a file is left aside."""


@dataclass(frozen=True)
class Saved:
    """A register, and up to where it was read of which topic, and when that was so."""

    register: Snapshot
    topic_id: str
    positions: dict[int, int]
    """Partition to the next offset."""
    saved_at: datetime

    def check(self, topic_id: str, ends: dict[int, int], now: datetime, longest: timedelta) -> None:
        """Raises `Unusable` where reading on from here could miss something."""
        if self.topic_id != topic_id or not topic_id:
            raise Unusable("of another topic")
        if self.positions.keys() != ends.keys() or any(ends[p] < offset for p, offset in self.positions.items()):
            raise Unusable("the topic ends before it")
        if not timedelta(0) <= now - self.saved_at <= longest:
            raise Unusable("too old")


def write(folder: Path, topic: str, saved: Saved) -> Path:
    """Writes the file, whole or not at all."""
    columns = list(_columns(saved.register))
    header = json.dumps(_header(saved, columns)).encode()
    path = of_version(folder, topic, saved.register.register_version)
    beside = path.with_suffix(".new")
    descriptor = os.open(beside, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w+b") as file:
        file.writelines((MAGIC, len(header).to_bytes(8, "big"), header, *_aligned(columns, len(header))))
        file.flush()
        file.write(mark(np.frombuffer(_mapped(file.fileno()), dtype=np.uint8)).to_bytes(4, "big"))
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
    return path


def of_version(folder: Path, topic: str, register_version: str) -> Path:
    """Where the register of a content hash is kept, if it is."""
    return folder / f"{topic}-{register_version}.register"


def forget(folder: Path, topic: str, before: datetime) -> None:
    """Removes what was last written before this moment, but for the latest file."""
    for old in files(folder, topic)[1:]:
        if old.stat().st_mtime < before.timestamp():
            old.unlink(missing_ok=True)


def read(path: Path) -> Saved:
    """Reads a file. Raises `Unusable` where it is damaged or of another version."""
    with path.open("rb") as file:
        if file.read(len(MAGIC)) != MAGIC:
            raise Unusable("of another version")
        data = _mapped(file.fileno())
    if mark(np.frombuffer(data, dtype=np.uint8)[:-4]) != int.from_bytes(data[-4:], "big"):
        raise Unusable("damaged")
    begin = len(MAGIC) + 8
    size = int.from_bytes(data[len(MAGIC) : begin], "big")
    header = json.loads(data[begin : begin + size])
    offset, columns = _up(begin + size), {}
    for name, kind, shape in header.pop("columns"):
        count = int(np.prod(shape))
        columns[name] = np.frombuffer(data, dtype=kind, count=count, offset=offset).reshape(shape)
        offset = _up(offset + columns[name].nbytes)
    return _saved(header, columns)


def mark(data: "np.ndarray[Any, np.dtype[np.uint8]]") -> int:
    """CRC-32 over the sums of all blocks, as words of eight bytes, and over the bytes that are left: changed, missing
    and exchanged blocks show, at the speed of reading. CRC-32 over all bytes takes six times as long.
    """
    whole = data[: data.size // BLOCK * BLOCK].view(np.uint64).reshape(-1, BLOCK // 8)
    return zlib.crc32(data[whole.nbytes :].data, zlib.crc32(whole.sum(axis=1).data))


def files(folder: Path, topic: str) -> list[Path]:
    """The files of a topic, the latest first."""
    return sorted(folder.glob(f"{topic}-*.register"), key=lambda path: path.stat().st_mtime, reverse=True)


def _mapped(descriptor: int) -> mmap.mmap:
    return mmap.mmap(descriptor, 0, flags=mmap.MAP_PRIVATE | POPULATE, prot=mmap.PROT_READ)


def _columns(register: Snapshot) -> "list[tuple[str, np.ndarray[Any, Any]]]":
    found = [
        (f"{name}.{part.name}", getattr(getattr(register, name), part.name)) for name in TEXTS for part in fields(Texts)
    ]
    found += [(name, getattr(register, name)) for name in COLUMNS if getattr(register, name) is not None]
    return found + [(f"grid.{name}", getattr(register.grid, name)) for name in CELLS]


def _header(saved: Saved, columns: "list[tuple[str, np.ndarray[Any, Any]]]") -> dict[str, Any]:
    register = saved.register
    return {
        "topic_id": saved.topic_id,
        "positions": sorted(saved.positions.items()),
        "saved_at": saved.saved_at.isoformat(),
        "register_version": register.register_version,
        "import_number": register.import_number,
        "register_date": register.register_date.isoformat() if register.register_date else None,
        "active_placed": register.active_placed,
        "municipalities": register.municipalities,
        "industries": [(item.code, item.version) for item in register.industries],
        "grid": [register.grid.west, register.grid.south, register.grid.width, register.grid.height],
        "columns": [(name, column.dtype.str, column.shape) for name, column in columns],
    }


def _aligned(columns: "list[tuple[str, np.ndarray[Any, Any]]]", header: int) -> "list[bytes | memoryview]":
    """The columns' bytes, each after as much nothing as its alignment takes."""
    pieces: list[bytes | memoryview] = []
    at = len(MAGIC) + 8 + header
    for _, column in columns:
        pieces += [bytes(_up(at) - at), np.ascontiguousarray(column).reshape(-1).view(np.uint8).data]
        at = _up(at) + column.nbytes
    return pieces


def _saved(header: dict[str, Any], columns: dict[str, Any]) -> Saved:
    west, south, width, height = header["grid"]
    cells = Grid(west, south, width, height, **{name: columns[f"grid.{name}"] for name in CELLS})
    warm(cells)
    parts: dict[str, Any] = {name: Texts(columns[f"{name}.block"], columns[f"{name}.begins"]) for name in TEXTS}
    parts |= {name: columns.get(name) for name in COLUMNS}
    register = Snapshot(
        register_version=header["register_version"],
        import_number=header["import_number"],
        register_date=date.fromisoformat(header["register_date"]) if header["register_date"] else None,
        active_placed=header["active_placed"],
        municipalities=tuple(header["municipalities"]),
        industries=tuple(IndustryCode(code=code, version=version) for code, version in header["industries"]),
        grid=cells,
        **parts,
    )
    return Saved(register, header["topic_id"], dict(header["positions"]), datetime.fromisoformat(header["saved_at"]))


def _up(offset: int) -> int:
    return -(-offset // ALIGN) * ALIGN
