"""A mail sink of our own and a channel that leads to it, for tests of what is sent."""

import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import trustme

from services.notifier.channels.port import Outgoing
from services.notifier.channels.sink_behaviour import Act
from services.notifier.channels.smtp import SmtpOptions
from services.notifier.channels.smtp_sink import SmtpSink

MAIL = b"From: kommun@kommun.example\r\nMessage-ID: <%s@kommun.example>\r\nSubject: Hej\r\n\r\nHej\r\n.punkt\r\n"


def mail(reference: str = "m1", address: str = "anna@exempel.example", body: bytes = b"") -> Outgoing:
    return Outgoing(reference, address, body or MAIL % reference.encode(), reference, datetime.now(UTC))


def smtp_options(port: int, **changes: object) -> SmtpOptions:
    plain = {"host": "127.0.0.1", "port": port, "tls": "none", "envelope_from": "studs@kommun.example"}
    return SmtpOptions.model_validate(plain | {"helo_name": "test.example", "connect_timeout": 10} | changes)


def once(point: str, act: Act) -> Callable[[str, int], Act | None]:
    """A behaviour that acts the first time this point is reached."""
    left = [act]
    return lambda reached, _: left.pop() if reached == point and left else None


def always(point: str, act: Act) -> Callable[[str, int], Act | None]:
    return lambda reached, _: act if reached == point else None


@asynccontextmanager
async def smtp_sink(**options: object) -> AsyncIterator[SmtpSink]:
    sink = SmtpSink(**options)  # type: ignore[arg-type]
    await sink.start()
    try:
        yield sink
    finally:
        await sink.stop()


class Certified:
    """A relay's certificate, and the authority that vouches for it alone."""

    def __init__(self, folder: Path) -> None:
        authority = trustme.CA()
        self.ca_file = folder / "ca.pem"
        authority.cert_pem.write_to_path(str(self.ca_file))
        self._certificate = authority.issue_cert("127.0.0.1")

    def server_context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._certificate.configure_cert(context)
        return context
