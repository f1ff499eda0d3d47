"""A notifier that kills itself with -9 at a named step: `python -m tests.faults.dying LOG STEP NTH`.

The step is where the promise is hardest to keep; the wrappers stand around the real channel, ledger and topic, so that
nothing in the product knows of them. Without a step it works until nothing is owed any more, and ends.
"""

import asyncio
import base64
import json
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from services.notifier.channels.port import Channel, Outcome, Outgoing, State
from services.notifier.ledger import transitions
from services.notifier.ledger.messages import Message
from services.notifier.settings import NotifierSettings
from services.runtime import records
from services.runtime.clock import SystemClock
from services.runtime.settings import load
from tests.faults.house import channel
from tests.notifier_offline import OfflineNotifier
from tests.topics_offline import Log

BEFORE_INTENT: Final = "before_intent"
"""The messages are composed and the intent is written, but its transaction has not ended."""
BEFORE_CALL: Final = "between_intent_and_call"
DURING_DATA: Final = "during_data"
"""Half of the message is on its way. The relay in front of the sink does this one: only it sees the bytes."""
AFTER_ACCEPTANCE: Final = "after_250"
"""The relay has taken it; the outcome is not written yet."""
BEFORE_EVENT: Final = "before_event"
"""The outcome is in the ledger; nobody has been told."""
STEPS: Final = (BEFORE_INTENT, BEFORE_CALL, DURING_DATA, AFTER_ACCEPTANCE, BEFORE_EVENT)


class Death:
    """Comes when a step is reached for the nth time."""

    def __init__(self, step: str, nth: int) -> None:
        self._step, self._left = step, nth

    def at(self, step: str) -> None:
        if step != self._step:
            return
        self._left -= 1
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


class MortalChannel:
    """A channel at whose calls the process may die."""

    def __init__(self, inner: Channel, death: Death) -> None:
        self.name, self.provider, self.at_once = inner.name, inner.provider, inner.at_once
        self._inner, self._death = inner, death

    async def send(self, message: Outgoing) -> Outcome:
        self._death.at(BEFORE_CALL)
        outcome = await self._inner.send(message)
        if outcome.state is State.SENT:
            self._death.at(AFTER_ACCEPTANCE)
        return outcome

    async def look_up(self, message: Outgoing) -> Outcome | None:
        return await self._inner.look_up(message)

    async def close(self) -> None:
        await self._inner.close()


class FileLog(Log):
    """Topics that outlive the process: what is acknowledged is a line in a file."""

    def __init__(self, path: Path, death: Death) -> None:
        super().__init__()
        self._file, self._death = path.open("ab", buffering=0), death

    async def publish(self, records: Sequence[records.Outgoing]) -> None:
        said = [json.loads(item.value or b"{}").get("state") for item in records]
        if "sent" in said:
            self._death.at(BEFORE_EVENT)
        lines = [line(item) for item in records]
        self._file.write(b"".join(lines))


def line(item: records.Outgoing) -> bytes:
    body = base64.b64encode(item.value or b"").decode()
    return json.dumps({"topic": item.topic, "key": item.key, "body": body}).encode() + b"\n"


def published(path: Path, log: Log) -> None:
    """Puts what a dead process published into the topics of a living one."""
    for text in path.read_bytes().splitlines():
        item = json.loads(text)
        log.append(item["topic"], item["key"], base64.b64decode(item["body"]), {})


async def run(path: Path, step: str, nth: int) -> None:
    """Sends until nothing is owed, or until death."""
    death = Death(step, nth)
    original = transitions.record_intents

    async def record_intents(*given: Any) -> list[Message]:
        written = await original(*given)
        death.at(BEFORE_INTENT)
        return written

    setattr(transitions, "record_intents", record_intents)  # noqa: B010 - of this process alone
    options = load(NotifierSettings).notifier
    way = MortalChannel(channel(options.smtp.port), death)
    notifier = OfflineNotifier(FileLog(path, death), SystemClock(), options, channels=[way])
    stop = asyncio.Event()
    working = asyncio.create_task(notifier.app.sender.run(stop))
    await notifier.settled()
    stop.set()
    await working
    await notifier.close()


if __name__ == "__main__":
    asyncio.run(run(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
