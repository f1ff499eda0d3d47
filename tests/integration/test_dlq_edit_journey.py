"""From a broken case to its invitations by the command line alone: dead letter, edit, held, release. Real Kafka."""

import asyncio
import json
import sys
from asyncio.subprocess import PIPE

import pytest

from schemas.case import CASE_CHANGED, Case
from schemas.envelope import Envelope
from schemas.round import RoundState
from schemas.topics import CASES
from services.matcher.app import build
from services.matcher.settings import MatcherSettings
from services.runtime.clock import ManualClock
from services.runtime.records import Outgoing
from tests.matcher_cases import content
from tests.matcher_world import NOW, World, case, company, settings, world

pytestmark = pytest.mark.anyio
__all__ = ["settings", "world"]
BOW_TIE = [[[18.02, 59.39], [18.04, 59.41], [18.04, 59.39], [18.02, 59.41], [18.02, 59.39]]]
SQUARE = [[[18.02, 59.39], [18.04, 59.39], [18.04, 59.41], [18.02, 59.41], [18.02, 59.39]]]


async def command(settings: MatcherSettings, *arguments: str, code: int = 0) -> tuple[str, str]:
    """Runs the command line as a process of its own: stdout, stderr."""
    environment = {
        "NARDIALOG_KAFKA__BOOTSTRAP": ",".join(settings.kafka.bootstrap),
        "NARDIALOG_KAFKA__TOPIC_PREFIX": settings.kafka.topic_prefix,
        "USER": "berit",
    }
    line = [sys.executable, "-m", "services.cli", *arguments]
    running = await asyncio.create_subprocess_exec(*line, env=environment, stdout=PIPE, stderr=PIPE)
    out, err = await running.communicate()
    assert running.returncode == code, err.decode()
    return out.decode(), err.decode()


async def listed(settings: MatcherSettings) -> dict[str, str]:
    """The one open letter."""
    (line,) = (await command(settings, "dlq", "list", "--json"))[0].splitlines()
    letter: dict[str, str] = json.loads(line)
    return letter


async def test_a_broken_case_is_mended_held_released_and_delays_nobody(world: World, settings: MatcherSettings) -> None:
    polygon = {"role": "site", "geometry": {"type": "Polygon", "coordinates": BOW_TIE}}
    broken = Case.model_validate(content(case_id="DA-7", geometries=[polygon]))
    matcher = build(settings, ManualClock(NOW))
    await matcher.start()
    try:
        await world.send_register([company("W1", 18.03), company("W2", 18.03)])
        await world.send_case(broken)
        await world.send_case(case())
        await world.until_last(RoundState.OPEN, case_id="A 1")
        others = len(world.invitations())
        letter = await listed(settings)
        assert letter["pointer"].startswith("/geometries/0/geometry/coordinates")

        mend = f"/geometries/0/geometry/coordinates={json.dumps(SQUARE)}"
        await command(settings, "dlq", "edit", "--yes", "--set", mend, letter["address"])
        held = await world.until_last(RoundState.HELD, "edited", case_id="DA-7")
        assert held.counts.invitations == 2
        assert len(world.invitations()) == others

        assert "DA-7" in (await command(settings, "case", "list", "--held"))[0]
        await command(settings, "case", "release", "--yes", "DA-7")
        opened = await world.until_last(RoundState.OPEN, case_id="DA-7")
        await world.until(lambda: len(world.invitations()) == others + 2)
        assert (opened.set_hash, opened.round_id) == (held.set_hash, held.round_id)
        assert await command(settings, "dlq", "list") == ("", "")
        assert len(world.dead()) == 2  # the letter and what was done with it
    finally:
        await matcher.stop()


async def test_a_letter_that_dies_again_is_a_new_letter_and_after_three_replays_it_is_refused(
    world: World, settings: MatcherSettings
) -> None:
    headers = Envelope(id="1", source="prov", type=CASE_CHANGED).headers()
    matcher = build(settings, ManualClock(NOW))
    await matcher.start()
    try:
        await world.broker.publish([Outgoing(world.kafka.topic(CASES), "k", b"{", headers)])
        for replays in range(4):
            await world.until(lambda replays=replays: len(world.dead()) == 2 * replays + 1)  # type: ignore[misc]
            letter = await listed(settings)
            assert (letter["reason"], letter["replays"]) == ("broken_json", str(replays))
            if replays < 3:
                await command(settings, "dlq", "replay", "--yes", letter["address"])
        _, err = await command(settings, "dlq", "replay", "--yes", letter["address"], code=1)
        assert "was replayed 3 times" in err
    finally:
        await matcher.stop()
