"""The body of a request: JSON, whole, and not larger than what we take. It is never buffered beyond the limit."""

import json
from collections.abc import Iterator
from typing import Any, Final

from starlette.requests import Request

from schemas.complaints import BROKEN_JSON, Complaint
from services.portal.api.problems import problem, too_large

JSON: Final = "application/json"


async def read(request: Request, *, most_bytes: int) -> bytes:
    """The body. Raises a problem: 415 for what is no JSON or is packed (RFC 9110 §12.5.3), 413 if it is too large."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != JSON:
        raise problem(
            415, "unsupported-media-type", "Send JSON", f"Send one JSON object with Content-Type: {JSON}.",
            headers={"Accept-Post": JSON},
        )  # fmt: skip
    if request.headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
        raise problem(
            415, "unsupported-media-type", "Send it unpacked", "Send the JSON as it is, without Content-Encoding.",
            headers={"Accept-Encoding": "identity"},
        )  # fmt: skip
    said = request.headers.get("content-length", "")
    if said.isdecimal() and int(said) > most_bytes:
        raise too_large(f"The body has {int(said)} bytes; at most {most_bytes} are taken.")
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > most_bytes:
            raise too_large(f"The body has more than {most_bytes} bytes.")
        parts.append(part)
    return b"".join(parts)


def decoded(body: bytes) -> Any:
    """The JSON value of a body. Raises a problem: 400 for what is not whole JSON in UTF-8."""
    try:
        return json.loads(body.decode())
    except (ValueError, RecursionError):
        raise broken() from None


def count_vertices(content: Any) -> int:
    """How many positions the geometries of a case have, whatever else is wrong with it."""
    return sum(_positions(content.get("geometries"))) if isinstance(content, dict) else 0


def broken() -> Exception:
    """What is not JSON."""
    fault = Complaint(BROKEN_JSON, "is not whole JSON; send one JSON object in UTF-8")
    return problem(400, "broken-json", "Not JSON", "The body could not be read.", faults=[fault])


def _positions(content: Any) -> Iterator[int]:
    waiting = [content]
    while waiting:
        here = waiting.pop()
        if isinstance(here, dict):
            waiting.extend(here.values())
        elif isinstance(here, list):
            if here and isinstance(here[0], int | float):
                yield 1
            else:
                waiting.extend(here)
