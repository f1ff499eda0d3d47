"""Dead letters: reading why a record could not be handled, and what exactly is sent when it is tried again.

A replay is the original record: same key, same bytes, same partition. Of its headers go those of the event itself
(`content-type`, `ce_*`); what others put there does not: traces whose spans ended long ago, a mirror's or a framework's
bookkeeping, which broke things elsewhere when it was sent twice. Two of ours travel on: `dlq_replays`, so that a record
that never works does not circle for ever, and `dlq_first_reason`.

A letter without bytes is never replayed: it had its value dropped, or was a tombstone (`dlq_value` says which), and
sending nothing would erase what its key names. Values of `contacts` and `notices` are never shown.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

from schemas.topics import SEALED, TOPICS
from schemas.types import is_personal_number
from services.runtime.dead_letters import KEPT_WITHOUT_VALUE
from services.runtime.errors import Permanent
from services.runtime.records import Record

MAX_REPLAYS: Final = 3
SUFFIX: Final = ".dlq"
TRACE: Final = frozenset({"ce_traceparent", "ce_tracestate"})
"""CloudEvents' distributed tracing extension: the first attempt's, ended."""
_ADDRESS: Final = re.compile(r"([A-Za-z0-9._-]{1,249})/(\d{1,9})/(\d{1,18})", re.ASCII)
_OPEN: Final = frozenset(topic.name for topic in TOPICS if topic.name not in SEALED)

_MISSING: Final[Mapping[str, str]] = {
    "dropped": "it was dropped because it may not be stored",
    "tombstone": "the record was a tombstone",
    "unsaid": "it was dropped because it may not be stored, or the record was a tombstone",
}


class BadAddress(ValueError):
    """Not `topic/partition/offset` of a dead letter."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a letter stands."""

    topic: str
    partition: int
    offset: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises `BadAddress`."""
        match = _ADDRESS.fullmatch(text)
        if match is None or not match[1].endswith(SUFFIX):
            raise BadAddress(
                f"'{text}' is not the address of a dead letter, such as cases.dlq/0/12: see `nardialog dlq list`"
            )
        return cls(match[1], int(match[2]), int(match[3]))

    def __str__(self) -> str:
        return f"{self.topic}/{self.partition}/{self.offset}"


@dataclass(frozen=True, slots=True)
class Posting:
    """One record to send, byte for byte."""

    topic: str
    partition: int | None
    key: bytes | None
    value: bytes
    headers: tuple[tuple[str, bytes | None], ...]


@dataclass(frozen=True, slots=True)
class Letter:
    """One dead letter as it was read."""

    record: Record

    @property
    def address(self) -> Address:
        return Address(self.record.topic, self.record.partition, self.record.offset)

    @property
    def why(self) -> Mapping[str, str]:
        """The `dlq_` headers without their prefix: reason, detail, pointer, topic, partition, offset, …"""
        return {
            name.removeprefix("dlq_"): (value or b"").decode(errors="backslashreplace")
            for name, value in self.record.headers
            if name.startswith("dlq_")
        }

    @property
    def reason(self) -> str:
        return self.why.get("reason", "")

    @property
    def original_headers(self) -> tuple[tuple[str, bytes | None], ...]:
        """What the producer sent."""
        return tuple((name, value) for name, value in self.record.headers if not name.startswith("dlq_"))

    def shown_value(self, prefix: str = "") -> tuple[str, str]:
        """How the value may be shown: (`text` | `hex` | `none` | `withheld`, what to print).

        A topic that is not in the table, under whatever prefix, is withheld too: nobody has said that it may be shown.
        """
        if not self._is_open(prefix):
            return "withheld", f"values of {self.source} are not shown: they may hold sealed personal data"
        if missing := self._missing():
            return "none", f"no value: {missing}"
        try:
            return "text", self._bytes().decode()
        except UnicodeDecodeError:
            return "hex", self._bytes().hex()

    def shown_headers(self, prefix: str = "") -> dict[str, str]:
        """What the producer sent; of topics that are not shown only what says nothing of a person."""
        may_be_shown = self._is_open(prefix)
        return {
            name: (value or b"").decode(errors="backslashreplace")
            if may_be_shown or name in KEPT_WITHOUT_VALUE
            else "(withheld)"
            for name, value in self.original_headers
        }

    def shown_key(self, prefix: str = "") -> str | None:
        """The key, unless it may be the very reason for the refusal: an address, or a personal number."""
        if self.record.key is None:
            return None
        key = self.record.key.decode(errors="backslashreplace")
        personal = any(is_personal_number(part) for part in key.split("/"))
        return key if self._is_open(prefix) and not personal else "(withheld)"

    @property
    def kept_headers(self) -> tuple[tuple[str, bytes | None], ...]:
        """Those of the original headers that belong to the event."""
        return tuple(
            (name, value)
            for name, value in self.original_headers
            if (name == "content-type" or name.startswith("ce_")) and name.lower() not in TRACE
        )

    @property
    def dropped_headers(self) -> tuple[str, ...]:
        """The names of the others."""
        kept = {name for name, _ in self.kept_headers}
        return tuple(dict.fromkeys(name for name, _ in self.original_headers if name not in kept))

    def replay(self) -> Posting:
        """The record to send again. Raises `Permanent` with what to do instead."""
        if missing := self._missing():
            raise Permanent(
                f"{self.address}: has no value ({missing}), so a replay would erase its key; send it from its source"
            )
        return Posting(
            self.source, self.partition, self.record.key, self._bytes(), (*self.kept_headers, *self.counted())
        )

    @property
    def source(self) -> str:
        """The topic that it came from."""
        return self.record.topic.removesuffix(SUFFIX)

    def counted(self) -> tuple[tuple[str, bytes], ...]:
        """Our headers of one more attempt. Raises `Permanent` when there were enough."""
        count = self._replays()
        if count >= MAX_REPLAYS:
            raise Permanent(f"{self.address}: was replayed {count} times; correct it at its source and send it anew")
        first = self.why.get("first_reason") or self.reason
        return ("dlq_replays", str(count + 1).encode()), ("dlq_first_reason", first.encode())

    @property
    def partition(self) -> int | None:
        """The one it stood in: some records are sent to a partition that their key does not choose."""
        text = self.why.get("partition", "")
        return int(text) if re.fullmatch(r"[0-9]{1,9}", text) else None

    def _bytes(self) -> bytes:
        return self.record.value or b""

    def _missing(self) -> str:
        """Why the letter has no bytes; empty where it has, even if there are none of them."""
        said = self.why.get("value", "")
        return "" if self.record.value or said == "kept" else _MISSING.get(said, _MISSING["unsaid"])

    def _is_open(self, prefix: str) -> bool:
        return self.source.startswith(prefix) and self.source.removeprefix(prefix) in _OPEN

    def _replays(self) -> int:
        text = self.why.get("replays") or "0"
        if re.fullmatch(r"[0-9]{1,9}", text) is None:
            raise Permanent(f"{self.address}: dlq_replays is not a number; send it from its source")
        return int(text)
