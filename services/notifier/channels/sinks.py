"""Providers of our own, for the demo, the tests and the benches: a mail relay and an SMS provider that deliver nothing.

Guaranteed: what they said yes to is in `accepted`, in order and before the answer leaves, so that a reader of the list
knows what a provider would have sent even when the answer was lost. `Behaviour` makes them misbehave at a stated point;
without it they accept everything. They run on the caller's event loop; started as a program they are a process of
their own that a fault test can outlive:

    python -m services.notifier.channels.sinks --smtp 0 --sms 0 --log accepted.jsonl

These are never reached from outside: they listen on loopback and keep addresses and texts.
"""

import argparse
import asyncio
import contextlib
import hashlib
import inspect
import json
import logging
import re
import signal
import ssl
import uuid
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path
from typing import Any, ClassVar, Final, TextIO
from urllib.parse import unquote, urlsplit

from aiohttp import BasicAuth, web
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from services.runtime.clock import Clock, SystemClock

_LINE_LIMIT: Final = 1001  # 998 octets, CRLF and a stuffed dot: aiosmtpd answers 500 to longer lines
_PAGE: Final = 100
_MESSAGE_ID: Final = re.compile(rb"^message-id:\s*(<[^>\r\n]+>)", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True)
class Act:
    """What a sink does at one point instead of plainly accepting: wait, then drop the connection, or answer `reply`.

    `reply` is an SMTP reply line or an HTTP status code. `accept` says whether the message counts as accepted; by
    itself it does unless the reply is a refusal, so that `Act(drop=True)` is a message taken and an answer lost.
    """

    reply: str = ""
    drop: bool = False
    delay: float = 0.0
    accept: bool | None = None
    retry_after: int | None = None

    @property
    def accepts(self) -> bool:
        return self.accept if self.accept is not None else self.reply[:1] in ("", "2")


Behaviour = Callable[[str, int], Act | None]
"""Called with the point and the number the next accepted message would get. Points: `mail`, `rcpt`, `data` (before the
data), `done` (after them) in SMTP, `sms` and `history` in HTTP. None: behave.
"""

_PLAINLY: Final = Act()


@dataclass(frozen=True)
class AcceptedMail:
    """A mail the sink took responsibility for."""

    number: int
    message_id: str
    mail_from: str
    recipients: tuple[str, ...]
    raw: bytes
    at: datetime
    options: tuple[str, ...] = ()
    """What came with MAIL: `SIZE=…`, `SMTPUTF8`."""


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


OnMail = Callable[[AcceptedMail], Awaitable[None] | None]
OnSms = Callable[[AcceptedSms], Awaitable[None] | None]


class SmtpSink:
    """A mail relay. `keep` bounds how many mails stay in memory; `connections` counts those ever made."""

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        on_accept: OnMail | None = None,
        behaviour: Behaviour | None = None,
        smtputf8: bool = True,
        pipelining: bool = True,
        tls: ssl.SSLContext | None = None,
        implicit_tls: bool = False,
        credentials: tuple[str, str] | None = None,
        keep: int | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.host = host
        self.port = port
        self.accepted: deque[AcceptedMail] = deque(maxlen=keep)
        self.behaviour = behaviour
        self.connections = 0
        self._count = 0
        self._on_accept = on_accept
        self._smtputf8 = smtputf8
        self._pipelining = pipelining
        self._tls = tls
        self._implicit = implicit_tls
        self._credentials = credentials
        self._clock = clock or SystemClock()
        self._server: asyncio.Server | None = None
        self._dialogues: set[_Dialogue] = set()

    async def start(self) -> None:
        """Listen; `port` is then the real one."""
        logging.getLogger("mail.log").setLevel(logging.CRITICAL)  # aiosmtpd logs addresses
        loop = asyncio.get_running_loop()
        layer = self._tls if self._implicit else None
        self._server = await loop.create_server(self._dialogue, self.host, self.port, ssl=layer)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Stop listening and cut every connection."""
        if self._server is None:
            return
        self._server.close()
        for dialogue in tuple(self._dialogues):
            dialogue.cut()
        await self._server.wait_closed()
        self._server = None

    def _dialogue(self) -> "_Dialogue":
        self.connections += 1
        return _Dialogue(
            self,
            self._dialogues,
            enable_SMTPUTF8=self._smtputf8,
            tls_context=None if self._implicit else self._tls,
            require_starttls=self._tls is not None and not self._implicit,
            auth_required=self._credentials is not None,
            auth_require_tls=not self._implicit,
            authenticator=self._authenticate,
            hostname="sink.localhost",
            ident="sink",
            loop=asyncio.get_running_loop(),
        )

    def _authenticate(self, _server: SMTP, _session: Session, _envelope: Envelope, _how: str, data: Any) -> AuthResult:
        known = isinstance(data, LoginPassword) and (data.login.decode(), data.password.decode()) == self._credentials
        return AuthResult(success=known, handled=False)

    def act(self, point: str) -> Act:
        return (self.behaviour and self.behaviour(point, self._count + 1)) or _PLAINLY

    async def handle_EHLO(  # noqa: N802 - aiosmtpd's name
        self, _server: SMTP, session: Session, _envelope: Envelope, hostname: str, offered: list[str]
    ) -> list[str]:
        """aiosmtpd takes commands in a row, and does not say so."""
        session.host_name = hostname
        return [*offered[:-1], "250-PIPELINING", offered[-1]] if self._pipelining else offered

    async def handle_MAIL(  # noqa: N802
        self, server: "_Dialogue", _session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        refusal = await server.perform(self.act("mail"))
        if not refusal:
            envelope.mail_from = address
            envelope.mail_options.extend(options)
        return refusal or "250 2.1.0 Ok"

    async def handle_RCPT(  # noqa: N802
        self, server: "_Dialogue", _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        refusal = await server.perform(self.act("rcpt"))
        if not refusal:
            envelope.rcpt_tos.append(address)
        return refusal or "250 2.1.5 Ok"

    async def handle_DATA(self, server: "_Dialogue", _session: Session, envelope: Envelope) -> str:  # noqa: N802
        act = self.act("done")
        if act.accepts:
            await self._accept(envelope)
        return await server.perform(act) or f"250 2.0.0 Ok: queued as {self._count:08X}"

    async def handle_exception(self, _error: Exception) -> str:
        """Instead of aiosmtpd's, which logs the dialogue."""
        return "451 4.3.0 The sink failed"

    async def _accept(self, envelope: Envelope) -> None:
        self._count += 1
        raw = envelope.original_content or b""
        message_id = _MESSAGE_ID.search(raw.partition(b"\r\n\r\n")[0])
        mail = AcceptedMail(
            number=self._count,
            message_id=message_id[1].decode("ascii", "replace") if message_id else "",
            mail_from=envelope.mail_from or "",
            recipients=tuple(envelope.rcpt_tos),
            raw=raw,
            at=self._clock.now(),
            options=tuple(envelope.mail_options),
        )
        self.accepted.append(mail)
        await _tell(self._on_accept, mail)


class _Dialogue(SMTP):
    """One connection to the sink."""

    line_length_limit = _LINE_LIMIT

    def __init__(self, sink: SmtpSink, dialogues: "set[_Dialogue]", **options: Any) -> None:
        super().__init__(sink, **options)
        self._sink = sink
        self._dialogues = dialogues
        dialogues.add(self)

    def connection_lost(self, error: Exception | None) -> None:
        self._dialogues.discard(self)
        if self.transport is not None:
            super().connection_lost(error)

    async def smtp_DATA(self, arg: str) -> None:  # noqa: N802
        refusal = await self.perform(self._sink.act("data"))
        if refusal:
            await self.push(refusal)
        else:
            await super().smtp_DATA(arg)

    async def perform(self, act: Act) -> str:
        """Wait, drop, or give the reply that stands in for the usual one. A 421 closes, as RFC 5321 §3.8 has it."""
        if act.delay:
            await asyncio.sleep(act.delay)
        if act.drop:
            self.cut()
            await asyncio.get_running_loop().create_future()  # ends when the lost connection cancels this dialogue
        if act.reply.startswith("421"):
            await self.push(act.reply)
            if self.transport is not None:
                self.transport.close()
            await asyncio.get_running_loop().create_future()
        return act.reply

    def cut(self) -> None:
        if isinstance(self.transport, asyncio.WriteTransport):
            self.transport.abort()


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
            await _tell(self._on_accept, sms)
        answer = self._as_record(sms) if act.accepts else {}
        return await _perform(act, request) or web.json_response(answer, status=self._ANSWERED)

    async def _history(self, request: web.Request) -> web.Response:
        if not self._knows(request):
            return self._stranger()
        return await _perform(self._act("history"), request) or web.json_response(self._page(request))

    def _act(self, point: str) -> Act:
        return (self.behaviour and self.behaviour(point, self._count + 1)) or _PLAINLY

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


async def _tell(listener: Callable[[Any], Awaitable[None] | None] | None, accepted: object) -> None:
    told = listener(accepted) if listener else None
    if inspect.isawaitable(told):
        await told


class _Log:
    """One JSON line per accepted message, in the order of acceptance, flushed before the provider answers."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._lines = 0

    def mail(self, mail: AcceptedMail) -> None:
        for recipient in mail.recipients:
            self._write("email", mail.message_id, "", recipient, mail.at)

    def sms(self, sms: AcceptedSms) -> None:
        self._write("sms", sms.id, sms.reference, sms.to, sms.at)

    def _write(self, channel: str, message_id: str, reference: str, address: str, at: datetime) -> None:
        self._lines += 1
        line = {
            "n": self._lines,
            "channel": channel,
            "id": message_id,
            "reference": reference,
            "address": hashlib.sha256(address.encode()).hexdigest()[:16],
            "at": at.timestamp(),
        }
        self._file.write(json.dumps(line) + "\n")
        self._file.flush()


async def _run(host: str, smtp_port: int | None, sms_port: int | None, log: _Log, delay: float) -> None:
    def behaviour(point: str, _number: int) -> Act | None:
        return Act(delay=delay) if point in ("done", "sms") else None

    sinks: dict[str, SmtpSink | SmsSink] = {}
    if smtp_port is not None:
        sinks["smtp"] = SmtpSink(host, smtp_port, on_accept=log.mail, behaviour=behaviour, keep=0)
    if sms_port is not None:
        sinks["sms"] = SmsSink(host, sms_port, on_accept=log.sms, behaviour=behaviour, keep=_PAGE * 100)
    ended = _told_to_stop()
    for sink in sinks.values():
        await sink.start()
    print(json.dumps({name: sink.port for name, sink in sinks.items()}), flush=True)
    await ended.wait()
    for sink in sinks.values():
        await sink.stop()


def _told_to_stop() -> asyncio.Event:
    ended = asyncio.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError):  # Windows ends the process instead
            asyncio.get_running_loop().add_signal_handler(name, ended.set)
    return ended


def main() -> None:
    """Run the sinks until SIGTERM; the ports come as one JSON line on standard output when both listen."""
    parser = argparse.ArgumentParser(prog="python -m services.notifier.channels.sinks", description=main.__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--smtp", type=int, metavar="PORT", help="a mail relay; 0 takes a free port")
    parser.add_argument("--sms", type=int, metavar="PORT", help="an SMS provider; 0 takes a free port")
    parser.add_argument("--log", type=Path, required=True, help="one JSON line per accepted message is appended here")
    parser.add_argument("--delay", type=float, default=0.0, metavar="SECONDS", help="between acceptance and answer")
    given = parser.parse_args()
    with given.log.open("a", encoding="utf-8") as file:
        asyncio.run(_run(given.host, given.smtp, given.sms, _Log(file), given.delay))


if __name__ == "__main__":
    main()
