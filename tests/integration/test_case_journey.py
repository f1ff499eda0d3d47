"""A case by the command line alone, with the real matcher: sent, looked at, released, undone, released, withdrawn."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from schemas.delivery import DELIVERY_RECORDED, EXAMPLE, Delivery
from schemas.round import Purpose, RoundState
from schemas.suppression import EXAMPLE as STOP
from schemas.suppression import SUPPRESSION_CHANGED, Suppression
from schemas.topics import DELIVERIES, SUPPRESSIONS, Topic
from services.case_preview import previewed
from services.matcher.app import build
from services.matcher.explain_command import from_topics, show_one
from services.matcher.settings import MatcherOptions, MatcherSettings
from services.runtime.clock import ManualClock
from services.runtime.errors import Permanent
from services.runtime.local_kafka import LocalKafka
from services.runtime.parsing import outgoing
from services.runtime.records import Record
from services.runtime.tables import TableReader
from services.runtime.topic_admin import TopicAdmin
from tests.integration.test_dlq_edit_journey import command
from tests.matcher_cases import content
from tests.matcher_world import NOW, PARTITIONS, World, case, company, made_settings, world

pytestmark = pytest.mark.anyio
__all__ = ["world"]
KEY = "0162/prov/A"


@pytest.fixture
def settings(kafka: LocalKafka, topic_prefix: str) -> MatcherSettings:
    made = made_settings(kafka, topic_prefix, MatcherOptions(release={"*": "review"}))
    with TopicAdmin(kafka.bootstrap) as admin:
        topics = [Topic(made.kafka.topic(topic), "id", topic.cleanup) for topic in (SUPPRESSIONS, DELIVERIES)]
        admin.create(topics, PARTITIONS, replication=1)
    return made


async def suppressions(settings: MatcherSettings) -> list[Suppression]:
    found: list[Suppression] = []

    async def see(records: Sequence[Record]) -> None:
        found.extend(Suppression.model_validate_json(record.value or b"") for record in records)

    reader = TableReader(settings.kafka, [settings.kafka.topic(SUPPRESSIONS)], see)
    await reader.start()
    await reader.caught_up()
    await reader.stop()
    return sorted(found, key=lambda item: item.at)


async def explained(world: World, settings: MatcherSettings, capsys: pytest.CaptureFixture[str]) -> None:
    """Why, and why not, as the topics say it, with what became of the message."""
    (third,) = [item for item in world.invitations() if item.workplaces[0].workplace_id == "W3"]
    about = {"municipality": "0162", "invitation_ids": [third.invitation_id], "recipient_ids": [third.recipient_id]}
    sent = Delivery.model_validate({**EXAMPLE, **about, "message_number": 7, "at": NOW})
    stop = Suppression.model_validate({**STOP, "scope": "case", "case_key": KEY, "message_number": 7, "at": NOW})
    other = stop.model_copy(update={"suppression_id": "elsewhere", "case_key": "0162/prov/B"})
    for topic, key, event, kind in (
        (DELIVERIES, sent.delivery_id, sent, DELIVERY_RECORDED),
        (SUPPRESSIONS, stop.suppression_id, stop, SUPPRESSION_CHANGED),
        (SUPPRESSIONS, other.suppression_id, other, SUPPRESSION_CHANGED),
    ):
        record = outgoing(settings.kafka.topic(topic), key, event, type=kind, id=key, source="prov", time=NOW)
        await world.broker.publish([record])

    show_one(await from_topics("A", "W3", settings), "W3", as_json=False)
    said = capsys.readouterr().out
    assert "W3 W3: invited" in said
    assert "because nardialog case add added it: äger huset" in said
    assert "  sent 25 Nov 2026 09:00 by email" in said
    assert said.count("  said stop 25 Nov 2026 09:00 (case)") == 1, "what was said of another case is not of this one"
    show_one(await from_topics(KEY, "W4", settings), "W4", as_json=True)
    found = json.loads(capsys.readouterr().out)
    assert (found["answer"], found["round"]["state"]) == ("outside", "open")
    assert found["said"] == "outside the 50 m ring direct by 518 m"


async def test_a_case_is_released_undone_released_again_and_withdrawn(
    world: World, settings: MatcherSettings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "case.json"
    file.write_text(json.dumps(content(), indent=2))
    matcher = build(settings, ManualClock(NOW))
    await matcher.start()
    try:
        await world.send_register(
            [company("W1", 18.03), company("W2", 18.03), company("W3", 18.033), company("W4", 18.04)]
        )
        await command(settings, "case", "submit", str(file))
        await world.until_last(RoundState.HELD, "review")
        assert world.invitations() == []
        await command(settings, "case", "add", "A", "W3", "--reason", "äger huset")
        await world.until(lambda: world.rounds()[-1].counts.workplaces == 3)

        await command(settings, "case", "release", "--yes", "A")
        first = await world.until_last(RoundState.OPEN)
        assert sorted(place.workplace_id for item in world.invitations() for place in item.workplaces) == [
            "W1",
            "W2",
            "W3",
        ]
        await explained(world, settings, capsys)
        await command(settings, "case", "undo", "--yes", "--reason", "fel väg", "A")
        await world.until_last(RoundState.HELD, "undone", purpose=Purpose.ASK)
        [held] = [item for item in await suppressions(settings) if item.kind == "undone"]
        assert held.basis is not None
        assert first.basis.order <= held.basis.order, "what was open is held"

        await command(settings, "case", "release", "--yes", KEY)
        again = await world.until_last(RoundState.OPEN, purpose=Purpose.ASK)
        assert again.basis.order > held.basis.order, "what the next release opened is not held"

        await command(settings, "case", "withdraw", "--yes", KEY)
        await world.until_last(RoundState.WITHDRAWN, "withdrawn", purpose=Purpose.ASK)
        gone = [item for item in await suppressions(settings) if item.kind == "withdrawn"]
        assert again.round_id in {item.round_id for item in gone}
        assert all(item.basis is not None and again.basis.order < item.basis.order for item in gone)
    finally:
        await matcher.stop()


async def test_an_earlier_stage_is_explained_as_it_was_published(world: World, settings: MatcherSettings) -> None:
    auto = settings.model_copy(update={"matcher": MatcherOptions()})
    matcher = build(auto, ManualClock(NOW))
    await matcher.start()
    try:
        await world.send_register([company("W1", 18.03), company("W4", 18.04)])
        await world.send_case(case(case_id="A"))
        await world.until_last(RoundState.OPEN)
        elsewhere = [{"role": "road", "geometry": {"type": "Point", "coordinates": [18.04, 59.4]}}]
        await world.send_case(case(case_id="A", version=2, stage="byggstart", geometries=elsewhere))
        await world.until(lambda: any(item.stage == "byggstart" for item in world.rounds()))
    finally:
        await matcher.stop()
    then = (await from_topics("A", "W4", auto, "projektering")).explained("W4")
    assert (then.stage, then.said) == ("projektering", "outside the 50 m ring direct by 518 m")
    assert then.round is not None
    assert then.round.stage == "projektering"
    there = (await from_topics("A", "W1", auto, "projektering")).explained("W1")
    assert there.invitation is not None
    now = (await from_topics("A", "W4", auto)).explained("W4")
    assert (now.stage, any(rule.fits for rule in now.rules)) == ("byggstart", True)
    with pytest.raises(Permanent, match="known: byggstart, projektering"):
        await from_topics("A", "W4", auto, "samrad")


async def test_a_preview_shows_whom_a_case_then_invites_and_writes_nothing(
    world: World, settings: MatcherSettings, tmp_path: Path
) -> None:
    file, chart = tmp_path / "cases.jsonl", tmp_path / "map.geojson"
    given = case(case_id="A", applicant="559999-0008")
    file.write_text(given.model_dump_json(exclude_defaults=True) + "\n" + json.dumps(content(case_id="B", stage="nej")))
    auto = settings.model_copy(update={"matcher": MatcherOptions()})
    matcher = build(auto, ManualClock(NOW))
    await matcher.start()
    try:
        await world.send_register([company("W1", 18.03), company("W2", 18.03), company("W4", 18.04)])
        [one], _ = await previewed([given], auto)
        assert [place.workplace_id for place in one.places] == ["W1", "W2"]
        out, said = await command(
            settings, "case", "preview", str(file), "--csv", "--reasons", "--map", str(chart), code=6
        )
        assert "2 recipient(s), 2 workplace(s) (reasons: 2 distance)" in said
        lines = out.splitlines()
        assert lines[0] == "case,workplace,name,street,reasons"
        assert [line.split(",")[:2] for line in lines[1:]] == [[KEY, "W1"], [KEY, "W2"]]
        assert "it is 0 m from the road, within 50 m (ring direct)" in lines[1]
        features = json.loads(chart.read_text("utf-8"))["features"]
        assert [item["properties"].get("workplace") for item in features] == [None, "W1", "W2"]
        told = json.loads((await command(settings, "case", "preview", str(file), "--json", code=6))[0])
        assert (world.rounds(), world.invitations()) == ([], [])
        await world.send_case(given)
        opened = await world.until_last(RoundState.OPEN)
        assert (told["set_hash"], told["recipients"], told["workplaces"]) == (opened.set_hash, 2, 2)
        assert told["listed"] == [
            place.model_dump(mode="json", exclude_none=True)
            for item in sorted(world.invitations(), key=lambda item: item.workplaces[0].workplace_id)
            for place in item.workplaces
        ]
    finally:
        await matcher.stop()
