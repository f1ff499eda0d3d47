"""Records of whole topics, as the tables read them."""

from schemas.company import Company
from schemas.round import Round
from schemas.subscription import Following, Subscription
from schemas.types import Event
from services.runtime.errors import Rejected
from services.runtime.logs import logger
from services.runtime.parsing import parse
from services.runtime.records import Record


def event_in(record: Record, types: dict[str, type[Event]], family: str) -> Event | None:
    """The event, or None: a table skips what it cannot read and says so; whoever wrote it has its own door."""
    try:
        parsed = parse(record, types, family)
        if parsed is not None:
            _check_key(record, parsed.event)
    except Rejected as error:
        logger().warning(
            "table skips a record", topic=record.topic, partition=record.partition, offset=record.offset,
            reason=error.reason, pointer=error.pointer,
        )  # fmt: skip
        return None
    return parsed.event if parsed else None


def _check_key(record: Record, event: Event) -> None:
    """A fact under another's key would outlive its own tombstone, and every other reader refuses it."""
    identity = {
        Company: "workplace_id", Round: "round_id", Subscription: "subscription_id", Following: "subscription_id",
    }.get(type(event))  # fmt: skip
    if identity is not None and record.key != getattr(event, identity).encode():
        raise Rejected("key_mismatch", f"the record's key is not the event's {identity}", f"/{identity}")


def event_id(record: Record) -> str:
    """The id that its writer gave it; empty where there is none."""
    written = next((value for name, value in record.headers if name == "ce_id"), None)
    return (written or b"").decode(errors="replace")
