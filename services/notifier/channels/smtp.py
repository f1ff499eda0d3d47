"""Mail through an SMTP relay (RFC 5321), over a few kept connections.

Guaranteed: `send` hands each message over at most once and knows how far it came (`smtp_talk`). Broken before the end
of the data was said: `NOT_SENT`, nobody got anything. Broken after it and before the reply: `UNKNOWN` (RFC 1047), which
the ledger resolves with the same Message-ID. The failure prevented is one word for both: it either doubles an
invitation or loses it. Where the relay offers it, commands are pipelined (`pipelining`); otherwise they go one by one.

A connection goes back to the pool only after a whole dialogue; a cancelled or broken one never does, so no message can
end up in another's envelope. A kept connection that the relay closed in the meantime took nothing: the message goes
over a new one.
"""

import asyncio
import re
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, Self

from aiosmtplib import SMTP, SMTPException, SMTPResponse, SMTPResponseException, SMTPServerDisconnected
from email_validator import EmailNotValidError, validate_email
from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from services.notifier.channels.pipelining import take_over
from services.notifier.channels.port import Outcome, Outgoing, State
from services.notifier.channels.smtp_replies import Phase, broken_off, outcome_of
from services.notifier.channels.smtp_talk import OneByOne, Talk
from services.runtime.errors import Fault

_QUIT_TIMEOUT: Final = 5.0
_PROTOCOL_FAULTS: Final = frozenset({500, 501, 502, 503, 504, 555})
_ADDRESS: Final = re.compile(r"([^\s<>\x00-\x20\x7f]+)@([^\s<>@\x00-\x20\x7f]+)")


class SmtpOptions(BaseModel):
    """How to reach the relay."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: str = Field(min_length=1)
    port: int = Field(ge=1, le=65535)
    tls: Literal["starttls", "implicit", "none"] = "starttls"
    username: str = ""
    password: SecretStr = SecretStr("")
    ca_file: Path | None = None
    """Trust these authorities alone; otherwise the system's."""
    envelope_from: str = Field(pattern=r"^[!-;=?-~]+@[!-;=?-~]+$")
    """Where bounces go, unless a message names its own return path."""
    helo_name: str = ""
    """Our name in EHLO; otherwise the machine's."""
    pool_size: int = Field(default=4, ge=1, le=10)
    messages_per_connection: int = Field(default=100, ge=1)
    connect_timeout: float = Field(default=30.0, gt=0)
    """Seconds for all of connecting: greeting, TLS and log-in included."""
    answer_timeout: float = Field(default=600.0, gt=0)
    """Seconds to wait for the answer to the end of the data; ten minutes in RFC 5321 §4.5.3.2.6."""

    @model_validator(mode="after")
    def _no_password_in_the_clear(self) -> Self:
        if self.username and self.tls == "none":
            raise ValueError("a username needs tls: starttls or implicit")
        if bool(self.username) != bool(self.password.get_secret_value()):
            raise ValueError("username and password come together")
        return self


class SmtpChannel:
    """The email channel. At most `pool_size` messages are on their way at once; the others wait their turn."""

    name = "email"
    provider = "smtp"
    at_once: int | None = None

    def __init__(self, options: SmtpOptions) -> None:
        self._options = options
        self._tls = _tls_context(options)
        self._helo_name = options.helo_name
        self._slots = asyncio.Semaphore(options.pool_size)
        self._idle: list[_Session] = []
        self._closed = False

    async def send(self, message: Outgoing) -> Outcome:
        """Hand the message over once. A cancelled call is like a crash: whether it was sent is not known."""
        letter = _letter(message)
        if isinstance(letter, Outcome):
            return letter
        async with self._slots:
            kept = self._kept()
            if kept:
                outcome = await self._deliver(kept, letter)
                if not _was_stale(kept, outcome):
                    return outcome
            return await self._deliver_over_new(letter)

    async def look_up(self, message: Outgoing) -> Outcome | None:
        """SMTP cannot be asked."""
        return None

    async def greet(self) -> Outcome | None:
        """Connect, secure, log in and say goodbye. None when the relay would take messages from us."""
        session = _Session(self._options, self._tls, self._helo_name)
        refusal = await session.open()
        if refusal is None:
            await session.quit()
        return refusal

    async def close(self) -> None:
        """Say goodbye on every idle connection; those at work end with their message."""
        self._closed = True
        idle, self._idle = self._idle, []
        await asyncio.gather(*(session.quit() for session in idle))

    def _kept(self) -> "_Session | None":
        while self._idle:
            session = self._idle.pop()
            if session.alive:
                return session
            session.abort()
        return None

    async def _deliver_over_new(self, letter: "_Letter") -> Outcome:
        if self._closed:
            return Outcome(State.NOT_SENT, "closed")
        session = _Session(self._options, self._tls, self._helo_name)
        refusal = await session.open()
        self._helo_name = session.helo_name  # finding the machine's own name may take a slow look-up: once is enough
        return refusal or await self._deliver(session, letter)

    async def _deliver(self, session: "_Session", letter: "_Letter") -> Outcome:
        try:
            return await session.deliver(letter)
        finally:
            await self._give_back(session)

    async def _give_back(self, session: "_Session") -> None:
        if not (session.reusable and session.alive):
            session.abort()
        elif self._closed or session.taken >= self._options.messages_per_connection:
            await session.quit()
        else:
            self._idle.append(session)


@dataclass(frozen=True)
class _Letter:
    """A message as it goes over the wire: `data` is dot-stuffed and ends its last line."""

    sender: str
    recipient: bytes
    reference: str
    data: bytes
    size: int
    needs_utf8: bool
    needs_8bit: bool


class _Session:
    """One connection. `phase` says how far the present message came; `reusable` is true between whole dialogues."""

    def __init__(self, options: SmtpOptions, tls: ssl.SSLContext | None, helo_name: str) -> None:
        self.reusable = False
        self.taken = 0
        self._options = options
        self._opening: Phase = "connect"
        self._talk: Talk | None = None
        self._dsn = False
        self._client = SMTP(
            hostname=options.host,
            port=options.port,
            local_hostname=helo_name or None,
            use_tls=options.tls == "implicit",
            start_tls=False,
            tls_context=tls,
            timeout=options.connect_timeout,
        )

    @property
    def phase(self) -> Phase:
        return self._opening if self._talk is None else self._talk.phase

    @property
    def alive(self) -> bool:
        return self._talk is not None and self._talk.alive

    @property
    def helo_name(self) -> str:
        return self._client.local_hostname or ""

    async def open(self) -> Outcome | None:
        """Connect, secure, log in; None when ready."""
        try:
            async with asyncio.timeout(self._options.connect_timeout):
                self._talk = await self._greet()
        except (SMTPException, OSError) as error:
            self.abort()
            return _not_opened(self.phase, error)
        except BaseException:
            self.abort()
            raise
        return None

    async def _greet(self) -> Talk:
        await self._client.connect()
        self._opening = "ehlo"
        if self._options.tls == "starttls":
            await self._client.starttls()
        await self._client.ehlo()
        if self._options.username:
            self._opening = "auth"
            await self._client.login(self._options.username, self._options.password.get_secret_value())
        self._dsn = self._client.supports_extension("dsn")
        if self._client.supports_extension("pipelining"):
            return take_over(self._client.transport, self._options.answer_timeout)
        return OneByOne(self._client, self._options.answer_timeout)

    async def deliver(self, letter: _Letter) -> Outcome:
        """One transaction (RFC 5321 §3.3). Leaves `reusable` true only when the next may follow."""
        refusal = self._lacks(letter)
        if refusal:
            self.reusable = True
            return refusal
        self.reusable = False
        self.taken += 1
        try:
            reply = await self._transaction(letter)
            outcome = outcome_of(self.phase, reply.code, reply.message)
            self.reusable = outcome.state is State.SENT or await self._reset(reply)
        except (SMTPException, OSError) as error:
            return broken_off(self.phase, _how_broken(error))
        return outcome

    def _lacks(self, letter: _Letter) -> Outcome | None:
        if letter.needs_utf8 and not self._client.supports_extension("smtputf8"):
            return Outcome(State.FAILED, "needs_smtputf8")
        if letter.needs_8bit and not self._client.supports_extension("8bitmime"):
            return Outcome(State.FAILED, "needs_8bitmime", alarm=True)
        return None

    async def _transaction(self, letter: _Letter) -> SMTPResponse:
        reply = await self._dialogue(letter)
        if self._dsn and self.phase in ("mail", "rcpt") and reply.code in _PROTOCOL_FAULTS:
            self._dsn = False  # offered and yet refused: the options are the likely fault, so once more without
            await self._talking().ask(b"RSET", self._options.connect_timeout)
            reply = await self._dialogue(letter)
        return reply

    async def _dialogue(self, letter: _Letter) -> SMTPResponse:
        talk = self._talking()
        sender = (letter.sender or self._options.envelope_from).encode("ascii")
        mail = b" ".join((b"MAIL FROM:<" + sender + b">", *self._mail_options(letter)))
        notify = b" NOTIFY=FAILURE,DELAY" if self._dsn else b""
        reply = await talk.envelope(mail, b"RCPT TO:<" + letter.recipient + b">" + notify)
        return reply if reply.code != 354 else await talk.hand_over(letter.data)

    def _talking(self) -> Talk:
        if self._talk is None:
            raise SMTPServerDisconnected("never opened")
        return self._talk

    def _mail_options(self, letter: _Letter) -> list[bytes]:
        options = []
        if self._client.supports_extension("size"):
            options.append(b"SIZE=%d" % letter.size)
        if letter.needs_8bit:
            options.append(b"BODY=8BITMIME")
        if letter.needs_utf8:
            options.append(b"SMTPUTF8")
        if self._dsn:
            options += [b"RET=HDRS", b"ENVID=" + _xtext(letter.reference)]
        return options

    async def _reset(self, refusal: SMTPResponse) -> bool:
        """After a refusal: may the connection go on? Its failure changes nothing of the refusal."""
        if refusal.code // 100 not in (4, 5) or not self.alive:
            return False
        try:
            reply = await self._talking().ask(b"RSET", self._options.connect_timeout)
        except (SMTPException, OSError):
            return False
        return reply.code == 250

    async def quit(self) -> None:
        try:
            await self._talking().ask(b"QUIT", _QUIT_TIMEOUT)
        except (SMTPException, OSError):
            return
        finally:
            self.abort()

    def abort(self) -> None:
        """Close without flushing: half a message in a buffer must not follow us out."""
        transport = self._client.transport
        if isinstance(transport, asyncio.WriteTransport):
            transport.abort()
        self._client.close()


def _tls_context(options: SmtpOptions) -> ssl.SSLContext | None:
    if options.tls == "none":
        return None
    try:
        return ssl.create_default_context(cafile=options.ca_file)
    except OSError as error:
        raise Fault(f"set the mail channel's ca_file to a readable PEM file: {type(error).__name__}") from error


def _was_stale(session: _Session, outcome: Outcome) -> bool:
    """A kept connection that the relay had left before MAIL, by closing it or with 421."""
    stale = ("connection_lost", "service_unavailable")
    return outcome.state is State.NOT_SENT and session.phase == "mail" and outcome.code in stale


def _not_opened(phase: Phase, error: Exception) -> Outcome:
    if isinstance(error, SMTPResponseException):
        return outcome_of(phase, error.code, error.message)
    if isinstance(error, ssl.SSLError) or isinstance(error.__cause__, ssl.SSLError):
        return Outcome(State.NOT_SENT, "tls_failed", alarm=True)
    if isinstance(error, OSError):
        return broken_off(phase, _how_broken(error))
    # aiosmtplib's plain exceptions: STARTTLS, or a way to log in that we know, was not offered.
    return Outcome(State.NOT_SENT, "login_not_offered" if phase == "auth" else "tls_not_offered", alarm=True)


def _how_broken(error: Exception) -> str:
    return "timeout" if isinstance(error, TimeoutError) else "connection_lost"


def _letter(message: Outgoing) -> _Letter | Outcome:
    match = _ADDRESS.fullmatch(message.address)
    if not match:
        return Outcome(State.FAILED, "bad_address")
    local, domain = match[1], match[2]
    if not domain.isascii():
        try:
            domain = _as_a_label(domain)
        except EmailNotValidError:
            return Outcome(State.FAILED, "bad_address")
    lines = _whole_lines(message.body)
    return _Letter(
        sender=message.return_path,
        recipient=f"{local}@{domain}".encode(),
        reference=message.reference,
        data=_dot_stuffed(lines),
        size=len(lines),
        needs_utf8=not local.isascii(),
        needs_8bit=not lines.isascii(),
    )


def _as_a_label(domain: str) -> str:
    """RFC 5891, not the standard library's older IDNA, which sends `straße` to `strasse`."""
    checked = validate_email(f"x@{domain}", check_deliverability=False, globally_deliverable=False)
    if not checked.ascii_domain:
        raise EmailNotValidError
    return checked.ascii_domain


def _whole_lines(body: bytes) -> bytes:
    """Every line ends in CRLF. A bare CR or LF before a dot could smuggle a second message in (RFC 5321 §2.3.8)."""
    if not body.count(b"\r\n") == body.count(b"\n") == body.count(b"\r"):
        body = re.sub(rb"\r\n|\r|\n", b"\r\n", body)
    return body if body.endswith(b"\r\n") else body + b"\r\n"


def _dot_stuffed(lines: bytes) -> bytes:
    """RFC 5321 §4.5.2."""
    stuffed = lines.replace(b"\r\n.", b"\r\n..")
    return b"." + stuffed if stuffed.startswith(b".") else stuffed


def _xtext(text: str) -> bytes:
    """RFC 3461 §4."""
    return b"".join(
        b"%c" % byte if 33 <= byte <= 126 and byte not in b"+=" else b"+%02X" % byte for byte in text.encode()
    )
