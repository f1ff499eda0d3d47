"""A mail relay that delivers nothing (sink_behaviour)."""

import asyncio
import logging
import re
import ssl
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from services.notifier.channels.sink_behaviour import Act, Behaviour, act_at, tell
from services.runtime.clock import Clock, SystemClock

_LINE_LIMIT: Final = 1001  # 998 octets, CRLF and a stuffed dot: aiosmtpd answers 500 to longer lines
_MESSAGE_ID: Final = re.compile(rb"^message-id:\s*(<[^>\r\n]+>)", re.IGNORECASE | re.MULTILINE)


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


OnMail = Callable[[AcceptedMail], Awaitable[None] | None]


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
        return act_at(self.behaviour, point, self._count + 1)

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
        await tell(self._on_accept, mail)


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
