"""Logs: one line per event, only fields that are known to be free of personal data.

A processor drops every field that is not on the list below, so that an address cannot slip into a log by accident;
dropping is seen, because the names of what was dropped are logged.
"""

import logging
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

from services.runtime.settings import LogSettings

KNOWN = frozenset(
    {
        "event", "level", "timestamp", "service", "topic", "partition", "offset", "group", "reason", "pointer", "count",
        "case_key", "round_id", "invitation_id", "message_id", "state", "channel", "code", "seconds", "attempt", "type",
        "error", "version", "import_number", "rows", "port", "host", "setting", "wait", "partitions", "name",
    }
)  # fmt: skip


def _drop_unknown(_: Any, __: str, fields: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    dropped = sorted(name for name in fields if name not in KNOWN)
    kept = {name: value for name, value in fields.items() if name in KNOWN}
    return {**kept, "dropped": dropped} if dropped else kept


def configure(settings: LogSettings, service: str) -> None:
    """Sets logging up, once, for a process."""
    level = logging.getLevelNamesMapping()[settings.level.upper()]
    renderer: Any = (
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if settings.format == "json"
        else structlog.dev.ConsoleRenderer(colors=False)
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _drop_unknown,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),  # where stderr is now, not where it was
        cache_logger_on_first_use=True,
    )
    name_service(service)
    logging.basicConfig(level=logging.ERROR, stream=sys.stderr, format="%(levelname)s %(name)s")
    for name in ("aiokafka", "kafka", "faststream", "mail.log"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


def name_service(service: str) -> None:
    """What the lines of this task, and of the tasks it starts, are said to be from."""
    structlog.contextvars.bind_contextvars(service=service)


def logger() -> Any:
    """The logger; fields are keyword arguments."""
    return structlog.get_logger()
