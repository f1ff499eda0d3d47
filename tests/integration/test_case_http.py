"""The HTTP door for case systems on real Kafka, served by the real server: a test for each thing it may answer."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from jsonschema import Draft202012Validator
from sqlalchemy import select

from schemas.case import Case
from schemas.dialogue import Dialogue
from schemas.identity import recipient_id
from schemas.invitation import InvitationState
from schemas.round import RoundState
from schemas.suppression import Suppression
from schemas.topics import CASES, DIALOGUES, SUPPRESSIONS
from services.portal.api.submissions import Submissions
from services.portal.api_keys import new_secret, written
from services.portal.app import PortalApp
from services.portal.case_orders import content_hash, event_id
from services.portal.store import keys
from services.portal.store.tables import API_KEYS, METADATA, SUBMISSIONS
from services.runtime.clock import ManualClock
from services.runtime.errors import Transient
from services.runtime.local_kafka import LocalKafka
from services.runtime.settings import KafkaSettings
from services.runtime.store.database import micros, upsert
from tests.field_places import BAD_PLACES
from tests.matcher_cases import content
from tests.portal_world import (
    NOW,
    RECIPIENT_KEY,
    World,
    api_key,
    case,
    company,
    delivery,
    free_port,
    invitation,
    round_of,
)

pytestmark = pytest.mark.anyio
URL: Final = "/api/v1/cases"
KEY: Final = "0162/prov/A"


@pytest.fixture
async def world(kafka: LocalKafka, topic_prefix: str, tmp_path: Path) -> AsyncIterator[World]:
    made = World(KafkaSettings(bootstrap=(kafka.bootstrap,), topic_prefix=topic_prefix), tmp_path)
    await made.start()
    yield made
    await made.stop()


class Door:
    """A running portal, and a case system that has a key."""

    def __init__(self, world: World, app: PortalApp, client: httpx.AsyncClient, token: str) -> None:
        self.world, self.app, self.client, self.token = world, app, client, token

    async def post(self, sent: dict[str, Any] | bytes | None = None, path: str = "", **headers: str) -> httpx.Response:
        body = sent if isinstance(sent, bytes) else json.dumps(content() if sent is None else sent).encode()
        said = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.client.post(URL + path, content=body, headers=said | named)

    async def order(self, sent: dict[str, Any], **headers: str) -> httpx.Response:
        said = {name.replace("_", "-"): value for name, value in headers.items()}
        said["Authorization"] = f"Bearer {self.token}"
        return await self.client.post(URL.replace("/cases", "/orders"), json=sent, headers=said)

    async def get(self, case: str, token: str | None = None) -> httpx.Response:
        return await self.client.get(f"{URL}/{case}", headers={"Authorization": f"Bearer {token or self.token}"})

    async def cases(self) -> list[Case]:
        await self.world.all_read()
        return [Case.model_validate_json(value) for value in self.world.values(CASES)]


async def a_key(app: PortalApp, **changes: Any) -> str:
    token, key = api_key(**changes)
    async with app.database.transaction() as connection:
        await keys.add(connection, key)
    return token


@asynccontextmanager
async def door(world: World, **options: Any) -> AsyncIterator[Door]:
    async with world.portal(**options) as app, world.client() as client:
        yield Door(world, app, client, await a_key(app))


def problem(answer: httpx.Response, status: int, kind: str) -> dict[str, Any]:
    """The problem document of an answer, which is one by the published schema."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    told: dict[str, Any] = answer.json()
    assert (told["type"], told["status"]) == (f"urn:nardialog:problem:{kind}", status)
    return told


async def test_a_case_is_taken_when_the_broker_has_it_and_its_status_can_be_asked(world: World) -> None:
    async with door(world) as at:
        answer = await at.post()
        told = answer.json()
        assert answer.status_code == 202, answer.text
        assert (told["case"], told["version"], told["event_id"]) == (KEY, 1, event_id(case_of()))
        assert answer.headers["location"] == told["status_url"] == f"{URL}/{KEY}"
        assert await at.cases() == [case_of()]
        [record] = [record for record in world.seen if record.topic == world.kafka.topic(CASES)]
        assert record.key == KEY.encode()
        assert dict(record.headers)["ce_id"] == told["event_id"].encode()
        status = (await at.get(KEY)).json()
    assert (status["case"], status["version"], status["rounds"]) == (KEY, 1, [])


async def test_a_case_id_with_odd_letters_is_found_where_the_answer_says(world: World) -> None:
    async with door(world) as at:
        answer = await at.post(content(case_id="KS 2025/0123?å#1"))
        assert answer.status_code == 202, answer.text
        status = await at.client.get(answer.headers["location"], headers={"Authorization": f"Bearer {at.token}"})
    assert status.json()["case"] == "0162/prov/KS 2025/0123?å#1"


async def test_who_calls_without_a_valid_key_is_told_how_to(world: World) -> None:
    async with door(world) as at:
        key_id, secret = new_secret()
        expired = await a_key(at.app, expires_at=NOW)
        revoked = await a_key(at.app)
        async with at.app.database.transaction() as connection:
            assert await keys.revoke(connection, revoked.split("_")[1], NOW)
        another = f"{at.token[:16]}{secret}"
        for token in ("x", written(key_id, secret), expired, revoked, another, at.token[:-1], f"{at.token} x"):
            for answer in (
                await at.client.post(URL, headers={"Authorization": f"Bearer {token}"}, json=content()),
                await at.client.post(f"{URL}/validate", headers={"Authorization": f"Bearer {token}"}, json=content()),
                await at.client.get(f"{URL}/{KEY}", headers={"Authorization": f"Bearer {token}"}),
            ):
                problem(answer, 401, "unknown-key")
                assert answer.headers["www-authenticate"].startswith("Bearer")
        problem(await at.client.post(URL, json=content(), auth=("a", "b")), 401, "unknown-key")
        problem(await at.client.post(URL, json=content()), 401, "unknown-key")
        assert await at.cases() == []


async def test_a_new_key_and_an_old_one_are_valid_at_once_and_their_use_is_noted(world: World) -> None:
    async with door(world) as at:
        newer = await a_key(at.app, expires_at=NOW + timedelta(days=1))
        assert (await at.post()).status_code == 202
        assert (await at.post(Authorization=f"Bearer {newer}")).status_code == 202
        async with at.app.database.transaction() as connection:
            kept = [dict(row._mapping) for row in await connection.execute(select(API_KEYS))]
    assert all(row["last_used_at"] for row in kept)
    assert not any(token.split("_", 2)[2] in str(kept) for token in (at.token, newer))


async def test_a_key_does_what_its_scopes_say(world: World) -> None:
    scopes = {"cases:read": {"status"}, "cases:write": {"submit", "validate"}, "cases:validate": {"validate"}}
    scopes |= {"cases:decide": {"order"}}
    async with door(world) as at:
        await at.post()
        for scope, allowed in scopes.items():
            at.token = await a_key(at.app, scopes=frozenset({scope}))
            answers = {
                "submit": await at.post(content(version=2)),
                "validate": await at.post(path="/validate"),
                "status": await at.get(KEY),
                "order": await at.order({"order": "remind", "case": "0162/prov/other", "by": "x"}),
            }
            if answers["order"].status_code == 404:  # it may order, and there is no such case
                answers["order"].status_code = 202
            assert {name for name, answer in answers.items() if answer.is_success} == allowed
            for name in answers.keys() - allowed:
                problem(answers[name], 403, "missing-scope")


async def test_a_key_speaks_for_its_sources_and_municipalities_alone(world: World) -> None:
    async with door(world) as at:
        problem(await at.post(content(source="annan")), 403, "not-your-source")
        problem(await at.post(content(municipality="0180")), 403, "not-your-source")
        assert await at.cases() == []
        await at.post()
        stranger = await a_key(at.app, sources=frozenset({"annan"}))
        for asked in (KEY, "A"):
            problem(await at.get(asked, stranger), 404, "no-such-case")
        everybody = await a_key(at.app, sources=frozenset({"*"}), municipalities=frozenset({"*"}))
        assert (await at.get(KEY, everybody)).status_code == 200


async def test_every_fault_is_told_at_once_with_its_pointer_and_never_quoted(world: World) -> None:
    secret = "19800101-1236 Visselblåsaren"
    async with door(world) as at:
        sent = content(title=7, stage="nej", summary=5, official={"name": "x", "email": 3}, diary_number=[secret])
        for path in ("", "/validate"):
            answer = await at.post(sent | {secret: 1}, path)
            told = problem(answer, 422, "invalid-case")
            pointers = {fault["pointer"]: fault["code"] for fault in told["errors"]}
            assert pointers == {
                "/title": "wrong_shape", "/summary": "wrong_shape", "/official/email": "wrong_shape",
                "/diary_number": "wrong_shape", "": "wrong_shape", "/stage": "unknown_stage",
            }  # fmt: skip
            assert all(fault["detail"] for fault in told["errors"])
            assert "Visselblåsaren" not in answer.text
        assert await at.cases() == []


async def test_a_case_that_keeps_the_rules_is_valid_and_nothing_is_stored(world: World) -> None:
    async with door(world) as at:
        answer = await at.post(path="/validate")
        assert (answer.status_code, answer.json()) == (200, {"case": KEY, "version": 1})
        assert await at.cases() == []
        problem(await at.get(KEY), 404, "no-such-case")


async def test_a_key_with_a_nul_is_a_bad_parameter_and_not_to_be_tried_again(world: World) -> None:
    """PostgreSQL holds none: it would answer as if it were away."""
    async with door(world) as at:
        told = problem(await at.get("%00"), 422, "bad-parameter")
        assert "correct it" in told["errors"][0]["detail"]
        problem(await at.get("%00", "nd_x_y"), 401, "unknown-key")


async def test_what_is_not_whole_json_is_400(world: World) -> None:
    async with door(world) as at:
        for body in (b"", b"{", b"\xff", b'{"a": "\\ud800"}', b"[" * 100_000, b'{"a": 1} x'):
            assert problem(await at.post(body), 400, "broken-json")["errors"][0]["code"] == "broken_json"


async def test_what_is_not_called_json_is_415(world: World) -> None:
    async with door(world) as at:
        for kind in ("text/plain", "application/xml", "application/x-www-form-urlencoded", ""):
            answer = await at.post(Content_Type=kind)
            problem(answer, 415, "unsupported-media-type")
            assert answer.headers["accept-post"] == "application/json"
        assert (await at.post(Content_Type="application/json; charset=utf-8")).status_code == 202


async def test_what_is_packed_is_415_and_says_to_unpack_it(world: World) -> None:
    async with door(world) as at:
        answer = await at.post(gzip.compress(json.dumps(content()).encode()), Content_Encoding="gzip")
        problem(answer, 415, "unsupported-media-type")
        assert answer.headers["accept-encoding"] == "identity"
        assert (await at.post(Content_Encoding="identity")).status_code == 202


async def test_what_has_too_many_bytes_is_413_whether_it_says_so_or_not(world: World) -> None:
    """FC-015."""
    async with door(world, case_bytes=2000) as at:
        large = json.dumps(content(summary="x" * 2000)).encode()

        async def unsaid() -> AsyncIterator[bytes]:
            yield large[:1500]
            yield large[1500:]

        said = await at.post(large)
        headers = {"Authorization": f"Bearer {at.token}", "Content-Type": "application/json"}
        streamed = await at.client.post(URL, content=unsaid(), headers=headers)
        huge = await at.post(b"x" * 1_000_001)
        for answer in (said, streamed):
            assert "2000" in problem(answer, 413, "too-large")["detail"]
        problem(huge, 413, "too-large")
        assert (await at.post()).status_code == 202


async def test_what_has_too_many_vertices_is_413_with_both_numbers(world: World) -> None:
    """FC-015."""
    line = {"type": "LineString", "coordinates": [[18.03 + n / 1e5, 59.4] for n in range(101)]}
    sent = content(geometries=[{"role": "road", "geometry": line}])
    async with door(world, case_vertices=100) as at:
        detail = problem(await at.post(sent | {"title": 7}), 413, "too-large")["detail"]
        assert "101" in detail
        assert "100" in detail
        line["coordinates"] = line["coordinates"][1:]
        assert (await at.post(sent)).status_code == 202


async def test_more_vertices_than_an_event_may_have_are_413_and_not_a_list_of_faults(world: World) -> None:
    ring = {"type": "MultiPoint", "coordinates": [[18.03, 59.4]] * 20_001}
    async with door(world) as at:
        problem(await at.post(content(geometries=[{"geometry": ring}])), 413, "too-large")


async def test_a_place_that_cannot_be_meant_is_refused_as_the_command_line_refuses_it(world: World) -> None:
    """FC-001, FC-002, FC-003, FC-005, FC-008."""
    async with door(world) as at:
        for geometry, code, pointer, words in BAD_PLACES.values():
            told = problem(await at.post(content(geometries=[{"geometry": geometry}])), 422, "invalid-case")
            [error] = [error for error in told["errors"] if error["pointer"] == pointer]
            assert error["code"] == code
            assert words in error["detail"]


async def test_a_version_says_one_thing_and_rises(world: World) -> None:
    async with door(world) as at:
        first = await at.post(content(version=2))
        again = await at.post(json.dumps(content(version=2), indent=3).encode())
        assert (first.status_code, again.status_code) == (202, 202)
        assert first.json() == again.json()
        told = problem(await at.post(content(version=2, title="Annan")), 409, "version-conflict")
        assert told["current_version"] == 2
        told = problem(await at.post(content(version=1)), 409, "stale-version")
        assert told["current_version"] == 2
        assert (await at.post(content(version=3, title="Annan"))).status_code == 202
        assert [item.version for item in await at.cases()] == [2, 3]


async def test_what_another_way_brought_to_the_topic_counts_too(world: World) -> None:
    async with door(world) as at:
        await world.publish(case(case_id="A", version=5))
        told = problem(await at.post(content(version=4)), 409, "stale-version")
        assert told["current_version"] == 5
        same = case(case_id="A", version=5).model_dump(mode="json", exclude_none=True)
        assert (await at.post(same)).status_code == 202
        assert len(await at.cases()) == 1


async def test_the_same_request_is_answered_the_same_by_its_idempotency_key(world: World) -> None:
    async with door(world) as at:
        first = await at.post(Idempotency_Key="a1")
        assert first.status_code == 202
        told = problem(await at.post(content(version=2), Idempotency_Key="a1"), 422, "idempotency-key-reused")
        assert "key of its own" in told["detail"]
        assert (await at.post(content(version=2), Idempotency_Key="a2")).status_code == 202
        again = await at.post(Idempotency_Key="a1")
        assert (again.status_code, again.json(), again.headers["location"]) == (
            202, first.json(), first.headers["location"],
        )  # fmt: skip
        problem(await at.post(), 409, "stale-version")
        other_key = await a_key(at.app)
        problem(await at.post(Idempotency_Key="a1", Authorization=f"Bearer {other_key}"), 409, "stale-version")
        assert [item.version for item in await at.cases()] == [1, 2]


async def test_what_was_refused_does_not_use_its_idempotency_key_up(world: World) -> None:
    async with door(world) as at:
        problem(await at.post(content(title=""), Idempotency_Key="a1"), 422, "invalid-case")
        assert (await at.post(Idempotency_Key="a1")).status_code == 202


async def test_what_was_answered_is_forgotten_after_its_days(world: World) -> None:
    async with door(world) as at:
        await at.post(Idempotency_Key="a1")
        submissions = Submissions(at.app.portal)
        assert await submissions.forget() == 0
        assert isinstance(world.clock, ManualClock)
        world.clock.moment += timedelta(days=8)
        assert await submissions.forget() == 2
        assert await submissions.forget() == 0
        assert (await at.post(content(version=2), Idempotency_Key="a1")).status_code == 202


async def test_an_idempotency_key_that_is_none_is_refused(world: World) -> None:
    async with door(world) as at:
        for name in ("x" * 256, "å b", "a b"):
            headers = {b"Authorization": f"Bearer {at.token}".encode(), b"Idempotency-Key": name.encode("latin-1")}
            answer = await at.client.post(URL, json=content(), headers=headers)
            told = problem(answer, 422, "bad-parameter")
            assert name not in answer.text
            assert "idempotency-key" in told["detail"].lower()
            assert "it" in told["errors"][0]["detail"].split(": ")[1].split()  # shorten it, correct it


async def test_of_the_same_request_many_times_at_once_one_is_published(world: World) -> None:
    async with door(world) as at:
        answers = await asyncio.gather(*(at.post(Idempotency_Key="a1") for _ in range(20)))
        assert {answer.status_code for answer in answers} == {202}
        assert len({answer.text for answer in answers}) == 1
        assert len(await at.cases()) == 1


async def test_of_two_contents_of_one_version_at_once_one_is_taken(world: World) -> None:
    async with door(world) as at:
        answers = await asyncio.gather(*(at.post(content(title=f"Titel {n}")) for n in range(10)))
        taken = [answer for answer in answers if answer.status_code == 202]
        assert len(taken) == 1
        for answer in answers:
            if answer not in taken:
                problem(answer, 409, "version-conflict")
        assert len(await at.cases()) == 1


async def test_an_applicants_personal_number_stays_at_the_door_and_the_same_case_is_the_same(world: World) -> None:
    """FC-091. What stands on the topic and in the store is its keyed hash."""
    async with door(world) as at:
        for _ in range(2):
            assert (await at.post(content(applicant="121212-1212"), Idempotency_Key="p1")).status_code == 202
        assert (await at.post(content(applicant="19121212-1212"))).status_code == 202
        [known] = await at.cases()
        assert (known.applicant, known.applicant_id) == (None, recipient_id("121212-1212", RECIPIENT_KEY.encode()))
        async with at.app.database.transaction() as connection:
            kept = [repr((await connection.execute(select(table))).all()) for table in METADATA.sorted_tables]
    assert "1212121212" not in "".join(kept).replace("-", "")


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest) -> dict[str, str]:
    """Options of a portal on either database."""
    return {} if request.param == "sqlite" else {"database": request.getfixturevalue("postgres_url")}


async def test_of_two_bodies_by_one_idempotency_key_at_once_one_is_taken_and_the_other_told_so(
    world: World, store: dict[str, str]
) -> None:
    """As when the second comes later: whichever was first, there is one effect."""
    async with door(world, **store) as at:
        answers = await asyncio.gather(*(at.post(content(case_id=f"C{n}"), Idempotency_Key="a1") for n in range(6)))
        assert [answer.status_code for answer in answers].count(202) == 1
        for answer in answers:
            if answer.status_code != 202:
                problem(answer, 422, "idempotency-key-reused")
        assert len(await at.cases()) == 1


async def test_of_two_orders_by_one_idempotency_key_at_once_one_is_decided(world: World, store: dict[str, str]) -> None:
    async with door(world, **store) as at:
        await at.post()
        await world.publish(round_of(case_of()))
        remind = {"order": "remind", "case": KEY, "by": "näringslivskontoret"}
        same = await asyncio.gather(*(at.order(remind, Idempotency_Key="u1") for _ in range(4)))
        assert {(answer.status_code, answer.text) for answer in same} == {(202, same[0].text)}
        orders = [{**remind, "order": kind, "reason": "fel"} for kind in ("undo", "remind")]
        differing = await asyncio.gather(*(at.order(one, Idempotency_Key="u2") for one in orders))
        [refused] = [answer for answer in differing if answer.status_code != 202]
        problem(refused, 422, "idempotency-key-reused")
        await world.all_read()
    assert len(world.values(DIALOGUES)) == 2


async def test_a_key_whose_request_was_refused_while_another_waited_is_the_others(world: World) -> None:
    async with door(world) as at:
        assert (await at.post(content(version=2))).status_code == 202
        both = await asyncio.gather(
            at.post(content(version=1), Idempotency_Key="a1"), at.post(content(version=3), Idempotency_Key="a1")
        )
        assert both[1].status_code == 202
        assert both[0].status_code in (409, 422)


async def test_a_key_whose_request_has_no_known_end_is_for_the_same_body_alone(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may have had its effect."""
    async with door(world) as at:
        with monkeypatch.context() as away:
            away.setattr(Submissions, "_accept", _away)
            problem(await at.post(Idempotency_Key="a1"), 503, "try-again")
        problem(await at.post(content(case_id="B"), Idempotency_Key="a1"), 422, "idempotency-key-reused")
        assert (await at.post(Idempotency_Key="a1")).status_code == 202
        assert len(await at.cases()) == 1


async def _away(*_: object) -> None:
    raise Transient("the store is away")


async def test_two_portals_on_one_postgresql_take_a_version_once(world: World, postgres_url: str) -> None:
    other = free_port()
    async with (
        door(world, database=postgres_url) as one,
        world.portal(database=postgres_url, port=other) as app,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{other}", timeout=30) as client,
    ):
        two = Door(world, app, client, one.token)
        same = await asyncio.gather(*(at.post(Idempotency_Key="a1") for at in (one, two) * 8))
        assert {(answer.status_code, answer.text) for answer in same} == {(202, same[0].text)}
        differing = await asyncio.gather(
            *(at.post(content(version=2, title=f"Titel {n}")) for n, at in enumerate((one, two) * 5))
        )
        assert sorted(answer.status_code for answer in differing) == [202, *[409] * 9]
        assert [item.version for item in await one.cases()] == [1, 2]


async def test_a_claim_that_nobody_finished_is_taken_over_by_the_same_content_and_forgotten_by_others(
    world: World,
) -> None:
    """As a portal leaves it that was killed between the claim and the broker."""
    async with door(world) as at:

        async def claimed(version: int, minutes_ago: int) -> None:
            left = NOW - timedelta(minutes=minutes_ago)
            row = {
                "case_key": KEY, "version": version, "content_hash": content_hash(case_of(version=version)),
                "accepted": False, "at": micros(left), "lease_until": micros(left),
            }  # fmt: skip
            async with at.app.database.transaction() as connection:
                await upsert(connection, SUBMISSIONS, [row])

        await claimed(1, 1)
        problem(await at.get(KEY), 404, "no-such-case")
        problem(await at.post(content(title="Annan")), 409, "version-conflict")
        assert (await at.post()).status_code == 202
        await claimed(2, 10)
        assert (await at.post(content(version=2, title="Annan"))).status_code == 202
        assert [(item.version, item.title) for item in await at.cases()] == [(1, "Titel"), (2, "Annan")]


async def test_a_case_that_ends_holds_its_unfinished_rounds_first(world: World) -> None:
    rounds = [
        round_of(case_of(), round_id=f"r-{state.value}", state=state)
        for state in (RoundState.OPEN, RoundState.HELD, RoundState.CLOSED)
    ]
    async with door(world) as at:
        await at.post()
        await world.publish(*rounds)
        assert (await at.post(content(version=2, state="withdrawn"))).status_code == 202
        await world.all_read()
        held = [Suppression.model_validate_json(value) for value in world.values(SUPPRESSIONS)]
        assert {item.kind for item in held} == {"withdrawn"}
        assert {"r-open", "r-held"} <= {item.round_id for item in held}
        assert "r-closed" not in {item.round_id for item in held}
        last = max(record.timestamp for record in world.seen if record.topic == world.kafka.topic(SUPPRESSIONS))
        cases = [record.timestamp for record in world.seen if record.topic == world.kafka.topic(CASES)]
        assert max(cases) >= last


async def test_an_undo_stops_the_sender_before_the_answer_and_is_one_decision_however_often_it_is_sent(
    world: World, postgres_url: str
) -> None:
    other = free_port()
    async with (
        door(world, database=postgres_url) as at,
        world.portal(database=postgres_url, port=other) as app,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{other}", timeout=30) as client,
    ):
        await at.post()
        await world.publish(round_of(case_of()))
        undo = {"order": "undo", "case": KEY, "by": "näringslivskontoret", "reason": "fel område"}
        answer = await at.order(undo, Idempotency_Key="u1")
        assert answer.status_code == 202, answer.text
        await world.all_read()
        topics = [record.topic for record in world.seen]
        assert topics.index(world.kafka.topic(SUPPRESSIONS)) < topics.index(world.kafka.topic(DIALOGUES))
        again = await Door(world, app, client, at.token).order(undo, Idempotency_Key="u1")
        assert (again.status_code, again.json()) == (202, answer.json())
        more = await Door(world, app, client, at.token).order({**undo, "order": "remind"})
        assert more.json()["decision"] == 2
        await world.all_read()
    told = [Dialogue.model_validate_json(value) for value in world.values(DIALOGUES)]
    assert [(item.number, item.decisions[-1].kind) for item in told] == [(1, "undo"), (2, "remind")]


async def test_the_status_tells_rounds_in_numbers(world: World) -> None:
    about = case_of()
    of = round_of(about, counts={"invitations": 2, "workplaces": 3}, set_hash="ab" * 16)
    one, two = (invitation(company(name), of) for name in ("Ett", "Två"))
    async with door(world) as at:
        await at.post()
        gone = two.model_copy(update={"revision": 2, "state": InvitationState.REVOKED})
        await world.publish(of, one, two, gone, delivery(7, one))
        await at.app.tables.caught_up()
        by_id, by_key = (await at.get("A")).json(), (await at.get(KEY)).json()
        [told] = by_key["rounds"]
    assert by_id == by_key
    assert (by_key["state"], by_key["matched_version"]) == ("open", 1)
    assert (told["state"], told["recipients"], told["workplaces"], told["set_hash"]) == ("open", 2, 3, "ab" * 16)
    assert (told["invitations"], told["deliveries"], told["responses"]) == (
        {"issued": 1, "revoked": 1}, {"composed": 1}, 0,
    )  # fmt: skip


async def test_nothing_of_a_confidential_case_is_stored_logged_sent_or_answered(
    world: World, capfd: pytest.CaptureFixture[str]
) -> None:
    phrase = "Visselblåsaren på Skogsvägen"
    secret = content(confidential=True, title=phrase, case_id=phrase, summary=phrase)
    disguised = json.dumps(secret, ensure_ascii=False).replace('"confidential"', '"\\u0063onfidential"').encode()
    async with door(world) as at:
        for path in ("", "/validate"):
            for body in (secret, disguised, disguised[:-20], secret | {"title": 7, "stage": phrase}):
                answer = await at.post(body, path, Idempotency_Key="a1")
                problem(answer, 403, "confidential")
                assert "Skogsvägen" not in answer.text
        await world.all_read()
        async with at.app.database.transaction() as connection:
            stored = [[tuple(row) for row in await connection.execute(select(t))] for t in METADATA.sorted_tables]
    written = b"".join(path.read_bytes() for path in world.folder.rglob("*") if path.is_file())
    out, err = capfd.readouterr()
    sent = [record for record in world.seen if not record.topic.endswith("companies")]
    for traces in (repr(stored), written.decode(errors="replace"), out + err, repr(sent)):
        for word in ("Visselbl", "Skogsv", "Visselbl\\xe5"):
            assert word not in traces


async def test_while_the_broker_is_away_nothing_is_accepted_and_the_same_may_be_sent_again(
    tmp_path: Path, topic_prefix: str
) -> None:
    (tmp_path / "kafka").mkdir()
    (tmp_path / "portal").mkdir()
    with LocalKafka(tmp_path / "kafka") as own:
        kafka = KafkaSettings(bootstrap=(own.bootstrap,), topic_prefix=topic_prefix)
        world = World(kafka, tmp_path / "portal")
        await world.start()
        async with door(world, publish_seconds=2) as at:
            assert (await at.post()).status_code == 202
            own.kill()
            answer = await at.post(content(version=2))
            problem(answer, 503, "try-again")
            assert int(answer.headers["retry-after"]) > 0
            assert (await at.get(KEY)).json()["version"] == 1
            await asyncio.to_thread(own.start)
            async with asyncio.timeout(60):
                while (again := await at.post(content(version=2))).status_code != 202:
                    problem(again, 503, "try-again")
                    await asyncio.sleep(0.2)
            assert [item.version for item in await at.cases() if item.version == 2] == [2]
        await world.stop()


async def test_the_api_describes_itself(world: World) -> None:
    async with door(world) as at:
        document = (await at.client.get("/api/v1/openapi.json")).json()
        missing = await at.client.get("/api/v1/nothing")
        newline = await at.client.get(f"{URL}/a%0Ab")
        wrong = await at.client.get(f"{URL}/validate")
    problem(missing, 404, "not-found")
    problem(newline, 404, "not-found")
    problem(wrong, 405, "method-not-allowed")
    assert wrong.headers["allow"] == "POST"
    schemas = document["components"]["schemas"]
    assert schemas["Case"]["additionalProperties"] is False
    Draft202012Validator({**document, "$ref": "#/components/schemas/Case"}).validate(content())
    paths = {
        (path, method): set(operation["responses"])
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    }
    assert paths == {
        ("/cases", "post"): {"202", "400", "401", "403", "409", "413", "415", "422", "503"},
        ("/cases/validate", "post"): {"200", "400", "401", "403", "413", "415", "422", "503"},
        ("/cases/{case}", "get"): {"200", "401", "403", "404", "422", "503"},
        ("/orders", "post"): {"202", "400", "401", "403", "404", "409", "413", "415", "422", "503"},
    }
    references = set(json.dumps(document).split('"#/components/schemas/')[1:])
    assert {reference.split('"')[0] for reference in references} <= schemas.keys()


def case_of(**changes: Any) -> Case:
    return Case.model_validate(content(**changes))
