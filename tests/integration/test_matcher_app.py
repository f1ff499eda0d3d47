"""The matcher on real Kafka: held without a register, opened by an import, and nothing done twice."""

from collections.abc import AsyncIterator

import pytest

from schemas.case import CASE_CHANGED, Case
from schemas.envelope import Envelope
from schemas.identity import DEMO_RECIPIENT_KEY
from schemas.model import default
from schemas.round import ROUND_CHANGED, Round, RoundState
from schemas.topics import CASES, ROUNDS
from schemas.types import Basis, moment
from services.matcher.app import MatcherApp, build
from services.matcher.dialogue.working_days import local_day
from services.matcher.rounds import derive
from services.matcher.settings import MatcherSettings
from services.matcher.workplaces import snapshot
from services.runtime.clock import ManualClock
from services.runtime.parsing import outgoing
from services.runtime.records import Outgoing
from tests.matcher_world import NOW, World, case, company, settings, world

pytestmark = pytest.mark.anyio
__all__ = ["settings", "world"]


@pytest.fixture
async def app(settings: MatcherSettings, world: World) -> AsyncIterator[MatcherApp]:
    made = build(settings, ManualClock(NOW))
    await made.start()
    yield made
    await made.stop()


async def test_a_case_waits_for_the_register_and_opens_when_every_partition_has_its_marker(
    world: World, app: MatcherApp
) -> None:
    await world.send_case(case())
    await world.until(lambda: world.rounds())
    assert [(r.state, r.reason) for r in world.rounds()] == [(RoundState.HELD, "no_register")]
    await world.send_register([company("W1", 18.03), company("W9", 18.2)], partitions=[0, 1])
    await world.send_case(case(case_id="A 2"))
    await world.until(lambda: len(world.rounds()) == 2)
    assert world.invitations() == []
    await world.send_register([company("W1", 18.03), company("W9", 18.2)], partitions=[2])
    await world.until(lambda: sum(r.state is RoundState.OPEN for r in world.rounds()) == 2)
    assert {i.workplaces[0].workplace_id for i in world.invitations()} == {"W1"}
    assert len(world.invitations()) == 2


async def test_matching_comes_before_the_invitations_and_a_repeated_case_leads_to_nothing_more(
    world: World, app: MatcherApp
) -> None:
    await world.send_register([company("W1", 18.03)])
    await world.send_case(case())
    await world.until(lambda: any(r.state is RoundState.OPEN for r in world.rounds()))
    await world.send_case(case())
    await world.send_case(case(case_id="later"))
    await world.until(lambda: sum(r.state is RoundState.OPEN for r in world.rounds()) == 2)
    first = [r.state for r in world.rounds() if r.case_id == "A 1"]
    assert [state for state in first if state is not RoundState.HELD] == [RoundState.MATCHING, RoundState.OPEN]
    assert len({i.invitation_id for i in world.invitations()}) == len(world.invitations()) == 2


async def test_a_newer_stage_closes_the_older_round_and_a_withdrawal_ends_the_case(
    world: World, app: MatcherApp
) -> None:
    await world.send_register([company("W1", 18.03)])
    await world.send_case(case())
    await world.send_case(case(version=2, stage="ta_plan"))
    await world.until(lambda: any(r.state is RoundState.OPEN and r.stage == "ta_plan" for r in world.rounds()))
    older = [r for r in world.rounds() if r.stage == "projektering"][-1]
    assert (older.state, older.reason) == (RoundState.CLOSED, "newer_stage")
    await world.send_case(case(version=3, stage="ta_plan", state="withdrawn"))
    await world.until_last(RoundState.WITHDRAWN, "withdrawn", stage="ta_plan", change=None)
    await world.send_case(case(version=2, stage="ta_plan"))
    await world.send_case(case(case_id="B"))
    await world.until(lambda: any(r.case_id == "B" and r.state is RoundState.OPEN for r in world.rounds()))
    assert [r.state for r in world.rounds() if r.stage == "ta_plan" and not r.change][-1] is RoundState.WITHDRAWN


async def test_bad_input_goes_to_the_dead_letters_and_a_confidential_case_without_its_value(
    world: World, app: MatcherApp
) -> None:
    await world.send_register([company("W1", 18.03)])
    headers = Envelope(id="1", source="prov", type=CASE_CHANGED).headers()
    topic = world.kafka.topic(CASES)
    secret = b'{"confidential": true, "title": "hemligt'
    await world.broker.publish(
        [Outgoing(topic, "k", secret, headers), Outgoing(topic, "k", b"\xff\x00", headers), Outgoing(topic, "k", b"{}")]
    )
    await world.send_case(case())
    await world.until(lambda: len(world.dead()) == 3 and any(r.state is RoundState.OPEN for r in world.rounds()))
    reasons = {dict(r.headers)["dlq_reason"]: r.value for r in world.dead()}
    assert reasons == {b"confidential": b"", b"broken_json": b"\xff\x00", b"bad_header": b"{}"}


async def test_a_round_that_was_cut_off_while_matching_is_finished_at_the_next_start(
    world: World, settings: MatcherSettings
) -> None:
    register = [company("W1", 18.03)]
    await world.send_register(register)
    basis = Basis(case_version=1, import_number=1)
    cut = derive(case(), snapshot(register), default(), local_day(NOW), basis, key=DEMO_RECIPIENT_KEY).round.model_copy(
        update={"state": RoundState.MATCHING}
    )
    await world.broker.publish(
        [outgoing(world.kafka.topic(ROUNDS), cut.round_id, cut, type=ROUND_CHANGED, id="cut", source="prov", time=NOW)]
    )
    await world.send_case(case())
    app = build(settings, ManualClock(NOW))
    await app.start()
    await world.until(lambda: world.rounds()[-1].state is RoundState.OPEN)
    await app.stop()
    assert len({i.invitation_id for i in world.invitations()}) == 1
    assert world.rounds()[-1].basis == basis


def held(item: Case) -> Round:
    basis = Basis(case_version=item.version, import_number=0)
    return derive(item, None, default(), local_day(NOW), basis, key=DEMO_RECIPIENT_KEY).round


async def test_a_stored_case_that_cannot_be_computed_stops_no_other_round_at_an_import(
    world: World, settings: MatcherSettings
) -> None:
    waiting = held(case(case_id="never"))  # as another release left it; ours cannot compute that case's dates any more
    topic = world.kafka.topic(ROUNDS)
    await world.broker.publish(
        [outgoing(topic, waiting.round_id, waiting, type=ROUND_CHANGED, id="left", source="prov", time=NOW)]
    )
    app = build(settings, ManualClock(moment("2100-12-27T09:00:00+01:00")))
    await app.start()
    try:
        await world.send_case(case(case_id="never"))  # would end in 2101, which no event of ours can say
        await world.send_case(case(stage="pagar", event_at="2100-12-29T09:00:00+01:00"))
        await world.until(lambda: len(world.rounds()) == 2)
        await world.send_register([company("W1", 18.03)])
        await world.until(lambda: any(r.state is RoundState.OPEN for r in world.rounds()))
    finally:
        await app.stop()
    assert [r.case_id for r in world.rounds() if r.state is RoundState.OPEN] == ["A 1"]
