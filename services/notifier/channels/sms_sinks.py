"""SMS providers that deliver nothing, in the shapes of 46elks and Twilio (sink_behaviour)."""

import asyncio
import re
import uuid
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any, ClassVar, Final
from urllib.parse import unquote, urlsplit

from aiohttp import BasicAuth, web

from services.notifier.channels.sink_behaviour import Act, Behaviour, act_at, tell
from services.runtime.clock import Clock, SystemClock

_PAGE: Final = 100


@dataclass(frozen=True)
class AcceptedSms:
    """A text the sink took responsibility for. `reference` ends the receipt address, where one was given."""

    id: str
    sender: str
    to: str
    text: str
    reference: str
    at: datetime
    receipt_url: str = ""
    logged: bool = True
    """False with `dontlog=message`: the history keeps no text."""


OnSms = Callable[[AcceptedSms], Awaitable[None] | None]


class _SmsProvider:
    """What the SMS sinks have in common: an HTTP server with a log-in that misbehaves when told to, and keeps texts."""

    _ANSWERED: ClassVar[int] = 200

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        on_accept: OnSms | None = None,
        behaviour: Behaviour | None = None,
        credentials: tuple[str, str] | None = None,
        keep: int | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.host = host
        self.port = port
        self.accepted: deque[AcceptedSms] = deque(maxlen=keep)
        self.behaviour = behaviour
        self._count = 0
        self._on_accept = on_accept
        self._credentials = BasicAuth(*credentials, "utf-8") if credentials else None
        self._clock = clock or SystemClock()
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    async def start(self) -> None:
        """Listen; `port` is then the real one."""
        app = web.Application()
        app.router.add_post(self._path(), self._send)
        app.router.add_get(self._path(), self._history)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, self.host, self.port).start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Stop listening and cut every connection."""
        if self._runner:
            await self._runner.cleanup()
            self._runner = None

    def _path(self) -> str:
        raise NotImplementedError

    def _read(self, form: dict[str, str]) -> AcceptedSms | web.Response:
        """The text in a form, or the refusal of it."""
        raise NotImplementedError

    def _as_record(self, sms: AcceptedSms) -> dict[str, Any]:
        raise NotImplementedError

    def _page(self, request: web.Request) -> dict[str, Any]:
        raise NotImplementedError

    def _stranger(self) -> web.Response:
        raise NotImplementedError

    async def _send(self, request: web.Request) -> web.Response:
        if not self._knows(request):
            return self._stranger()
        form = {name: str(value) for name, value in (await request.post()).items()}
        act = self._act("sms")
        sms = self._read(form)
        if isinstance(sms, web.Response):
            return await _perform(act, request) or sms
        if act.accepts:
            self._count += 1
            self.accepted.append(sms)
            await tell(self._on_accept, sms)
        answer = self._as_record(sms) if act.accepts else {}
        return await _perform(act, request) or web.json_response(answer, status=self._ANSWERED)

    async def _history(self, request: web.Request) -> web.Response:
        if not self._knows(request):
            return self._stranger()
        return await _perform(self._act("history"), request) or web.json_response(self._page(request))

    def _act(self, point: str) -> Act:
        return act_at(self.behaviour, point, self._count + 1)

    def _knows(self, request: web.Request) -> bool:
        return self._credentials is None or request.headers.get("Authorization") == self._credentials.encode()

    def _taken(
        self, id_: str, sender: str, to: str, text: str, receipt_url: str, *, logged: bool = True
    ) -> AcceptedSms:
        reference = unquote(urlsplit(receipt_url).path.rsplit("/", 1)[-1])
        return AcceptedSms(id_, sender, to, text, reference, self._clock.now(), receipt_url, logged)


class SmsSink(_SmsProvider):
    """An SMS provider in 46elks' shape: `POST /a1/sms`, and `GET /a1/sms` as its history. With `echo_receipts` the
    history gives back `whendelivered`, which 46elks is not documented to do.
    """

    def __init__(self, *where: Any, echo_receipts: bool = False, **options: Any) -> None:
        super().__init__(*where, **options)
        self._echo = echo_receipts

    def _path(self) -> str:
        return "/a1/sms"

    def _stranger(self) -> web.Response:
        return web.Response(status=401, text="API access requires Basic HTTP authentication")

    def _read(self, form: dict[str, str]) -> AcceptedSms | web.Response:
        if fault := _fault_of(form, "from", "to", "message"):
            return web.Response(status=400, text=fault)
        logged = form.get("dontlog") != "message"
        receipt_url = form.get("whendelivered", "")
        return self._taken(
            f"s{uuid.uuid4().hex}", form["from"], form["to"], form["message"], receipt_url, logged=logged
        )

    def _as_record(self, sms: AcceptedSms) -> dict[str, Any]:
        return {
            "id": sms.id,
            "status": "created",
            "direction": "outgoing",
            "from": sms.sender,
            "to": sms.to,
            "created": sms.at.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds"),
            "parts": 1,
            "cost": 3500,
            "message": sms.text,
        }

    def _page(self, request: web.Request) -> dict[str, Any]:
        limit = min(int(request.query.get("limit", _PAGE)), _PAGE)
        found = [sms for sms in reversed(self.accepted) if _within(sms, request)]
        page: dict[str, Any] = {"data": [self._in_history(sms) for sms in found[:limit]]}
        if len(found) > limit:
            page["next"] = self._as_record(found[limit])["created"]
        return page

    def _in_history(self, sms: AcceptedSms) -> dict[str, Any]:
        record = self._as_record(sms) | ({"whendelivered": sms.receipt_url} if self._echo else {})
        return record if sms.logged else {name: value for name, value in record.items() if name != "message"}


def _within(sms: AcceptedSms, request: web.Request) -> bool:
    """`start` is the newer bound and `end` the older, for the list begins with the newest."""
    newest, oldest = request.query.get("start"), request.query.get("end")
    return (
        sms.to == request.query.get("to", sms.to)
        and (newest is None or sms.at <= _moment(newest))
        and (oldest is None or sms.at >= _moment(oldest))
    )


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


class TwilioSink(_SmsProvider):
    """An SMS provider in Twilio's shape: `POST` and `GET /2010-04-01/Accounts/{sid}/Messages.json`. With `redact` its
    history keeps no texts.
    """

    _ANSWERED = 201

    def __init__(self, *where: Any, redact: bool = False, **options: Any) -> None:
        super().__init__(*where, **options)
        self._redact = redact

    def _path(self) -> str:
        return "/2010-04-01/Accounts/{account}/Messages.json"

    def _stranger(self) -> web.Response:
        return web.json_response({"code": 20003, "message": "Authenticate", "status": 401}, status=401)

    def _read(self, form: dict[str, str]) -> AcceptedSms | web.Response:
        if fault := _fault_of(form, "From", "To", "Body"):
            return web.json_response({"code": 21211, "message": fault, "status": 400}, status=400)
        receipt_url = form.get("StatusCallback", "")
        return self._taken(f"SM{uuid.uuid4().hex}", form["From"], form["To"], form["Body"], receipt_url)

    def _as_record(self, sms: AcceptedSms) -> dict[str, Any]:
        return {
            "sid": sms.id,
            "status": "queued",
            "direction": "outbound-api",
            "from": sms.sender,
            "to": sms.to,
            "body": sms.text,
            "num_segments": "1",
            "price": None,
            "price_unit": "USD",
            "error_code": None,
            "date_created": format_datetime(sms.at.astimezone(UTC)),
            "date_sent": None,
        }

    def _page(self, request: web.Request) -> dict[str, Any]:
        to, sender = request.query.get("To"), request.query.get("From")
        found = [sms for sms in reversed(self.accepted) if to in (None, sms.to) and sender in (None, sms.sender)]
        size = int(request.query.get("PageSize", "50"))
        return {"messages": [self._in_history(sms) for sms in found[:size]], "page": 0, "page_size": size}

    def _in_history(self, sms: AcceptedSms) -> dict[str, Any]:
        return self._as_record(sms) | ({"body": ""} if self._redact else {})


def _fault_of(form: dict[str, str], sender: str, to: str, text: str) -> str:
    missing = [name for name in (sender, to, text) if not form.get(name)]
    if missing:
        return f"Missing key {missing[0]}"
    return "" if re.fullmatch(r"\+[1-9]\d{4,14}", form[to]) else "Invalid to number"


async def _perform(act: Act, request: web.Request) -> web.Response | None:
    if act.delay:
        await asyncio.sleep(act.delay)
    if act.drop and request.transport is not None:
        request.transport.abort()
        return web.Response()
    if not act.reply:
        return None
    headers = {"Retry-After": str(act.retry_after)} if act.retry_after is not None else None
    return web.Response(status=int(act.reply[:3]), headers=headers, text=act.reply[4:])
