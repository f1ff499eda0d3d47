"""What could not be handled is kept as it came: original bytes, key and headers, and the reason beside them.

Written before the offset is committed, so that a record is either handled or here, never neither. The headers of a
reason are bounded, so that a letter that fails again and again does not grow; what was dead before keeps its first
reason as `dlq_first_reason`. `dlq_value` says what stands in the letter: the original bytes (`kept`), nothing because
there were none (`tombstone`), or nothing because they may not be stored (`dropped`).

What was done with a letter is a record of its own behind it in the same partition, known by its header `dlq_outcome`:
whoever counts letters passes over those. A letter never has that header, because nothing named `dlq_…` is taken over.
"""

from typing import Literal

from services.runtime.errors import Rejected
from services.runtime.records import Record

KEPT_WITHOUT_VALUE = frozenset({"ce_id", "ce_type", "ce_source", "ce_specversion", "ce_time", "content-type"})
DETAIL_BYTES = 500
OUTCOME = "dlq_outcome"


def is_outcome(record: Record) -> bool:
    """Whether a record of a dead-letter topic is no letter, but tells what was done with one."""
    return any(name == OUTCOME for name, _ in record.headers)


def value(record: Record, error: Rejected) -> bytes | None:
    """The letter's value: the original one, unless it may not be stored."""
    return b"" if _stands(record, error) == "dropped" else record.value


def headers(record: Record, error: Rejected, group: str) -> list[tuple[str, bytes | None]]:
    """The letter's headers: the original ones (all, or only harmless ones where the value is dropped) and why."""
    original = [(name, value) for name, value in record.headers if not name.startswith("dlq_")]
    if error.drop_value:
        original = [(name, value) for name, value in original if name in KEPT_WITHOUT_VALUE]
    before = {name: value for name, value in record.headers if value is not None and name.startswith("dlq_")}
    why = {
        "dlq_reason": error.reason.encode()[:100],
        "dlq_detail": error.detail.encode()[:DETAIL_BYTES],
        "dlq_pointer": error.pointer.encode()[:DETAIL_BYTES],
        "dlq_value": _stands(record, error).encode(),
        "dlq_topic": record.topic.encode(),
        "dlq_partition": str(record.partition).encode(),
        "dlq_offset": str(record.offset).encode(),
        "dlq_timestamp": str(record.timestamp).encode(),
        "dlq_group": group.encode(),
        "dlq_replays": before.get("dlq_replays", b"0"),
        "dlq_first_reason": before.get("dlq_first_reason", error.reason.encode()[:100]),
    }
    return [*original, *why.items()]


def _stands(record: Record, error: Rejected) -> Literal["kept", "tombstone", "dropped"]:
    if record.value is None:
        return "tombstone"
    return "dropped" if error.drop_value else "kept"
