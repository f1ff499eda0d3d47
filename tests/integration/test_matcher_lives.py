"""A case's life on real Kafka, a new process at every turn: corrected, revised, next stage, again, withdrawn."""

import pytest

from schemas.case import Case
from schemas.invitation import InvitationState
from schemas.round import Purpose, Round, RoundState
from services.matcher.app import build
from services.matcher.settings import MatcherSettings
from services.runtime.clock import ManualClock
from tests.matcher_world import NOW, World, case, company, settings, world

pytestmark = pytest.mark.anyio
__all__ = ["settings", "world"]
ISSUED, REVOKED = InvitationState.ISSUED, InvitationState.REVOKED
ASK, CHANGE = Purpose.ASK, Purpose.CHANGE
REGISTER = [company("W1", 18.03), company("W2", 18.03), company("W3", 18.10)]
Said = tuple[str, str, InvitationState, int]


class Life:
    """Turns of one case. Each is handled by a process that was not there before."""

    def __init__(self, world: World, settings: MatcherSettings) -> None:
        self.world = world
        self._settings = settings
        self._seen = 0

    async def turn(self, item: Case, state: RoundState = RoundState.OPEN) -> set[Said]:
        """Sends a version, waits for what its round comes to, and tells which invitations that led to."""
        app = build(self._settings, ManualClock(NOW))
        await app.start()
        try:
            await self.world.send_case(item)
            await self.world.until(lambda: self._last(item) is state)
        finally:
            await app.stop()  # what is under way is finished
        await self.world.reader.caught_up()
        new = self.world.invitations()[self._seen :]
        self._seen += len(new)
        assert len({(i.invitation_id, i.revision) for i in new}) == len(new)
        names = {r.round_id: r.change or r.stage for r in self.world.rounds()}
        return {(names[i.round_id], i.workplaces[0].workplace_id, i.state, i.revision) for i in new}

    def _last(self, item: Case) -> RoundState | None:
        found = [
            r for r in self.world.rounds() if (r.stage, r.occurrence, r.purpose) == (item.stage, item.occurrence, ASK)
        ]
        return found[-1].state if found and found[-1].basis.case_version == item.version else None

    def rounds(self, **content: object) -> list[Round]:
        """The last state of the case's rounds with that content."""
        last = {r.round_id: r for r in self.world.rounds()}
        return [r for r in last.values() if all(getattr(r, name) == value for name, value in content.items())]


def at(lon: float, **changes: object) -> Case:
    return case(geometries=[{"role": "road", "geometry": {"type": "Point", "coordinates": [lon, 59.4]}}], **changes)


async def test_every_turn_of_a_case_says_only_what_is_new_whichever_process_takes_it(
    world: World, settings: MatcherSettings
) -> None:
    await world.send_register(REGISTER)
    life = Life(world, settings)
    both = {("projektering", "W1", ISSUED, 1), ("projektering", "W2", ISSUED, 1)}
    assert await life.turn(at(18.03)) == both

    assert await life.turn(at(18.03, version=2, title="Rättad titel")) == set()
    assert [r.texts.title for r in life.rounds(purpose=ASK)] == ["Rättad titel"]

    assert await life.turn(at(18.10, version=3)) == {
        ("projektering", "W3", ISSUED, 1),
        ("projektering", "W1", REVOKED, 2),
        ("projektering", "W2", REVOKED, 2),
        ("not_affected", "W1", ISSUED, 1),
        ("not_affected", "W2", ISSUED, 1),
    }

    assert await life.turn(at(18.03, version=4, stage="ta_plan")) == {
        ("projektering", "W3", REVOKED, 2),
        ("ta_plan", "W1", ISSUED, 1),
        ("ta_plan", "W2", ISSUED, 1),
    }
    [older] = life.rounds(stage="projektering", purpose=ASK)
    assert (older.state, older.reason) == (RoundState.CLOSED, "newer_stage")
    assert older.respond_by is not None  # answers are taken until then

    second = await life.turn(at(18.03, version=5, stage="ta_plan", occurrence=2))
    assert {(name, state) for _, name, state, _ in second} == {(w, s) for w in ("W1", "W2") for s in (ISSUED, REVOKED)}
    assert {r.occurrence: r.state for r in life.rounds(stage="ta_plan", purpose=ASK)} == {
        1: RoundState.CLOSED,
        2: RoundState.OPEN,
    }

    gone = await life.turn(at(18.03, version=6, stage="ta_plan", occurrence=2, state="withdrawn"), RoundState.WITHDRAWN)
    assert gone == {
        ("ta_plan", "W1", REVOKED, 2),
        ("ta_plan", "W2", REVOKED, 2),
        ("withdrawn", "W1", ISSUED, 1),
        ("withdrawn", "W2", ISSUED, 1),
    }
    changes = life.rounds(purpose=CHANGE)
    assert {(r.change, r.stage, r.occurrence, r.number, r.state) for r in changes} == {
        ("not_affected", "projektering", 1, 1, RoundState.OPEN),
        ("withdrawn", "ta_plan", 2, 1, RoundState.OPEN),
    }
