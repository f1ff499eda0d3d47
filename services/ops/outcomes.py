"""What was done with a dead letter, by whom, when and why: a small record behind it, in the same partition.

A dead-letter topic is only ever added to, so that a letter is *open* as long as no such record names its offset. The
first one counts: whoever comes second is told. It stands behind its letter in one partition, so that retention never
takes it before the letter. It is written after what it tells of: a crash in between leaves a letter open that was sent,
and sending it again is harmless because every reader knows its id; the other way round a letter would be lost.
"""

from collections.abc import Container, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Final

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from schemas.envelope import CONTENT_TYPE
from schemas.types import Line
from services.ops.dead_letters import Address, Letter, Posting
from services.runtime.dead_letters import OUTCOME, is_outcome
from services.runtime.impersonal import impersonal
from services.runtime.records import Record

KEY: Final = "letter/{partition}/{offset}"


class Done(StrEnum):
    """The three ends of a letter."""

    REPLAYED = "replayed"
    EDITED = "edited"
    DISCARDED = "discarded"


class BadAccount(ValueError):
    """What was said of who and why cannot be kept so."""


class Account(BaseModel):
    """Who does what, and why."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    done: Done
    by: Annotated[Line, Field(min_length=1, max_length=100), AfterValidator(impersonal)]
    because: Annotated[Line, AfterValidator(impersonal)] = ""


class Outcome(Account):
    """What was done with one letter."""

    letter: Annotated[int, Field(ge=0)]
    """The offset of the letter, in the same partition."""
    reason: Annotated[str, Field(max_length=100)] = ""
    """What the letter died of."""
    at: AwareDatetime
    sent_as: Annotated[str, Field(max_length=300)] | None = None
    """Topic, partition and offset of what was sent."""

    def posting(self, letter: Address) -> Posting:
        """The record that tells it."""
        return Posting(
            letter.topic,
            letter.partition,
            KEY.format(partition=letter.partition, offset=letter.offset).encode(),
            self.model_dump_json(exclude_none=True).encode(),
            (("content-type", CONTENT_TYPE.encode()), (OUTCOME, self.done.encode())),
        )

    def told(self) -> str:
        """In words."""
        at = self.at.isoformat(timespec="seconds").replace("+00:00", "Z")
        sent = f" as {self.sent_as}" if self.sent_as else ""
        why = f": {self.because}" if self.because else ""
        return f"was {self.done} by {self.by} at {at}{sent}{why}"


def account(done: Done, by: str, because: str) -> Account:
    """Raises `BadAccount` with what to say instead."""
    try:
        return Account(done=done, by=by, because=because)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        raise BadAccount(f"--{first['loc'][0]}: {first['msg'].removeprefix('Value error, ')}") from None


def outcome(letter: Letter, said: Account, at: datetime, sent_as: str | None) -> Outcome:
    """What is written down of a letter."""
    return Outcome(
        **said.model_dump(), letter=letter.address.offset, reason=letter.reason[:100], at=at, sent_as=sent_as
    )


@dataclass(frozen=True, slots=True)
class Filed:
    """A letter, and what was done with it; None while it is open."""

    letter: Letter
    outcome: Outcome | None


def file(records: Iterable[Record], whole: Container[Address] = ()) -> list[Filed]:
    """The letters among the records of dead-letter topics, each with its outcome. Only the letters at the addresses of
    `whole` keep their values: there are many.
    """
    letters: list[Letter] = []
    outcomes: dict[Address, Outcome] = {}
    for record in records:
        if not is_outcome(record):
            letter = Letter(record)
            letters.append(letter if letter.address in whole else Letter(replace(record, value=None)))
        elif (found := read(record)) is not None:
            outcomes.setdefault(Address(record.topic, record.partition, found.letter), found)
    return [Filed(letter, outcomes.get(letter.address)) for letter in letters]


def read(record: Record) -> Outcome | None:
    """The outcome in a record; None where it is none of ours: its letter then stays open, which loses nothing."""
    try:
        return Outcome.model_validate_json(record.value or b"")
    except ValidationError:
        return None
