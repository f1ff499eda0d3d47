"""`nardialog lag`: one look, or a look every so often until Ctrl-C.

On a terminal a watch is a table that stays in its place; elsewhere it is one line a look, and with `--json` one object
a look. A broker that goes away in the middle of a watch is said and waited for, unless a limit was stated: a limit that
cannot be checked is not met.
"""

import json
import sys
import time
from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from cyclopts import Parameter
from cyclopts.types import PositiveFloat

from services.ops.options import Flag, Json, kafka_settings
from services.runtime.terminal import NOT_MET, OK, rich_table, say, show

if TYPE_CHECKING:  # help must not wait for Kafka's client
    from services.ops.kafka_log import KafkaLog
    from services.ops.lag import Place, Reader
    from services.runtime.settings import KafkaSettings
    from services.runtime.topic_admin import LagRow

LOOK_SECONDS: Final = 2.0


def lag(
    *,
    watch: Flag = False,
    interval: PositiveFloat = LOOK_SECONDS,
    max_: Annotated[int | None, Parameter(name="--max")] = None,
    max_seconds: float | None = None,
    group: Annotated[tuple[str, ...], Parameter(negative="")] = (),
    sort: Literal["topic", "lag", "seconds"] = "topic",
    lang: Literal["en", "sv"] = "en",
    json_: Json = False,
) -> int:
    """How far each group is behind on each topic: records, seconds, and what that means. Exit 3 above a stated limit.

    Whoever reads our topics is listed. `–` under lag is a group that has never committed, which is not 0. Seconds are
    the age of the oldest record that it has not handled.

    Parameters
    ----------
    watch
        Look again and again until Ctrl-C, and say where it is heading; with a limit, end when one is broken.
    interval
        Seconds between looks.
    max_
        Most records that a group may be behind on a topic.
    max_seconds
        Highest age of a record that a group has not handled.
    group
        Only this group, any number of times; one that reads nothing is told, and breaks a stated limit.
    sort
        By topic, or the worst first by lag or seconds.
    lang
        The language of the verdict.
    json_
        One JSON object with the partitions too; with --watch one a look, a line each.
    """
    from services.ops.lag import SWEDISH, History, missing, too_far
    from services.runtime.errors import Transient

    words = SWEDISH if lang == "sv" else {}
    limited = max_ is not None or max_seconds is not None
    history = History()
    meter = Meter(kafka_settings(), group)
    with meter, _screen(watch and not json_) as screen:
        seen, said = False, ""
        while True:
            try:
                readers = history.readers(*meter.look())
            except Transient as error:
                if not seen or limited:
                    raise
                if said != (said := str(error)):  # once, not at every look
                    say(f"error: {said}")
            else:
                seen, said = True, ""
                _tell(_sorted(readers, sort), words, watch=watch, as_json=json_, screen=screen)
                broken = too_far(readers, max_, max_seconds)
                absent = missing(readers, group)
                if not watch or broken or (limited and absent):
                    break
            time.sleep(interval)
    for name in absent:
        say(f"{name}: reads none of our topics")
    for item in broken:
        seconds = "age unknown" if item.seconds is None else f"oldest {item.seconds:.0f} s"
        say(f"{item.group} on {item.topic}: {item.unread} behind, {seconds}, {item.verdict}")
    return NOT_MET if broken or (limited and absent) else OK


class Meter:
    """Reads the lag and the ages; the connection is kept, and made anew after a failure."""

    def __init__(self, kafka: "KafkaSettings", groups: Collection[str] = ()) -> None:
        self._kafka = kafka
        self._groups = groups
        self._open = ExitStack()
        self._log: KafkaLog | None = None

    def __enter__(self) -> "Meter":
        return self

    def __exit__(self, *_: object) -> None:
        self._log = None
        self._open.close()

    def look(self) -> "tuple[list[LagRow], dict[Place, float | None]]":
        """One look. Raises `Transient` when the broker does not answer."""
        from schemas.topics import ALL_TOPICS
        from services.ops.kafka_log import KafkaLog
        from services.ops.lag import unread_from
        from services.runtime.clock import SystemClock
        from services.runtime.errors import ServiceError

        try:
            log = self._log = self._log or self._open.enter_context(KafkaLog(self._kafka))
            ours = {self._kafka.topic(topic) for topic in ALL_TOPICS}
            found = [row for row in log.lag() if row.topic in ours and (not self._groups or row.group in self._groups)]
            oldest = log.first_from({(row.topic, row.partition, unread_from(row)) for row in found if row.lag})
        except ServiceError:
            self.__exit__()
            raise
        now = SystemClock().now().timestamp()
        return found, {place: max(0.0, now - record.timestamp / 1000) for place, record in oldest.items()}


def _screen(wanted: bool) -> AbstractContextManager[Any]:
    """A place on the terminal that is drawn again, or nothing."""
    if not (wanted and sys.stdout.isatty()):
        return nullcontext()
    from rich.live import Live

    return Live(auto_refresh=False)


def _sorted(readers: "Sequence[Reader]", by: str) -> "list[Reader]":
    if by == "lag":
        return sorted(readers, key=lambda item: -item.unread)
    if by == "seconds":
        return sorted(readers, key=lambda item: -(float("inf") if item.seconds is None else item.seconds))
    return list(readers)


def _tell(readers: "Sequence[Reader]", words: Any, *, watch: bool, as_json: bool, screen: Any) -> None:
    from services.ops.lag import COLUMNS

    at = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    if as_json:
        print(json.dumps({"at": at, "readers": [item.as_json() for item in readers]}, ensure_ascii=False), flush=True)
    elif screen is not None:
        when = datetime.now().astimezone().strftime("%H.%M.%S")
        table = rich_table(COLUMNS, (item.cells(words) for item in readers), caption=f"{when} · Ctrl-C ends")
        screen.update(table, refresh=True)
    elif watch:
        print(*_line(at, readers, words), sep="\t", flush=True)
    else:
        show(COLUMNS, (item.cells(words) for item in readers))


def _line(at: str, readers: "Sequence[Reader]", words: Any) -> tuple[object, ...]:
    """One look on one line: when, the worst verdict and who it is, records and seconds over all."""
    from services.ops.lag import SEVERITY

    if not readers:
        return at, "–", "no group reads anything"
    worst = max(readers, key=lambda item: (SEVERITY[item.verdict], item.unread))
    seconds = [item.seconds for item in readers]
    oldest = "–" if None in seconds else f"{max(age for age in seconds if age is not None):.0f}"
    said = words.get(worst.verdict, str(worst.verdict))
    return at, said, sum(item.unread for item in readers), oldest, worst.trend or "–", f"{worst.group}/{worst.topic}"
