"""An SMS provider whose receipts come twice, before its own answer, in the wrong order, or about nothing of ours; and
whose answer is lost at times, so that only the receipt says what became of a message.
"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

import aiohttp

from schemas.delivery import Delivery
from schemas.topics import DELIVERIES
from services.notifier.app import channels_for
from services.notifier.channels.sink_behaviour import Act
from services.notifier.channels.sms_sinks import AcceptedSms, SmsSink
from services.runtime.clock import ManualClock
from services.runtime.link_tokens import Purpose, mint, verify
from services.runtime.local_kafka import free_ports
from tests.faults import house
from tests.faults.troubles import LONGEST, settle
from tests.notifier_offline import OfflineNotifier
from tests.topics_offline import Log

KIND: Final = "receipts_doubled"
MOST: Final = 95
"""Numbers that belong to nobody (PTS's series for fiction)."""
ACCOUNT: Final = ("u", "p")


class Provider:
    """Takes each text, and tells of it more often than it should."""

    def __init__(self, draw: random.Random, key: bytes) -> None:
        self.injected = 0
        self._draw, self._key = draw, key
        self._late: list[asyncio.Task[None]] = []
        self.sink = SmsSink(on_accept=self._taken, behaviour=self._behave, credentials=ACCOUNT, keep=0)
        self.numbers: Counter[int] = Counter()

    def _behave(self, point: str, _: int) -> Act | None:
        if point != "sms" or self._draw.random() > 0.1:
            return None
        self.injected += 1
        return Act(drop=True)

    async def _taken(self, sms: AcceptedSms) -> None:
        """What it accepted, and its first receipt: before the sender has its answer."""
        number = verify(sms.reference, [self._key], Purpose.RECEIPT)
        self.numbers[number or 0] += 1
        says = ["delivered", "delivered", "sent", "delivered"]
        self._draw.shuffle(says)
        await self._tell(sms.receipt_url, sms.id, says.pop())
        nobodys = sms.receipt_url.rpartition("/")[0] + "/" + mint(4711, self._key, Purpose.RECEIPT)
        self._late.append(
            asyncio.create_task(self._tell_all([*((sms.receipt_url, s) for s in says), (nobodys, "delivered")], sms.id))
        )

    async def _tell_all(self, said: list[tuple[str, str]], id_: str) -> None:
        for url, status in said:
            await self._tell(url, id_, status)

    async def _tell(self, url: str, id_: str, status: str) -> None:
        self.injected += 1
        async with aiohttp.ClientSession() as session, session.post(url, data={"id": id_, "status": status}) as answer:
            answer.raise_for_status()

    async def all_told(self) -> None:
        await asyncio.gather(*self._late)


async def run(database: str, *, seed: int, messages: int = MOST) -> dict[str, Any]:
    """One round by SMS."""
    messages = min(messages, MOST)
    log, clock, began = Log(), ManualClock(house.MONDAY), time.monotonic()
    house.town(log, messages, clock.now(), kind="sms")
    (port,) = free_ports(1)
    known = house.options(database)
    provider = Provider(random.Random(f"{KIND}{seed}"), known.key("token_key"))
    await provider.sink.start()
    account = {"base_url": provider.sink.url, "username": ACCOUNT[0], "password": ACCOUNT[1], "sender": "Kommunen"}
    options = house.options(
        database, sms={**account, "per_minute": 0},
        receipts={"host": "127.0.0.1", "port": port, "public_url": f"http://127.0.0.1:{port}"},
    )  # fmt: skip
    notifier = OfflineNotifier(log, clock, options, channels=channels_for(options))
    await notifier.start()
    await notifier.app.door.start()
    try:
        await settle(notifier, clock, house.MONDAY + LONGEST)
        await provider.all_told()
        await notifier.turn()
        owed = await notifier.under_way()
    finally:
        await notifier.app.door.stop()
        await notifier.close()
        await provider.sink.stop()
    ids = dict(_numbers(log))
    result = await house.reckon(log, messages, Counter({ids.get(n, str(n)): c for n, c in provider.numbers.items()}))
    seconds = round(time.monotonic() - began, 1)
    return {"kind": KIND, "injected": provider.injected, **result, "owed": owed, "seconds": seconds}


def _numbers(log: Log) -> Iterator[tuple[int, str]]:
    """Message number → message id, as the topics told."""
    for record in log.records:
        if record.topic == DELIVERIES.name:
            event = Delivery.model_validate_json(record.value or b"")
            if event.message_number is not None and event.message_id is not None:
                yield event.message_number, event.message_id
