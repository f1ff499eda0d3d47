"""HTTP at the edge: the headers that every response has, the size of what is sent to us, the server.

Nothing is logged of a request: its address may hold a token. What went wrong inside is logged by its kind alone.
"""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

from granian.constants import Interfaces
from granian.server.embed import Server
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, Response

from services.portal.api import problems
from services.runtime.errors import Fault

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Asgi = Callable[[Scope, Receive, Send], Awaitable[None]]

BODY_BYTES: Final = 1_000_000
"""The most that anybody may send: an event with room for its encoding."""
CSP: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_THROWN_AWAY: Final = 10 * BODY_BYTES
ALWAYS: Final = {
    "Content-Security-Policy": CSP,
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Opener-Policy": "same-origin",
}
PUBLIC: Final = ("/static/", "/arenden/", "/prenumerera", "/personuppgifter", "/tillganglighet")
"""What search engines may show, besides the start page; every other address is somebody's own."""


class Guard:
    """The outermost layer: reads at most `BODY_BYTES`, and sets headers on whatever answer comes. A page's address
    with a NUL goes no further: PostgreSQL holds none, and an answer of 503 would have it tried for ever. (The API says
    what it takes.)
    """

    def __init__(self, app: Asgi) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def headed(message: Message) -> None:
            if message["type"] == "http.response.start":
                _set_headers(MutableHeaders(scope=message), scope["path"])
            await send(message)

        body = await _whole(scope, receive)
        if body is None:
            await _too_large(scope["path"])(scope, receive, headed)
        elif _has_nul(scope):
            await _no_address()(scope, receive, headed)
        else:
            await self._app(scope, _replayed(body, receive), headed)


def _set_headers(headers: MutableHeaders, path: str) -> None:
    for name, value in ALWAYS.items():
        headers[name] = value
    headers.setdefault("Cache-Control", "no-store")
    if path != "/" and not path.startswith(PUBLIC):
        headers["X-Robots-Tag"] = "noindex, nofollow"


async def _whole(scope: Scope, receive: Receive) -> bytes | None:
    """The body, or None for one that is too large. The rest of that is read and thrown away, up to a limit: a sender
    that is still writing when the connection is closed never reads the answer.
    """
    said = Headers(scope=scope).get("content-length", "0")
    too_large = not said.isdecimal() or int(said) > BODY_BYTES
    parts: list[bytes] = []
    size, more = 0, True
    while more and size <= _THROWN_AWAY:
        message = await receive()
        if message["type"] != "http.request":
            break
        part: bytes = message.get("body", b"")
        size += len(part)
        too_large = too_large or size > BODY_BYTES
        parts = [] if too_large else [*parts, part]
        more = message.get("more_body", False)
    return None if too_large else b"".join(parts)


def _replayed(body: bytes, receive: Receive) -> Receive:
    given = False

    async def replay() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay


def _too_large(path: str) -> Response:
    if path.startswith("/api/"):
        return problems.answer(problems.too_large(f"At most {BODY_BYTES} bytes may be sent at once."))
    return PlainTextResponse(
        f"Det som skickades är för stort: högst {BODY_BYTES} byte åt gången. Gå tillbaka och korta texten.\n\n"
        f"What was sent is too large: at most {BODY_BYTES} bytes at once. Go back and shorten the text.\n",
        413,
    )


def _has_nul(scope: Scope) -> bool:
    path: str = scope["path"]
    return not path.startswith("/api/") and ("\0" in path or b"%00" in scope["query_string"])


def _no_address() -> Response:
    return PlainTextResponse(
        "Adressen kan inte användas. Öppna länken i inbjudan igen.\n\n"
        "The address cannot be used. Open the link in your invitation again.\n",
        400,
    )


class WebServer:
    """Serves on this event loop. `finished` ends by `stop`, or with what ended it."""

    def __init__(self, app: Asgi, *, host: str, port: int) -> None:
        self._where = f"{host}:{port}"
        target: Any = app
        self._server = Server(
            target,
            address=host,
            port=port,
            interface=Interfaces.ASGINL,
            log_enabled=False,
            websockets=False,
        )
        self.finished: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Returns when the port is open. Raises `Fault` when it cannot be."""
        opened = asyncio.Event()
        self._server.on_startup(opened.set)
        self.finished = asyncio.create_task(self._server.serve(), name="web")
        waiting = asyncio.ensure_future(opened.wait())
        try:
            await asyncio.wait({waiting, self.finished}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()
        if self.finished.done():
            error = self.finished.exception()
            raise Fault(f"the portal cannot listen on {self._where} ({error}): set NARDIALOG_PORTAL__PORT") from error

    async def stop(self) -> None:
        """Takes no more requests, and lets those under way finish."""
        if self.finished is not None and not self.finished.done():
            stop: Callable[[], None] = self._server.stop
            stop()
            await self.finished
