"""An account with a provider that is called over HTTP with Basic log-in and forms, as SMS providers are.

Guaranteed: `post` is one POST, never repeated here. A connection that could not be made is `NOT_SENT`; once any byte of
the request may have left, everything but a readable answer is `UNKNOWN`, a gateway's 502 and 504 included, because
behind it the provider may have accepted (RFC 9110 §15.6.3, §15.6.5). The failure prevented is to take silence for a
refusal and to send a text twice.
"""

from dataclasses import dataclass
from http import HTTPStatus
from types import SimpleNamespace
from typing import Any, Final

import aiohttp

from services.notifier.channels.port import NOT_ASKED, TOO_FAST, Outcome, State

_DEFAULT_WAIT: Final = 60.0
_KEEP_IDLE: Final = 10.0  # shorter than servers keep one, so that a POST seldom meets a connection about to close


NO_ANSWER: Final = Outcome(State.UNKNOWN, NOT_ASKED)


@dataclass(frozen=True)
class Answer:
    """What came back: the status, the body's JSON where it is an object, and how long we are asked to wait."""

    status: int
    body: dict[str, Any]
    wait: float


@dataclass
class _Progress:
    """How far a request came: aiohttp's trace sets `written` just before the first byte leaves."""

    written: bool = False


class HttpAccount:
    """The connections to one account. `timeout` is seconds for one call."""

    def __init__(self, username: str, password: str, *, timeout: float, connections: int) -> None:
        self._auth = aiohttp.BasicAuth(username, password, "utf-8")
        self._timeout = timeout
        self._connections = connections
        self._session: aiohttp.ClientSession | None = None
        self._closed = False

    async def post(self, url: str, form: dict[str, str]) -> Answer | Outcome:
        """The answer to a form posted once, or what became of the call where there is none."""
        if self._closed:
            return Outcome(State.NOT_SENT, "closed")
        progress = _Progress()
        try:
            async with self._opened().post(
                url, data=form, allow_redirects=False, trace_request_ctx=progress
            ) as response:
                return await _answer(response)
        except aiohttp.ClientSSLError:
            return Outcome(State.NOT_SENT, "tls_failed", alarm=True)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            return Outcome(State.UNKNOWN if progress.written else State.NOT_SENT, _how_broken(error))

    async def listed(self, url: str, asked: dict[str, str], name: str) -> list[dict[str, Any]] | None:
        """The objects in the list of that name in a page; None when the question was not answered so."""
        if self._closed:
            return None
        try:
            async with self._opened().get(url, params=asked, allow_redirects=False) as response:
                answer = await _answer(response)
        except (aiohttp.ClientError, TimeoutError, OSError):
            return None
        page = answer.body.get(name)
        if answer.status != HTTPStatus.OK or not isinstance(page, list):
            return None
        return [record for record in page if isinstance(record, dict)]

    async def close(self) -> None:
        """Close the kept connections; a call under way ends as unknown."""
        self._closed = True
        if self._session:
            await self._session.close()

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                auth=self._auth,
                connector=aiohttp.TCPConnector(limit=self._connections, keepalive_timeout=_KEEP_IDLE),
                timeout=aiohttp.ClientTimeout(total=self._timeout),
                cookie_jar=aiohttp.DummyCookieJar(),
                trace_configs=[_tracing()],
            )
        return self._session


def trouble(answer: Answer) -> Outcome:
    """The outcome of an answer that neither accepts nor speaks of the message: of the account or the way to it."""
    status, detail = answer.status, str(answer.status)
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return Outcome(State.NOT_SENT, TOO_FAST, detail, retry_after=answer.wait)
    if status in (HTTPStatus.BAD_GATEWAY, HTTPStatus.GATEWAY_TIMEOUT):
        return Outcome(State.UNKNOWN, "gateway", detail)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return Outcome(State.RETRY, "try_later", detail)
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return Outcome(State.NOT_SENT, "credentials", detail, alarm=True)
    # A redirect, a 404: the address in our settings is wrong, and every message would fail of it.
    return Outcome(State.NOT_SENT, "unexpected_answer", detail, alarm=True)


def unreadable(answer: Answer) -> Outcome:
    """A success without the provider's id is no proof: a proxy's friendly page looks the same."""
    return Outcome(State.UNKNOWN, "unreadable_answer", str(answer.status))


def count(told: object) -> int:
    """A whole number as a provider writes it, as a number or a text; nought where it is none."""
    text = str(told)
    return int(text) if text.isascii() and text.isdigit() else 0


def _tracing() -> aiohttp.TraceConfig:
    async def note(
        _: aiohttp.ClientSession, context: SimpleNamespace, __: aiohttp.TraceRequestHeadersSentParams
    ) -> None:
        if isinstance(context.trace_request_ctx, _Progress):
            context.trace_request_ctx.written = True

    tracing = aiohttp.TraceConfig()
    tracing.on_request_headers_sent.append(note)
    return tracing


async def _answer(response: aiohttp.ClientResponse) -> Answer:
    try:
        body = await response.json(content_type=None)
    except ValueError:
        body = None
    asked = response.headers.get("Retry-After", "")
    wait = float(asked) if asked.isascii() and asked.isdigit() else _DEFAULT_WAIT
    return Answer(response.status, body if isinstance(body, dict) else {}, wait)


def _how_broken(error: Exception) -> str:
    return "timeout" if isinstance(error, TimeoutError) else "connection_lost"
