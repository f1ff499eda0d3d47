"""The sinks as a program: a process of their own that a fault test can outlive.

    python -m services.notifier.channels.sinks --smtp 0 --sms 0 --log accepted.jsonl

The log has a line for what they said yes to before the answer leaves, with no address in it.
"""

import argparse
import asyncio
import contextlib
import hashlib
import json
import signal
from datetime import datetime
from pathlib import Path
from typing import Final, TextIO

from services.notifier.channels.sink_behaviour import Act
from services.notifier.channels.sms_sinks import AcceptedSms, SmsSink
from services.notifier.channels.smtp_sink import AcceptedMail, SmtpSink

_KEPT: Final = 10_000
"""Texts that the history can be asked for."""


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
        sinks["sms"] = SmsSink(host, sms_port, on_accept=log.sms, behaviour=behaviour, keep=_KEPT)
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
