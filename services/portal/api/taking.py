"""How a POST that changes something is taken, whatever it holds: once, and answered with where the case's status is."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import quote

from fastapi import Request, Response

from services.portal.api import bodies
from services.portal.api.repeats import Receipt, Repeatable, Repeats
from services.portal.api_keys import ApiKey
from services.portal.portal import Portal

_Wanted = TypeVar("_Wanted")


@dataclass(frozen=True)
class Taken:
    """What is answered."""

    receipt: Receipt
    status_url: str


async def take(
    request: Request,
    response: Response,
    portal: Portal,
    key: ApiKey,
    name: str | None,
    *,
    most_bytes: int,
    read: Callable[[bytes], _Wanted],
    carry_out: Callable[[_Wanted, Repeatable | None], Awaitable[Receipt]],
) -> Taken:
    """`read` says what the body wants, or raises a problem; `carry_out` does it and keeps the receipt for the request,
    where that has a name (`Idempotency-Key`).
    """
    body = await bodies.read(request, most_bytes=most_bytes)
    again = Repeatable.of(key.key_id, name, body)
    receipt = await Repeats(portal).once(again, lambda: read(body), lambda wanted: carry_out(wanted, again))
    where = status_url(request, receipt.case_key)
    response.headers["Location"] = where
    return Taken(receipt, where)


def status_url(request: Request, case_key: str) -> str:
    """Where a case's status is."""
    return f"{request.scope.get('root_path', '')}/cases/{quote(case_key)}"
