"""The dead letters on the broker: which there are, what was done with each, and doing something with one.

What is sent is sent first and written down then (`outcomes`): a crash in between sends twice, which readers know by the
id, and never leaves a letter marked that did not go.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Self

from schemas.topics import TOPICS
from services.ops.dead_letters import Address, Letter, Posting
from services.ops.kafka_log import KafkaLog
from services.ops.outcomes import Account, Filed, file, outcome
from services.runtime.clock import Clock
from services.runtime.dead_letters import is_outcome
from services.runtime.errors import Permanent
from services.runtime.records import Record
from services.runtime.settings import KafkaSettings


class Letterbox:
    """Open for reading and writing: `with Letterbox(settings) as box: ...`."""

    def __init__(self, kafka: KafkaSettings, clock: Clock) -> None:
        self._clock = clock
        self._log = KafkaLog(kafka)

    def __enter__(self) -> Self:
        self._log.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._log.__exit__()

    def filed(self, topics: Iterable[str], reason: str | None = None) -> list[Filed]:
        """The letters of these topics without their values, with what was done with each."""
        return [item for item in file(self._log.records(topics)) if reason is None or item.letter.reason == reason]

    def find(self, places: Collection[Address]) -> dict[Address, Filed]:
        """The whole letters at these addresses, in one reading of their topics; without those where none stands."""
        wanted = frozenset(places)
        found = file(self._log.records({place.topic for place in wanted}), whole=wanted)
        return {item.letter.address: item for item in found if item.letter.address in wanted}

    def none_at(self, place: Address) -> Permanent:
        """Why no letter stands there."""
        record = self._log.at(place.topic, place.partition, place.offset)
        if record is not None and is_outcome(record):
            return Permanent(f"{place}: is no letter, but tells what was done with one; see `nardialog dlq list --all`")
        return Permanent(f"{place}: no letter is there (any more); see `nardialog dlq list`")

    def open_letter(self, place: Address, found: Mapping[Address, Filed]) -> Letter:
        """The letter among those found. Raises `Permanent` where none stands or something was done with it."""
        if place not in found:
            raise self.none_at(place)
        if (outcome := found[place].outcome) is not None:
            raise Permanent(f"{place}: {outcome.told()}; nothing more is done with it")
        return found[place].letter

    def records(self, topic: str) -> Iterator[Record]:
        """Every record of a topic as it stands now."""
        return self._log.records([topic])

    def settle(self, letter: Letter, said: Account, posting: Posting | None) -> str | None:
        """Sends what there is to send, then writes down what was done; returns where the record stands now."""
        sent = None
        if posting is not None:
            sent = "/".join(str(part) for part in (posting.topic, *self._log.send(posting)))
        self._log.send(outcome(letter, said, self._clock.now(), sent).posting(letter.address))
        return sent


def topics(kafka: KafkaSettings, asked: str | None) -> list[str]:
    """The dead-letter topics' names on this broker: all, or that of one topic by any of its names."""
    return [
        kafka.topic(topic.dead_letters)
        for topic in TOPICS
        if asked is None
        or asked in {topic.name, kafka.topic(topic), topic.dead_letters.name, kafka.topic(topic.dead_letters)}
    ]


def addresses(texts: Iterable[str]) -> list[Address]:
    """Each once. Raises `BadAddress`."""
    return list(dict.fromkeys(Address.parse(text) for text in texts))
