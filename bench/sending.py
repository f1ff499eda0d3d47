"""One notifier's sending as a process of its own, so that a bench can run several side by side on one ledger.

It sends one claim to be warm, says of how many messages, waits for a line, sends until nothing is due, and says what
that took: `python -m bench.sending` with an `Order` as JSON on the command line. The sender, the ledger and the mail
channel are the notifier's own; the broker is left out: what is published is acknowledged at once.
"""

import asyncio
import contextlib
import json
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, Literal

from bench.admitted import Acknowledged, Keys
from schemas.company import Company
from schemas.invitation import Invitation
from schemas.model import default
from schemas.round import Round
from services.notifier.addressing import Addressing
from services.notifier.app import sender_for
from services.notifier.channels.port import Channel
from services.notifier.channels.smtp import SmtpChannel, SmtpOptions
from services.notifier.composer import RenderingComposer
from services.notifier.composing import Asked, Composer, DigestItem, Draft
from services.notifier.ledger.events import Outbox, Topics
from services.notifier.policy.timing import Rules
from services.notifier.reminding import Reminding
from services.notifier.sender import Sender, SenderOptions
from services.runtime import logs
from services.runtime.clock import SystemClock
from services.runtime.errors import Fault
from services.runtime.sealing import Vault, decode_key
from services.runtime.serving import spare_collector
from services.runtime.settings import LogSettings
from services.runtime.store.database import Database

SENDER: Final = "bench@relay.example"
CONNECTIONS: Final = 10


@dataclass(frozen=True)
class Order:
    """What a process is to do."""

    database: str
    port: int
    keys: Mapping[str, str]
    words: Literal["composed", "ready"] = "composed"
    """Mails as the notifier writes them, or the same ready bytes to everybody."""
    size: int = 5400
    """Bytes of a ready mail."""
    parallel: int = 2 * CONNECTIONS


class ReadyBytes:
    """Writes nothing: every mail is the same."""

    version = "ready"

    def __init__(self, size: int) -> None:
        self._mail = mail(size)

    def compose(
        self, draft: Draft, round_: Round, invitations: Sequence[Invitation], companies: Mapping[str, Company]
    ) -> bytes:
        return self._mail

    def remind(
        self, draft: Draft, round_: Round, invitations: Sequence[Invitation], companies: Mapping[str, Company]
    ) -> bytes:
        raise Fault("the bench sends no reminders")

    def digest(self, draft: Draft, items: Sequence[DigestItem], more: int, companies: Mapping[str, Company]) -> bytes:
        raise Fault("the bench sends no digests")

    def notice(self, draft: Draft, asked: Asked) -> bytes:
        raise Fault("the bench sends no notices")


def mail(size: int) -> bytes:
    """A mail of about so many bytes."""
    head = b"From: <bench@relay.example>\r\nSubject: bench\r\n\r\n"
    line = b"x" * 70 + b"\r\n"
    return head + line * ((size - len(head)) // len(line))


class CaughtUp:
    """Tables that have nothing to catch up with."""

    async def caught_up(self) -> None:
        return


def wired(database: Database, channel: Channel, composer: Composer, keys: Keys, options: SenderOptions) -> Sender:
    """The notifier's sender on a ledger, with one channel, no hold and a broker that acknowledges at once."""
    outbox = Outbox(database, Acknowledged(), Topics())
    rules = Rules(default().burden_policy, "always")
    addressing = Addressing(database, outbox, rules, hold=timedelta(0))
    tables, vault, clock = CaughtUp(), Vault(keys.vault), SystemClock()
    parts = (database, outbox, addressing, Reminding(database, rules), tables, [channel], composer, vault, clock)
    return sender_for(*parts, options, index_key=keys.index)


@contextlib.asynccontextmanager
async def sender(order: Order, keys: Keys) -> AsyncIterator[Sender]:
    """The sender of an order, with the mail channel as the notifier has it."""
    database = Database(order.database)
    given = {"host": "127.0.0.1", "port": order.port, "tls": "none", "helo_name": "bench.example"}
    limits = {"pool_size": CONNECTIONS, "messages_per_connection": 1_000_000}
    channel = SmtpChannel(SmtpOptions.model_validate({**given, **limits, "envelope_from": SENDER}))
    options = SenderOptions(parallel=order.parallel, windows="always")
    try:
        yield wired(database, channel, _composer(order, keys), keys, options)
    finally:
        await channel.close()
        await database.close()


def _composer(order: Order, keys: Keys) -> Composer:
    if order.words == "ready":
        return ReadyBytes(order.size)
    return RenderingComposer(
        portal_url="https://dialog.example",
        sender_name="Exempels kommun",
        sender_email=SENDER,
        token_key=keys.token,
    )


async def _work(order: Order) -> dict[str, Any]:
    keys = Keys(**{name: decode_key(text, name) for name, text in order.keys.items()})
    async with sender(order, keys) as sending:
        print(await sending.deliver("email"), flush=True)
        spare_collector()
        await asyncio.to_thread(sys.stdin.readline)
        used, sent = time.process_time(), 0
        while taken := await sending.deliver("email"):
            sent += taken
        return {"sent": sent, "cpu_s": time.process_time() - used, "peak_rss_mb": _peak_rss_mb()}


def _peak_rss_mb() -> int:
    """Of this program alone: `getrusage` would count the process that started it, too."""
    [most] = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:")]
    return int(most.split()[1]) // 1024


def command(order: Order) -> list[str]:
    """How to start it."""
    return [sys.executable, "-m", "bench.sending", json.dumps(asdict(order))]


def main() -> None:
    """Sends what is due in a ledger, once told to on standard input."""
    logs.configure(LogSettings(level="error"), "bench")
    print(json.dumps(asyncio.run(_work(Order(**json.loads(sys.argv[1]))))), flush=True)


if __name__ == "__main__":
    main()
