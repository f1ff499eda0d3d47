"""SMS through 46elks' HTTP interface (46elks.com/docs: send-sms, sms-history, sms-delivery-reports).

Guaranteed: one `send` is one POST, never repeated here. A connection that could not be made is `NOT_SENT`; once any
byte of the request may have left, everything but a readable answer is `UNKNOWN`, a gateway's 502 and 504 included,
because behind it the provider may have accepted (RFC 9110 §15.6.3, §15.6.5). The failure prevented is to take silence
for a refusal and to send the text twice: 46elks knows no key against doubles. Our reference rides in `whendelivered`
instead, so that the receipt names the message even when the answer to the POST was lost.

`dontlog=message` keeps the text out of the provider's log, and so `look_up` cannot compare texts.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from types import SimpleNamespace
from typing import Any, Final
from urllib.parse import quote, unquote, urlsplit

import aiohttp
from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from services.notifier.channels.port import Outcome, Outgoing, State

_DEFAULT_WAIT: Final = 60.0
_KEEP_IDLE: Final = 10.0  # shorter than servers keep one, so that a POST seldom meets a connection about to close
_CALL_LASTS: Final = timedelta(minutes=10)  # a record this much younger than the intent belongs to another message
_NUMBER: Final = re.compile(r"\+[1-9]\d{4,14}")
_NAME: Final = re.compile(r"(?=.*[A-Za-z])[A-Za-z0-9 ]{1,11}")


class Elks46Options(BaseModel):
    """An account with 46elks, or with something that answers like it."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    base_url: str = Field(default="https://api.46elks.com", pattern=r"^https?://[^/]+.*[^/]$")
    """Where its API answers."""
    username: str
    """The account's API user."""
    password: SecretStr
    """The account's API password."""
    sender: str
    """A name of at most 11 letters, digits and spaces, or a number in E.164."""
    receipt_base: str = Field(default="", pattern=r"^(https?://[^/]+.*[^/])?$")
    """Receipts come to this address with `/{reference}` after it; none are asked for when empty."""
    timeout: float = Field(default=10.0, gt=0)
    """Seconds for one call."""
    connections: int = Field(default=10, ge=1)
    """Connections to the provider at once."""

    @field_validator("sender")
    @classmethod
    def _carriers_take_it(cls, sender: str) -> str:
        if not (_NUMBER.fullmatch(sender) or _NAME.fullmatch(sender)):
            raise ValueError(
                "sender: at most 11 of A-Z, a-z, 0-9 and space with a letter among them, or an E.164 number"
            )
        return sender


@dataclass
class _Progress:
    """How far a request came: aiohttp's trace sets `written` just before the first byte leaves."""

    written: bool = False


class Elks46Channel:
    """The SMS channel."""

    name = "sms"

    def __init__(self, options: Elks46Options) -> None:
        self._options = options
        self._url = f"{options.base_url}/a1/sms"
        self._session: aiohttp.ClientSession | None = None
        self._closed = False

    async def send(self, message: Outgoing) -> Outcome:
        """POST the message once."""
        if self._closed:
            return Outcome(State.NOT_SENT, "closed")
        progress = _Progress()
        try:
            async with self._opened().post(
                self._url, data=self._form(message), allow_redirects=False, trace_request_ctx=progress
            ) as response:
                return await _outcome_of(response)
        except aiohttp.ClientSSLError:
            return Outcome(State.NOT_SENT, "tls_failed", alarm=True)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            return Outcome(State.UNKNOWN if progress.written else State.NOT_SENT, _how_broken(error))

    async def look_up(self, message: Outgoing) -> Outcome | None:
        """Ask the history for this sender and number from the intent on. None also when the question itself failed."""
        if self._closed:
            return None
        since = _since(message)
        # In 46elks' words `end` is the older bound, for the list begins with the newest.
        asked = {"to": message.address, "end": _as_provider_writes(since), "limit": "100"}
        try:
            async with self._opened().get(self._url, params=asked, allow_redirects=False) as response:
                records = await _records(response)
        except (aiohttp.ClientError, TimeoutError, OSError):
            return None
        found = next((record for record in reversed(records) if self._is_this(record, message, since)), None)
        return Outcome(State.SENT, "accepted", "200", provider_ref=str(found["id"])) if found else None

    async def close(self) -> None:
        """Close the kept connections; a message under way ends as unknown."""
        self._closed = True
        if self._session:
            await self._session.close()

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                auth=aiohttp.BasicAuth(self._options.username, self._options.password.get_secret_value(), "utf-8"),
                connector=aiohttp.TCPConnector(limit=self._options.connections, keepalive_timeout=_KEEP_IDLE),
                timeout=aiohttp.ClientTimeout(total=self._options.timeout),
                cookie_jar=aiohttp.DummyCookieJar(),
                trace_configs=[_tracing()],
            )
        return self._session

    def _form(self, message: Outgoing) -> dict[str, str]:
        form = {
            "from": self._options.sender,
            "to": message.address,
            "message": message.body.decode("utf-8"),
            "dontlog": "message",
        }
        if self._options.receipt_base:
            form["whendelivered"] = f"{self._options.receipt_base}/{quote(message.reference, safe='')}"
        return form

    def _is_this(self, record: dict[str, Any], message: Outgoing, since: datetime) -> bool:
        if record.get("from") != self._options.sender or record.get("to") != message.address or not record.get("id"):
            return False
        echoed = record.get("whendelivered")
        if echoed and self._options.receipt_base:
            return _reference_in(str(echoed)) == message.reference
        created = _read_time(record.get("created"))
        return created is not None and since <= created <= since + _CALL_LASTS


def _tracing() -> aiohttp.TraceConfig:
    async def note(
        _: aiohttp.ClientSession, context: SimpleNamespace, __: aiohttp.TraceRequestHeadersSentParams
    ) -> None:
        if isinstance(context.trace_request_ctx, _Progress):
            context.trace_request_ctx.written = True

    tracing = aiohttp.TraceConfig()
    tracing.on_request_headers_sent.append(note)
    return tracing


async def _outcome_of(response: aiohttp.ClientResponse) -> Outcome:
    status, detail = response.status, str(response.status)
    if status == HTTPStatus.OK:
        return await _acceptance(response)
    if status == HTTPStatus.BAD_REQUEST:
        return Outcome(State.FAILED, "bad_request", detail, alarm=True)
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return Outcome(State.NOT_SENT, "too_fast", detail, retry_after=_wait(response))
    if status in (HTTPStatus.BAD_GATEWAY, HTTPStatus.GATEWAY_TIMEOUT):
        return Outcome(State.UNKNOWN, "gateway", detail)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return Outcome(State.RETRY, "try_later", detail)
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return Outcome(State.NOT_SENT, "credentials", detail, alarm=True)
    # A redirect, a 404: the address in our settings is wrong, and every message would fail of it.
    return Outcome(State.NOT_SENT, "unexpected_answer", detail, alarm=True)


async def _acceptance(response: aiohttp.ClientResponse) -> Outcome:
    """A 200 without the provider's id is no proof: a proxy's friendly page looks the same."""
    try:
        answer = await response.json(content_type=None)
    except ValueError:
        answer = None
    if not isinstance(answer, dict) or not answer.get("id"):
        return Outcome(State.UNKNOWN, "unreadable_answer", str(response.status))
    return Outcome(State.SENT, "accepted", str(response.status), provider_ref=str(answer["id"]))


def _wait(response: aiohttp.ClientResponse) -> float:
    asked = response.headers.get("Retry-After", "")
    return float(asked) if asked.isascii() and asked.isdigit() else _DEFAULT_WAIT


def _how_broken(error: Exception) -> str:
    return "timeout" if isinstance(error, TimeoutError) else "connection_lost"


async def _records(response: aiohttp.ClientResponse) -> list[dict[str, Any]]:
    if response.status != HTTPStatus.OK:
        return []
    try:
        page = await response.json(content_type=None)
    except ValueError:
        return []
    records = page.get("data") if isinstance(page, dict) else None
    return [record for record in records if isinstance(record, dict)] if isinstance(records, list) else []


def _reference_in(receipt_url: str) -> str:
    return unquote(urlsplit(receipt_url).path.rsplit("/", 1)[-1])


def _since(message: Outgoing) -> datetime:
    """The whole second of the intent, for a provider that notes no fractions."""
    return message.intent_at.astimezone(UTC).replace(microsecond=0)


def _as_provider_writes(moment: datetime) -> str:
    """UTC without saying so."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds")


def _read_time(text: object) -> datetime | None:
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
