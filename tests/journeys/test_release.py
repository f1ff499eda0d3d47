"""From review to a mail, and back: nothing leaves before the release, and what is taken back is told once."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from schemas.dialogue import Dialogue
from schemas.round import Purpose, Round, RoundState
from schemas.topics import CASES
from services.portal import case_orders
from services.runtime.broker import Broker
from services.runtime.records import Outgoing
from tests.journeys.installation import Installation, a_case, row

pytestmark = pytest.mark.anyio
MAILS = [f"info@exempel{n}.example" for n in (1, 2)]
ROWS = [row(n, email=email) for n, email in enumerate(MAILS, 1)]
LATE = row(3, email="sen@exempel3.example")


class Office:
    """An official, who decides what `nardialog case` lets one decide."""

    def __init__(self, world: Installation) -> None:
        self._world = world
        self._broker = Broker(world.kafka, service="office")
        self._decided: Dialogue | None = None

    async def release(self) -> None:
        now = datetime.now(UTC)
        self._decided = case_orders.released(self.asked, self._decided, now, by="näringslivskontoret", reason="")
        await self._say(case_orders.release(self._decided, self._world.kafka, now))

    async def undo(self) -> None:
        now = datetime.now(UTC)
        self._decided = case_orders.undone(self.asked, self._decided, now, by="näringslivskontoret", reason="fel dag")
        await self._say(case_orders.undo(self._decided, self.asked, 1, self._world.kafka, now))

    async def _say(self, steps: Sequence[Sequence[Outgoing]]) -> None:
        await self._broker.connect()
        for group in steps:
            await self._broker.publish(group)
        await self._broker.stop()

    @property
    def asked(self) -> Round:
        """The round that asks, as it stands."""
        return next(r for r in self._world.rounds().values() if r.purpose is Purpose.ASK)

    async def until(self, state: RoundState, reason: str | None = None) -> None:
        def stands() -> bool:
            found = [r for r in self._world.rounds().values() if r.purpose is Purpose.ASK]
            return bool(found) and (found[0].state, found[0].reason) == (state, reason)

        await self._world.until(stands, f"the round is {state.value} {reason or ''}")


async def test_what_is_released_is_sent_undone_is_told_once_and_released_again_reaches_only_who_is_new(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, office = installation, Office(installation)
    monkeypatch.setenv("NARDIALOG_MATCHER__RELEASE", '{"*": "review"}')
    await world.start()
    await world.matcher()
    notifier = await world.notifier()
    await world.import_register(ROWS)
    await world.send_case(a_case("A 1"), CASES)
    await office.until(RoundState.HELD, "review")
    await world.settled(notifier)
    assert not world.smtp.accepted

    await office.release()
    await world.until(lambda: len(_sent(world)) == 2, "both were written to")

    await office.undo()
    await office.until(RoundState.HELD, "undone")
    await world.until(lambda: sum(_sent(world).values()) == 4, "both were told that it is taken back")

    await world.import_register([*ROWS, LATE])
    await world.until(lambda: office.asked.counts.invitations == 3, "the new company is among those who would be asked")
    await office.release()
    await office.until(RoundState.OPEN)
    await world.until(lambda: "sen@exempel3.example" in _sent(world), "the new company was written to")
    await world.settled(notifier)
    assert _sent(world) == {MAILS[0]: 2, MAILS[1]: 2, "sen@exempel3.example": 1}
    assert sorted(world.accepted().values()) == [1] * 5
    assert not world.dead()


def _sent(world: Installation) -> Counter[str]:
    return Counter(to for mail in world.smtp.accepted for to in mail.recipients)
