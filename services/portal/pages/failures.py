"""What is shown when a page is not there, or when something of ours does not answer. In words, and never why inside."""

import re
from collections.abc import Awaitable, Callable
from typing import Any, Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from services.portal.api import problems
from services.portal.pages.render import page, redirect
from services.portal.portal import Portal
from services.runtime.errors import Transient
from services.runtime.logs import logger

_MORE_THAN_A_LINK: Final = re.compile(r"(/[a-z]+/[A-Za-z0-9_-]{22}(?:/[a-z-]+(?:/[0-9a-z]+)?)?)[^A-Za-z0-9_-]+")
Handler = Callable[[Request, Exception], Awaitable[Response]]


def failures(portal: Portal) -> dict[Any, Handler]:
    """Handlers by error or status."""

    async def http(request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        if request.url.path.startswith("/api/"):
            return problems.answer(problems.plain(status))
        if status == 404 and (meant := _meant(request)):
            return redirect(portal, request, meant)
        if status == 404:
            return page(portal, request, "not_found.html", status=404)
        return page(portal, request, "wrong_way.html", status=status, headers=getattr(error, "headers", None))

    async def unavailable(request: Request, error: Exception) -> Response:
        logger().error("page not served", error=type(error).__name__)
        return page(portal, request, "unavailable.html", status=503, headers={"Retry-After": "30"})

    async def fault(request: Request, error: Exception) -> Response:
        logger().error("page failed", error=type(error).__name__)
        return page(portal, request, "unavailable.html", status=500)

    return {HTTPException: http, Transient: unavailable, Exception: fault}


def _meant(request: Request) -> str:
    """The link that is followed by what a mail program or a person took along: a full stop, a bracket, a slash."""
    found = _MORE_THAN_A_LINK.fullmatch(request.scope["path"])
    return found[1] if found and request.method in ("GET", "HEAD") else ""
