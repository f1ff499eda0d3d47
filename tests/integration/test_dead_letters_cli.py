"""`nardialog topics` and `dlq` on a real Kafka."""

import asyncio
import json
from dataclasses import replace

import pytest

from schemas.topics import SUBSCRIPTIONS
from services.runtime.broker import Broker
from services.runtime.errors import Rejected
from services.runtime.local_kafka import LocalKafka
from services.runtime.records import Record
from services.runtime.settings import KafkaSettings
from services.runtime.topic_admin import TopicAdmin
from tests.integration.conftest import Run
from tests.integration.letters import HEADERS, bury, everything


async def _bury_by_our_broker(kafka: LocalKafka, topic: str, value: bytes) -> None:
    broker = Broker(KafkaSettings(bootstrap=(kafka.bootstrap,)), service="test")
    await broker.start()
    record = Record(topic, 1, 7, b"0162/s/EX-1", value, HEADERS, 1_700_000_000_000)
    await broker.dead_letter(record, Rejected("bad_json", "send JSON", "/title"), group="matcher")
    await broker.stop()


def test_a_letter_that_our_own_broker_wrote_is_listed_shown_and_replayed(
    kafka: LocalKafka, names: dict[str, str], run: Run
) -> None:
    value = b'{"title": ' + b"x" * 5000
    asyncio.run(_bury_by_our_broker(kafka, names["cases"], value))
    [address] = [f"{item.topic}/{item.partition}/{item.offset}" for item in everything(kafka, f"{names['cases']}.dlq")]
    code, out, err = run("dlq", "list")
    assert (code, "bad_json" in out) == (0, True), err
    assert run("dlq", "show", address)[0] == 0
    assert run("dlq", "replay", "--yes", address)[0] == 0
    [replayed] = everything(kafka, names["cases"])
    assert replayed.value == value


def test_a_replay_is_the_original_record_with_the_events_own_headers_and_none_of_others(
    kafka: LocalKafka, names: dict[str, str], run: Run
) -> None:
    value = b'{"title": "\xc3\x85", \xff'
    code, out, _ = run("dlq", "replay", "--yes", bury(kafka, names["cases"], value))
    (record,) = everything(kafka, names["cases"])
    assert code == 0
    assert f"{names['cases']}/1/0" in out
    assert (record.key, record.value, record.partition) == (b"0162/s/EX-1", value, 1)
    assert tuple(record.headers) == (("ce_id", b"1"), ("dlq_replays", b"1"), ("dlq_first_reason", b"bad_json"))


def test_a_letter_that_died_three_times_is_refused_and_the_others_still_go(
    kafka: LocalKafka, names: dict[str, str], run: Run
) -> None:
    tired = bury(kafka, names["cases"], b"{}", replays=3)
    code, _, err = run("dlq", "replay", "--yes", tired, bury(kafka, names["cases"], b"{1", replays=2))
    assert code == 6
    assert f"{tired}: was replayed 3 times" in err
    assert [record.value for record in everything(kafka, names["cases"])] == [b"{1"]


def test_a_letter_whose_value_was_dropped_is_never_replayed(kafka: LocalKafka, names: dict[str, str], run: Run) -> None:
    code, _, err = run("dlq", "replay", "--yes", bury(kafka, names["cases"], b"", reason="confidential"))
    assert code == 1
    assert "would erase its key" in err
    assert everything(kafka, names["cases"]) == []


def test_without_a_terminal_nothing_is_sent_unless_yes_is_said(
    kafka: LocalKafka, names: dict[str, str], run: Run
) -> None:
    address = bury(kafka, names["cases"], b"{}")
    assert run("dlq", "replay", address)[0] == 2
    assert run("dlq", "discard", "--because", "test", address)[0] == 2
    assert everything(kafka, names["cases"]) == []
    assert len(everything(kafka, names["cases.dlq"])) == 1


def test_a_dry_run_tells_where_it_would_go_with_which_key_and_headers_and_writes_nothing(
    kafka: LocalKafka, names: dict[str, str], run: Run
) -> None:
    address = bury(kafka, names["cases"], b"{}")
    code, out, _ = run("dlq", "replay", "--dry-run", "--json", address)
    assert code == 0
    assert json.loads(out) == {
        "address": address, "topic": names["cases"], "partition": 1, "key": "0162/s/EX-1",
        "headers": "ce_id, dlq_replays, dlq_first_reason", "dropped": "x-odd, traceparent", "bytes": 2,
    }  # fmt: skip
    assert run("dlq", "discard", "--dry-run", "--because", "test", address)[1] == f"{address}\tbad_json\t0162/s/EX-1\n"
    assert everything(kafka, names["cases"]) == []
    assert len(everything(kafka, names["cases.dlq"])) == 1


def test_what_was_replayed_is_no_longer_open_tells_who_did_it_and_is_not_done_again(
    kafka: LocalKafka, names: dict[str, str], run: Run
) -> None:
    address = bury(kafka, names["cases"], b"{}")
    assert run("dlq", "replay", "--yes", "--by", "berit", "--because", "the model is mended", address)[0] == 0
    assert run("dlq", "list")[1] == ""
    (listed,) = (json.loads(line) for line in run("dlq", "list", "--all", "--json")[1].splitlines())
    assert (listed["outcome"], listed["by"], listed["because"]) == ("replayed", "berit", "the model is mended")
    assert listed["sent_as"] == f"{names['cases']}/1/0"
    assert "done: was replayed by berit at 2" in run("dlq", "show", address)[1]
    for again in (("replay",), ("discard", "--because", "x")):
        code, _, err = run("dlq", *again, "--yes", address)
        assert code == 1
        assert f"{address}: was replayed by berit" in err
    assert len(everything(kafka, names["cases"])) == 1


def test_what_is_discarded_is_sent_nowhere_and_keeps_its_letter(
    kafka: LocalKafka, names: dict[str, str], run: Run
) -> None:
    sealed = bury(kafka, names["contacts"], b'{"sealed": "c2VjcmV0"}', reason="unreadable_seal")
    kept = bury(kafka, names["cases"], b"{}")
    code, out, _ = run("dlq", "discard", "--yes", "--by", "berit", "--because", "the key is gone", sealed)
    assert (code, out) == (0, f"{sealed}\tdiscarded\t–\n")
    assert run("dlq", "list")[1].startswith(kept)
    assert everything(kafka, names["contacts"]) == []
    letter, mark = everything(kafka, names["contacts.dlq"])
    assert (letter.value, letter.partition) == (b'{"sealed": "c2VjcmV0"}', mark.partition)
    assert b"c2VjcmV0" not in mark.value
    assert mark.key == b"letter/0/0"


def test_what_could_not_be_sent_is_not_marked_as_done(
    kafka: LocalKafka, topic_prefix: str, run: Run, names: dict[str, str]
) -> None:
    alone = replace(SUBSCRIPTIONS, name=f"{topic_prefix}subscriptions")
    with TopicAdmin([kafka.bootstrap]) as admin:
        admin.create([alone.dead_letters], partitions=2, replication=1)
    address = bury(kafka, alone.name, b"{}")
    sent = bury(kafka, names["cases"], b"{}")
    code, out, err = run("dlq", "replay", "--yes", sent, address)
    assert code in (1, 5)
    assert f"{sent}\treplayed\t" in out  # who is cut off is told how far it came
    assert err.startswith("error: Kafka at")
    assert [line.split("\t")[0] for line in run("dlq", "list")[1].splitlines()] == [address]


def test_a_mark_is_no_letter(kafka: LocalKafka, names: dict[str, str], run: Run) -> None:
    address = bury(kafka, names["cases"], b"{}")
    run("dlq", "discard", "--yes", "--because", "test", address)
    code, _, err = run("dlq", "show", f"{names['cases.dlq']}/0/1")
    assert code == 1
    assert "tells what was done with one" in err
    assert run("dlq", "list", "--all", "--json")[1].count("\n") == 1


def test_all_of_a_reason_are_replayed_the_oldest_first_and_at_most_so_many(
    kafka: LocalKafka, names: dict[str, str], run: Run
) -> None:
    for number in range(3):
        bury(kafka, names["cases"], b"%d" % number, reason="not_matched")
    other = bury(kafka, names["cases"], b"other")
    assert run("dlq", "replay", "--yes", "--reason", "not_matched", "--max", "2")[0] == 0
    assert run("dlq", "replay", "--yes", "--reason", "not_matched", "--topic", "contacts")[0] == 0
    assert [record.value for record in everything(kafka, names["cases"])] == [b"0", b"1"]
    assert run("dlq", "replay", "--yes", "--reason", "not_matched")[0] == 0
    assert [record.value for record in everything(kafka, names["cases"])] == [b"0", b"1", b"2"]
    code, out, err = run("dlq", "replay", "--yes", "--reason", "not_matched")
    assert (code, out, err) == (0, "", "no open letter has the reason 'not_matched'\n")
    assert run("dlq", "list")[1].startswith(other)


def test_more_than_fifty_at_once_need_their_number_said(kafka: LocalKafka, names: dict[str, str], run: Run) -> None:
    bury(kafka, names["cases"], b"{}", copies=51)
    code, _, err = run("dlq", "replay", "--yes", "--reason", "bad_json")
    assert code == 2
    assert "add --count 51" in err
    assert run("dlq", "replay", "--yes", "--reason", "bad_json", "--count", "50")[0] == 2
    assert everything(kafka, names["cases"]) == []
    assert run("dlq", "replay", "--yes", "--reason", "bad_json", "--count", "51")[0] == 0
    assert len(everything(kafka, names["cases"])) == 51


@pytest.mark.parametrize(
    "arguments",
    [
        ("replay", "--yes"),
        ("replay", "--yes", "cases.dlq/0/1", "--reason", "x"),
        ("replay", "--yes", "cases.dlq/0/1", "--max", "3"),
        ("replay", "--yes", "--reason", "x", "--topic", "nosuch"),
        ("discard", "--yes", "cases.dlq/0/1"),
        ("discard", "--yes", "cases.dlq/0/1", "--because", " "),
        ("discard", "--yes", "cases.dlq/0/1", "--because", "asked by anna@exempel.example"),
        ("discard", "--yes", "cases.dlq/0/1", "--because", "concerns 19121212-1212"),
    ],
)
def test_what_is_asked_wrongly_is_exit_2(run: Run, arguments: tuple[str, ...]) -> None:
    assert run("dlq", *arguments)[0] == 2


def test_the_list_counts_and_filters_by_reason(kafka: LocalKafka, names: dict[str, str], run: Run) -> None:
    first = bury(kafka, names["cases"], b"{")
    bury(kafka, names["contacts"], b"{", reason="unreadable_seal")
    _, out, _ = run("dlq", "list", "cases", "--json")
    (letter,) = (json.loads(line) for line in out.splitlines())
    assert (letter["address"], letter["reason"], letter["pointer"]) == (first, "bad_json", "/title")
    assert run("dlq", "list", "--reason", "unreadable_seal")[1].count("\n") == 1
    assert f"{names['contacts.dlq']}\tunreadable_seal\t1" in run("dlq", "list", "--by", "reason")[1]


def test_show_tells_why_and_escapes_what_would_order_the_terminal_about(
    kafka: LocalKafka, names: dict[str, str], run: Run
) -> None:
    _, out, _ = run("dlq", "show", bury(kafka, names["cases"], b'{"title": "\x1b[2J"}'))
    assert "reason: bad_json\n" in out
    assert "detail: send JSON\n" in out
    assert '{"title": "\\x1b[2J"}' in out
    assert "value (hex):\nff00" in run("dlq", "show", bury(kafka, names["cases"], b"\xff\x00"))[1]


def test_a_contact_is_never_shown(kafka: LocalKafka, names: dict[str, str], run: Run) -> None:
    address = bury(kafka, names["contacts"], b'{"sealed": "c2VjcmV0"}')
    assert "c2VjcmV0" not in run("dlq", "show", address)[1] + run("dlq", "show", "--json", address)[1]


def test_an_address_where_no_letter_is_says_so(names: dict[str, str], run: Run) -> None:
    code, _, err = run("dlq", "show", f"{names['cases.dlq']}/0/99")
    assert code == 1
    assert "no letter is there" in err
    assert run("dlq", "show", "cases/0/1")[0] == 2


def test_topics_are_made_and_checked_under_their_prefix(run: Run, topic_prefix: str) -> None:
    code, out, _ = run("topics", "check")
    assert code == 3
    assert f"{topic_prefix}cases: does not exist" in out
    assert run("topics", "create")[0] == 0
    assert run("topics", "check")[0] == 0
