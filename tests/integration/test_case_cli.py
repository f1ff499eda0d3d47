"""`nardialog case` on a real Kafka: what stands on the topics after each command, and in what order it came there."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaConsumer, TopicPartition

from schemas.case import Case
from schemas.dialogue import Dialogue
from schemas.identity import recipient_id, round_id
from schemas.round import EXAMPLE, ROUND_CHANGED, Round, RoundState
from schemas.suppression import Suppression
from schemas.topics import CASES, DELIVERIES, DIALOGUES, ROUNDS, SUPPRESSIONS, Topic
from schemas.types import Basis
from services.runtime.broker import Broker
from services.runtime.local_kafka import LocalKafka
from services.runtime.parsing import outgoing
from services.runtime.settings import KafkaSettings
from services.runtime.topic_admin import TopicAdmin
from tests.integration.conftest import Run
from tests.matcher_cases import content

NOW = datetime(2026, 11, 25, 8, tzinfo=UTC)
KEY = "0162/prov/A"
PARTITIONS = 2


class World:
    """The topics of one test: what stands on them, in the order of time, and rounds as the matcher writes them."""

    def __init__(self, kafka: KafkaSettings) -> None:
        self.kafka = kafka

    def records(self, *topics: Topic) -> list[Any]:
        consumer: Any = KafkaConsumer(bootstrap_servers=list(self.kafka.bootstrap), auto_offset_reset="earliest")
        places = [TopicPartition(self.kafka.topic(topic), p) for topic in topics for p in range(PARTITIONS)]
        consumer.assign(places)
        ends = consumer.end_offsets(places)
        found: list[Any] = []
        while len(found) < sum(ends.values()):
            found += [record for batch in consumer.poll(timeout_ms=500).values() for record in batch]
        consumer.close()
        return sorted(found, key=lambda record: record.timestamp)

    def cases(self) -> list[Case]:
        return [Case.model_validate_json(record.value) for record in self.records(CASES)]

    def suppressions(self) -> list[Suppression]:
        return [Suppression.model_validate_json(record.value) for record in self.records(SUPPRESSIONS)]

    def dialogues(self) -> list[Dialogue]:
        return [Dialogue.model_validate_json(record.value) for record in self.records(DIALOGUES)]

    def write(self, *rounds: Round) -> None:
        asyncio.run(self._write(rounds))

    async def _write(self, rounds: Sequence[Round]) -> None:
        broker = Broker(self.kafka, service="test")
        await broker.connect()
        topic = self.kafka.topic(ROUNDS)
        await broker.publish(
            [outgoing(topic, r.round_id, r, type=ROUND_CHANGED, id="1", source="prov", time=NOW) for r in rounds]
        )
        await broker.stop()


@pytest.fixture
def world(kafka: LocalKafka, topic_prefix: str) -> World:
    made = KafkaSettings(bootstrap=(kafka.bootstrap,), topic_prefix=topic_prefix)
    topics = [replace(topic, name=made.topic(topic)) for topic in (CASES, DELIVERIES, DIALOGUES, ROUNDS, SUPPRESSIONS)]
    with TopicAdmin([kafka.bootstrap]) as admin:
        admin.create(topics, partitions=PARTITIONS, replication=1)
    return World(made)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "cases.jsonl"


def lines(*cases: dict[str, Any]) -> str:
    return "\n".join(json.dumps(case) for case in cases)


def round_(**changes: Any) -> Round:
    mine = {"case_key": KEY, "case_id": "A", "source": "prov", "set_hash": "ab" * 16}
    return Round.model_validate(EXAMPLE | mine | changes)


def test_cases_are_sent_once_and_what_is_refused_says_why_and_is_exit_6(world: World, run: Run, file: Path) -> None:
    secret = content(case_id="S", confidential=True, title="Visselblåsaren")
    file.write_text(lines(content(), content(case_id="B"), content(case_id="C", stage="nej"), secret))
    code, out, err = run("case", "submit", "--dry-run", str(file))
    assert (code, world.records(CASES)) == (6, [])
    assert out.splitlines() == [f"{KEY}\t1\tchecked", "0162/prov/B\t1\tchecked"]
    code, out, err = run("case", "submit", str(file))
    assert code == 6, err
    assert out.splitlines() == [f"{KEY}\t1\tsent", "0162/prov/B\t1\tsent"]
    assert [line.split(": ")[:2] for line in err.splitlines()] == [
        [f"{file}:3", "/stage"],
        [f"{file}:4", "/confidential"],
    ]
    sent = world.records(CASES)
    assert {record.key.decode() for record in sent} == {KEY, "0162/prov/B"}
    assert "Visselblåsaren" not in out + err + repr(sent)
    again = run("case", "submit", "--json", str(file))[1].splitlines()
    assert [json.loads(line)["outcome"] for line in again] == ["known", "known", "refused", "refused"]
    assert len(world.records(CASES)) == 2


def test_an_applicants_personal_number_leaves_no_command_in_clear(
    world: World, run: Run, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FC-091."""
    person, of_version = {"applicant": "121212-1212"}, [content(version=number) for number in (1, 2)]
    file.write_text(lines({**of_version[0], **person}))
    assert run("case", "submit", "--dry-run", str(file))[0] == 0
    code, _, err = run("case", "submit", str(file))
    assert (code, "RECIPIENT_KEY" in err, world.records(CASES)) == (1, True, [])
    monkeypatch.setenv("NARDIALOG_INSTALLATION__RECIPIENT_KEY", "a secret of the installation")
    assert run("case", "submit", str(file))[0] == 0
    assert run("case", "submit", "--json", str(file))[1].count('"known"') == 1
    file.write_text(lines({**of_version[1], **person, "title": "Annan"}))
    assert run("case", "import", str(file))[0] == 0
    assert run("case", "withdraw", "A", "--yes")[0] == 0
    key = b"a secret of the installation"
    assert {case.applicant_id for case in world.cases()} == {recipient_id("19121212-1212", key)}
    assert "1212121212" not in repr(world.records(CASES)).replace("-", "")


def test_who_waits_is_told_how_far_a_case_has_come_until_nothing_is_under_way(
    world: World, run: Run, file: Path
) -> None:
    file.write_text(lines(content()))
    assert run("case", "submit", str(file), "--dry-run", "--wait")[0] == 2
    opened = round_(round_id=round_id(KEY, "projektering", 1, "ask"), state="open", counts={"invitations": 0})
    world.write(opened)
    code, out, err = run("case", "submit", "--wait", str(file))
    assert (code, out) == (0, f"{KEY}\t1\tsent\n")
    assert f"{KEY}: open, 0 recipient(s)" in err
    held = opened.model_copy(update={"state": RoundState.HELD, "reason": "review", "detail": "an official looks"})
    world.write(held.model_copy(update={"basis": Basis(case_version=2)}))
    file.write_text(lines(content(version=2)))
    code, _, err = run("case", "submit", "--wait", str(file))
    assert (code, f"{KEY}: held (review): an official looks" in err) == (3, True)


def test_a_version_is_said_once_and_a_lower_one_is_refused(world: World, run: Run, file: Path) -> None:
    file.write_text(lines(content(version=2)))
    assert run("case", "submit", str(file))[0] == 0
    file.write_text(lines(content(version=2, title="Annan"), content(version=1), content(version=3)))
    code, _, err = run("case", "submit", str(file))
    assert code == 6
    assert [line.split(": ")[2] for line in err.splitlines()] == ["version_conflict", "stale_version"]
    assert [case.version for case in world.cases()] == [2, 3]


def test_a_withdrawal_holds_the_unfinished_rounds_before_it_is_on_the_topic(world: World, run: Run, file: Path) -> None:
    file.write_text(lines(content()))
    run("case", "submit", str(file))
    world.write(
        round_(round_id="r-open"), round_(round_id="r-held", state="held"), round_(round_id="r", state="silent")
    )
    assert run("case", "withdraw", "A")[0] == 2, "without a terminal it needs --yes"
    assert len(world.cases()) == 1
    code, _, err = run("case", "withdraw", "A", "--yes")
    assert code == 0, err
    order = [record.topic.removeprefix(world.kafka.topic_prefix) for record in world.records(CASES, SUPPRESSIONS)]
    assert order == ["cases", *["suppressions"] * 4, "cases"]
    assert [(case.version, case.state.value) for case in world.cases()] == [(1, "open"), (2, "withdrawn")]
    held = {(item.round_id, item.kind, item.basis.order if item.basis else None) for item in world.suppressions()}
    assert held >= {("r-open", "withdrawn", (2, 0, 0, 0)), ("r-held", "withdrawn", (2, 0, 0, 0))}
    assert "r-silent" not in {round_id for round_id, _, _ in held}
    assert run("case", "withdraw", KEY, "--yes")[0] == 0
    assert len(world.cases()) == 2


def test_what_is_held_is_listed_and_released_and_undone_and_released_again(world: World, run: Run, file: Path) -> None:
    file.write_text(lines(content()))
    run("case", "submit", str(file))
    world.write(round_(state="held", reason="review"), round_(round_id="other", case_key="0162/prov/B", case_id="B"))
    listed = run("case", "list", "--held", "--json")[1].splitlines()
    assert [(json.loads(line)["case"], json.loads(line)["reason"]) for line in listed] == [(KEY, "review")]
    assert len(run("case", "list")[1].splitlines()) == 2

    assert run("case", "release", KEY)[0] == 2
    code, out, err = run("case", "release", KEY, "--yes", "--reason", "sedd på kartan")
    assert code == 0, err
    assert "review" in out
    released = world.dialogues()[-1]
    assert (released.key, released.number) == (KEY, 1)
    assert (released.decisions[0].kind, released.decisions[0].set_hash) == ("release", "ab" * 16)
    assert released.decisions[0].reason == "sedd på kartan"

    basis = {"case_version": 1, "decision": 1, "import_number": 4}
    world.write(round_(basis=basis), round_(basis=basis, round_id="moved", purpose="change", number=1))
    assert run("case", "release", KEY, "--yes")[0] == 1, "an open round is not held"
    code, _, err = run("case", "undo", KEY, "--yes")
    assert code == 0, err
    order = [record.topic.removeprefix(world.kafka.topic_prefix) for record in world.records(DIALOGUES, SUPPRESSIONS)]
    assert order == ["dialogues", "suppressions", "dialogues"]
    [held] = world.suppressions()
    assert (held.kind, held.scope, held.basis and held.basis.order) == (
        "undone", "round", (1, 2, 2_000_000_000, 2_000_000_000),
    )  # fmt: skip
    assert [item.kind for item in world.dialogues()[-1].decisions] == ["release", "undo"]

    world.write(round_(state="held", reason="undone", basis={"case_version": 1, "decision": 2, "import_number": 4}))
    assert run("case", "release", "A", "--yes")[0] == 0
    assert world.dialogues()[-1].number == 3


def test_who_is_asked_for_is_said_where_it_is_not_one(world: World, run: Run) -> None:
    world.write(
        round_(round_id="r1", state="held"),
        round_(round_id="r2", state="held", occurrence=2),
        round_(round_id="r3", state="held", case_key="0162/annan/A", source="annan"),
    )
    code, _, err = run("case", "release", "A", "--yes")
    assert code == 1
    assert "0162/annan/A, 0162/prov/A" in err
    code, _, err = run("case", "release", KEY, "--yes")
    assert code == 1
    assert "r1 (projektering, ask), r2" in err
    assert run("case", "release", KEY, "--round", "r2", "--yes")[0] == 0
    assert world.dialogues()[-1].decisions[0].round_id == "r2"
    assert run("case", "withdraw", "nosuch", "--yes")[0] == 1


def test_nothing_is_released_while_nobody_is_matched(world: World, run: Run) -> None:
    world.write(round_(state="held", reason="no_register", set_hash=None))
    code, _, err = run("case", "release", "A", "--yes")
    assert (code, world.dialogues()) == (1, [])
    assert "companies import" in err


def test_an_import_sends_what_is_new_or_different_and_a_withdrawn_case_stays_withdrawn(
    world: World, run: Run, tmp_path: Path
) -> None:
    file, mapping = tmp_path / "cases.geojson", tmp_path / "mapping.toml"
    mapping.write_text('[columns]\ncase_id = "nr"\ntitle = "t"\nstage = "s"\n[constants]\n' + "\n".join(
        f'{name} = "{content()[name]}"' for name in ("source", "municipality", "case_type")
    ))  # fmt: skip

    def imported(*rows: tuple[str, str, str]) -> tuple[int, dict[str, int]]:
        features = [
            {"type": "Feature", "properties": dict(zip(("nr", "t", "s"), row, strict=True)),
             "geometry": {"type": "Point", "coordinates": [18.03, 59.4]}}
            for row in rows
        ]  # fmt: skip
        file.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
        code, out, err = run("case", "import", str(file), "--mapping", str(mapping), "--json")
        assert out, err
        counts = json.loads(out)
        return code, {name: counts[name] for name in ("changed", "unchanged", "refused") if counts[name]}

    a, b = ("A", "Vägen", "projektering"), ("B", "Torget", "projektering")
    assert imported(a, b) == (0, {"changed": 2})
    assert imported(a, ("B", "Torget", "ta_plan")) == (0, {"changed": 1, "unchanged": 1})
    assert run("case", "withdraw", KEY, "--yes")[0] == 0
    assert imported(a) == (6, {"refused": 1})
    assert [(case.case_id, case.version, case.state.value) for case in world.cases()] == [
        ("A", 1, "open"), ("B", 1, "open"), ("B", 2, "open"), ("A", 2, "withdrawn"),
    ]  # fmt: skip
