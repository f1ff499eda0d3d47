"""`nardialog dlq`: dead letters: what could not be handled, why, and what is done with it."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from heapq import nlargest
from typing import TYPE_CHECKING, Literal

from cyclopts import App

from services.ops.listing import printable, show
from services.ops.terminal import (
    FAILED,
    OK,
    PARTLY,
    Flag,
    Json,
    agreed,
    can_ask,
    failed,
    kafka_settings,
    rows,
    say,
    usage,
)  # fmt: skip

if TYPE_CHECKING:  # help must not wait for Kafka's client
    from services.ops.dead_letters import Address, Letter, Replay
    from services.ops.kafka_log import KafkaLog
    from services.runtime.settings import KafkaSettings

dlq = App(name="dlq", help="Dead letters: what could not be handled, why, and trying again.")


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
    kafka = kafka_settings()
    wanted = _dead_letter_topics(kafka, topic)
    if not wanted:
        return usage(f"no topic is called '{topic}': see `nardialog topics check`")
    letters = _letters(kafka, wanted, reason)
    if by is not None:
        counts = Counter((letter.record.topic, letter.reason) for letter in letters)
        rows(("topic", "reason", "letters"), [(*key, count) for key, count in counts.most_common()], json_)
        return OK
    newest = nlargest(limit, letters, key=lambda letter: letter.record.timestamp)
    rows(("address", "reason", "pointer", "replays", "died", "group"), [_summary(letter) for letter in newest], json_)
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
        return usage(places)
    kafka = kafka_settings()
    from services.ops.kafka_log import KafkaLog

    with KafkaLog(kafka) as log:
        letter = _find(log, places[0])
    if letter is None:
        return failed(_gone(places[0]))
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
        return usage(places)
    if not (dry_run or yes or can_ask()):
        return usage("nobody to ask: add --yes to send them, or --dry-run to see what would be sent")
    kafka = kafka_settings()
    from services.ops.kafka_log import KafkaLog

    with KafkaLog(kafka) as log:
        ready = _ready(log, places)
        if dry_run:
            show(
                ("address", "topic", "partition", "bytes", "replays"),
                [(place, r.topic, r.partition, len(r.value), dict(r.headers)["dlq_replays"]) for place, r in ready],
            )
        elif ready and (yes or agreed(f"Send {len(ready)} dead letter(s) again?")):
            for place, record in ready:
                partition, offset = log.send(record)
                show(("address", "sent as"), [(place, f"{record.topic}/{partition}/{offset}")])
        elif ready:
            return failed("nothing was sent")
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
            say(f"error: {error}")
    return ready


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
