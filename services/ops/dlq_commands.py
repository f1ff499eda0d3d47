"""`nardialog dlq`: what could not be handled and why; what is done with it stands in `dlq_actions` and `dlq_edit`."""

import json
from collections import Counter
from datetime import UTC, datetime
from heapq import nlargest
from typing import TYPE_CHECKING, Annotated, Final, Literal

from cyclopts import App, Parameter

from services.ops.options import Json, kafka_settings
from services.runtime.terminal import OK, Limit, failed, printable, show, usage

if TYPE_CHECKING:  # help must not wait for Kafka's client
    from services.ops.dead_letters import Letter
    from services.ops.outcomes import Outcome

dlq = App(name="dlq", help="Dead letters: what could not be handled, why, and what is done with it.")
dlq.command("services.ops.dlq_actions:replay", name="replay")
dlq.command("services.ops.dlq_edit:edit", name="edit")
dlq.command("services.ops.dlq_actions:discard", name="discard")

LISTED: Final = ("address", "reason", "pointer", "replays", "died", "group")
WITH_OUTCOME: Final = (*LISTED, "outcome", "by", "at", "because", "sent_as")


@dlq.command(name="list")
def list_(
    topic: str | None = None,
    /,
    *,
    reason: str | None = None,
    by: Literal["reason"] | None = None,
    all_: Annotated[bool, Parameter(name="--all", negative="")] = False,
    limit: Limit = 100,
    json_: Json = False,
) -> int:
    """The newest open dead letters: address, reason, when and where it first stood.

    Parameters
    ----------
    topic
        Only this topic's, such as cases.
    reason
        Only with this reason.
    by
        Count them by topic and reason instead.
    all_
        Those too with which something was done, and what.
    limit
        At most so many.
    json_
        One JSON object a line.
    """
    kafka = kafka_settings()
    from services.ops.letterbox import Letterbox, topics
    from services.runtime.clock import SystemClock

    wanted = topics(kafka, topic)
    if not wanted:
        return usage(f"no topic is called '{topic}': see `nardialog topics check`")
    with Letterbox(kafka, SystemClock()) as box:
        found = [item for item in box.filed(wanted, reason) if all_ or item.outcome is None]
    if by is not None:
        counts = Counter((item.letter.record.topic, item.letter.reason) for item in found)
        show(("topic", "reason", "letters"), [(*key, count) for key, count in counts.most_common()], as_json=json_)
        return OK
    newest = nlargest(limit, found, key=lambda item: item.letter.record.timestamp)
    if all_:
        show(WITH_OUTCOME, [(*_summary(item.letter), *_told(item.outcome)) for item in newest], as_json=json_)
    else:
        show(LISTED, [_summary(item.letter) for item in newest], as_json=json_)
    return OK


@dlq.command(name="show")
def show_(address: str, /, *, json_: Json = False) -> int:
    """One dead letter: the reason, where it stood, its headers, its value as text or hex, and what was done with it.

    Parameters
    ----------
    address
        topic/partition/offset, as `dlq list` prints it.
    json_
        One JSON object.
    """
    from services.ops.dead_letters import Address, BadAddress
    from services.ops.letterbox import Letterbox
    from services.runtime.clock import SystemClock

    try:
        place = Address.parse(address)
    except BadAddress as error:
        return usage(str(error))
    kafka = kafka_settings()
    with Letterbox(kafka, SystemClock()) as box:
        found = box.find([place]).get(place)
        if found is None:
            return failed(str(box.none_at(place)))
    letter, outcome = found.letter, found.outcome
    how, value = letter.shown_value(kafka.topic_prefix)
    headers = letter.shown_headers(kafka.topic_prefix)
    key = letter.shown_key(kafka.topic_prefix)
    if json_:
        told = {"address": str(letter.address), **letter.why, "key": key, "headers": headers}
        done = outcome.model_dump(mode="json") if outcome else None
        shown = value if how in ("text", "hex") else None
        print(json.dumps({**told, "value_as": how, "value": shown, "outcome": done}, ensure_ascii=False))
        return OK
    for name, text in {"address": str(letter.address), **letter.why, "key": key or ""}.items():
        print(f"{name}: {printable(text)}")
    for name, text in headers.items():
        print(f"header {printable(name)}: {printable(text)}")
    print(f"done: {printable(outcome.told()) if outcome else 'nothing, it is open'}")
    print(f"value ({how}):\n{printable(value, keep=chr(10))}")
    return OK


def _summary(letter: "Letter") -> tuple[object, ...]:
    why = letter.why
    died = datetime.fromtimestamp(letter.record.timestamp / 1000, UTC).isoformat(timespec="seconds")
    return str(letter.address), letter.reason, why.get("pointer"), why.get("replays"), died, why.get("group")


def _told(outcome: "Outcome | None") -> tuple[object, ...]:
    if outcome is None:
        return "open", None, None, None, None
    at = outcome.at.isoformat(timespec="seconds")
    return str(outcome.done), outcome.by, at, outcome.because or None, outcome.sent_as
