"""Parsing, settings, sealing and logs: what goes wrong is said, and nothing personal is."""

import json

import pytest
import structlog
from pydantic_settings import SettingsConfigDict

from schemas.case import CASE_CHANGED, EXAMPLE, Case
from schemas.envelope import Envelope
from services.runtime import broker, dead_letters, logs, sealing
from services.runtime.backoff import wait_after
from services.runtime.errors import Fault, Rejected, ServiceError
from services.runtime.parsing import parse, validate
from services.runtime.records import Record
from services.runtime.settings import KafkaSettings, LogSettings, ServiceSettings, load

TYPES = {CASE_CHANGED: Case}
FAMILY = "se.nardialog.case."


def record(value: bytes | None, **headers: bytes) -> Record:
    said = {name: text.encode() for name, text in Envelope("1", "/test", CASE_CHANGED).headers().items()}
    return Record("cases", 0, 7, b"k", value, tuple({**said, **headers}.items()), 0)


def whole(**changes: object) -> bytes:
    return json.dumps({**EXAMPLE, **changes}).encode()


def test_a_whole_event_is_read() -> None:
    parsed = parse(record(whole()), TYPES, FAMILY)
    assert parsed is not None
    assert parsed.event.case_id == "EX-2"


def test_a_field_of_a_newer_writer_is_ignored_by_readers_and_refused_at_doors() -> None:
    assert parse(record(whole(new_field=1)), TYPES, FAMILY) is not None
    with pytest.raises(Rejected, match="no such field"):
        validate(whole(new_field=1), Case, extra="forbid")


def test_an_unknown_type_of_the_family_is_skipped_and_of_another_rejected() -> None:
    assert parse(record(whole(), ce_type=b"se.nardialog.case.merged.v1"), TYPES, FAMILY) is None
    with pytest.raises(Rejected) as caught:
        parse(record(whole(), ce_type=b"org.other.v1"), TYPES, FAMILY)
    assert caught.value.reason == "unknown_type"


@pytest.mark.parametrize(
    ("value", "headers", "reason", "pointer"),
    [
        (b'{"case_id":', {}, "broken_json", ""),
        (b"\xff\xfe", {}, "broken_json", ""),
        (b"[]", {}, "wrong_shape", ""),
        (whole(title=7), {}, "wrong_shape", "/title"),
        (whole(industries=[{"code": "56"}]), {}, "wrong_shape", "/industries/0/version"),
        (whole(respond_by="4000-01-01"), {}, "wrong_shape", "/respond_by"),
        (whole(summary="x" * 900_001), {}, "too_large", ""),
        (whole(), {"ce_id": b"\xff"}, "bad_header", ""),
        (whole(), {"ce_specversion": b"0.3"}, "bad_header", ""),
    ],
)
def test_each_way_to_be_wrong_has_its_reason_and_its_place(
    value: bytes, headers: dict[str, bytes], reason: str, pointer: str
) -> None:
    with pytest.raises(Rejected) as caught:
        parse(record(value, **headers), TYPES, FAMILY)
    assert (caught.value.reason, caught.value.pointer) == (reason, pointer)


def test_a_reason_never_quotes_the_input() -> None:
    with pytest.raises(Rejected) as caught:
        parse(record(whole(official={"name": "x", "email": "secret@exempel.example" * 50})), TYPES, FAMILY)
    assert "secret" not in str(caught.value)


def test_a_letter_without_its_value_keeps_only_harmless_headers() -> None:
    error = Rejected("confidential", "not here", drop_value=True)
    names = [name for name, _ in dead_letters.headers(record(b"", ce_subject=b"hemlig", x=b"y"), error, "g")]
    assert "ce_subject" not in names
    assert "x" not in names
    assert "ce_id" in names


def test_a_letter_that_dies_again_keeps_its_first_reason_and_does_not_grow() -> None:
    first = dead_letters.headers(record(b""), Rejected("one", "a" * 10_000), "g")
    again = Record("cases", 0, 8, b"k", b"", tuple(first), 0)
    second = dead_letters.headers(again, Rejected("two", "b" * 10_000), "g")
    assert dict(second)["dlq_first_reason"] == b"one"
    assert dict(second)["dlq_reason"] == b"two"
    assert len(second) == len(first)
    assert all(len(value or b"") <= 500 for _, value in second)


def test_what_is_sealed_opens_with_the_private_key_only() -> None:
    private, public = sealing.key_pair()
    sealed = sealing.Seal("k1", public).seal(b"info@exempel.example")
    assert "exempel" not in sealed.box
    assert sealing.Opener({"k1": private}).open(sealed) == b"info@exempel.example"
    with pytest.raises(Rejected):
        sealing.Opener({"k1": sealing.key_pair()[0]}).open(sealed)
    with pytest.raises(Rejected):
        sealing.Opener({"k2": private}).open(sealed)


def test_equal_addresses_meet_in_the_index_under_one_key_only() -> None:
    one, other = sealing.new_key(), sealing.new_key()
    assert sealing.blind_index(one, "email", "a@b.example") == sealing.blind_index(one, "email", "a@b.example")
    assert sealing.blind_index(one, "email", "a@b.example") != sealing.blind_index(other, "email", "a@b.example")


class Settings(ServiceSettings):
    model_config = SettingsConfigDict(**ServiceSettings.model_config)


@pytest.mark.parametrize("brokers", ["a:1,b:2", "a:1, b:2", '["a:1","b:2"]'])
def test_settings_are_read_by_section_and_field(monkeypatch: pytest.MonkeyPatch, brokers: str) -> None:
    monkeypatch.setenv("NARDIALOG_KAFKA__BOOTSTRAP", brokers)
    assert load(Settings).kafka.bootstrap == ("a:1", "b:2")


def test_a_list_that_is_no_list_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NARDIALOG_KAFKA__BOOTSTRAP", '["a:1"')
    with pytest.raises(Fault, match="NARDIALOG_KAFKA__BOOTSTRAP"):
        load(Settings)


@pytest.mark.parametrize("name", ["NARDIALOG_KAFKA__BOOTSTRAPS", "NARDIALOG_KAFAK__BOOTSTRAP"])
def test_a_misspelt_setting_is_refused_by_name(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "x")
    with pytest.raises(Fault, match=name.rpartition("__")[2] if "KAFKA" in name else name):
        load(Settings)


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        load(Settings).kafka = None  # type: ignore[assignment, misc]


def test_a_log_line_drops_fields_that_nobody_vouched_for(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(LogSettings(), "test")
    structlog.get_logger().info("sent", message_id="m1", address="info@exempel.example")
    line = json.loads(capsys.readouterr().err)
    assert line["message_id"] == "m1"
    assert line["dropped"] == ["address"]
    assert "exempel" not in json.dumps(line)
    structlog.reset_defaults()


def test_every_error_says_what_the_loop_must_do() -> None:
    leaves = {error.__name__ for error in ServiceError.__subclasses__()}
    assert leaves == {"Rejected", "Transient", "Permanent", "Fault"}


@pytest.mark.parametrize(("failures", "seconds"), [(1, 0.5), (2, 1.0), (6, 16.0), (7, 30.0), (5000, 30.0)])
def test_the_wait_doubles_to_its_limit_and_stays_there_however_long_it_lasts(failures: int, seconds: float) -> None:
    assert wait_after(failures) == seconds


@pytest.mark.anyio
@pytest.mark.parametrize("error", [Rejected("x", "y"), RuntimeError()])
async def test_whatever_a_handler_raises_is_waited_for_before_the_batch_is_read_again(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[int] = []

    def at_once(failures: int) -> float:
        waited.append(failures)
        return 0

    monkeypatch.setattr(broker, "wait_after", at_once)

    async def handle(_: object) -> None:
        raise error

    guarded = broker.Broker(KafkaSettings(), service="test")._guard(handle, "g")
    for _ in range(2):
        with pytest.raises(type(error)):
            await guarded([])
    assert waited == [1, 2]
