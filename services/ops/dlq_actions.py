"""`nardialog dlq replay` and `discard`: to one letter, to many, or to all of a reason.

A letter is open until something is done with it. What is done is written behind it with who did it, and is not done
again. More than fifty at once need their number said.
"""

import getpass
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Final

from cyclopts import Parameter
from cyclopts.types import PositiveInt

from services.ops.options import Flag, Json, kafka_settings
from services.runtime.terminal import FAILED, OK, PARTLY, agreed, answer, can_ask, failed, say, show, usage

if TYPE_CHECKING:  # help must not wait for Kafka's client
    from services.ops.dead_letters import Address, Letter, Posting
    from services.ops.letterbox import Letterbox
    from services.ops.outcomes import Account, Done
    from services.runtime.settings import KafkaSettings

Max = Annotated[PositiveInt | None, Parameter(name="--max")]
ASKED_TWICE: Final = 50
"""More than so many at once, and the number itself has to be said."""
WOULD_SEND: Final = ("address", "topic", "partition", "key", "headers", "dropped", "bytes")


def replay(
    *addresses: str,
    reason: str | None = None,
    topic: str | None = None,
    max_: Max = None,
    dry_run: Flag = False,
    by: str | None = None,
    because: str = "",
    yes: Flag = False,
    count: PositiveInt | None = None,
    json_: Json = False,
) -> int:
    """Send open dead letters again as they came: key, bytes, the event's own headers. Exit 6 if some were refused.

    A letter that dies again is a new letter. After three replays it is refused: correct it at its source.

    Parameters
    ----------
    addresses
        topic/partition/offset, as `dlq list` prints it; any number of them.
    reason
        Instead of addresses: all open letters with this reason, the oldest first.
    topic
        With --reason: only this topic's.
    max_
        With --reason: at most so many.
    dry_run
        Only say what would be sent, where, and with which headers.
    by
        Who does it; without it, the user of this computer.
    because
        Why, in a few words: kept with the letter.
    yes
        Do not ask. Needed without a terminal.
    count
        With --yes, above 50 letters: how many there are.
    json_
        One JSON object a line.
    """
    from services.ops.outcomes import Done

    asked = Asked(
        addresses=addresses, reason=reason, topic=topic, max=max_, dry_run=dry_run, yes=yes, count=count, json=json_
    )
    return _do(asked, Done.REPLAYED, by, because)


def discard(
    *addresses: str,
    because: str,
    reason: str | None = None,
    topic: str | None = None,
    max_: Max = None,
    dry_run: Flag = False,
    by: str | None = None,
    yes: Flag = False,
    count: PositiveInt | None = None,
    json_: Json = False,
) -> int:
    """Write off open dead letters: nothing is sent, and they are no longer listed but with --all. Exit 6 if only some.

    Parameters
    ----------
    addresses
        topic/partition/offset, as `dlq list` prints it; any number of them.
    because
        Why, in a few words: kept with the letter.
    reason
        Instead of addresses: all open letters with this reason, the oldest first.
    topic
        With --reason: only this topic's.
    max_
        With --reason: at most so many.
    dry_run
        Only say what would be written off.
    by
        Who does it; without it, the user of this computer.
    yes
        Do not ask. Needed without a terminal.
    count
        With --yes, above 50 letters: how many there are.
    json_
        One JSON object a line.
    """
    from services.ops.outcomes import Done

    if not because.strip():
        return usage("--because is empty: say why, it is kept with the letter")
    asked = Asked(
        addresses=addresses, reason=reason, topic=topic, max=max_, dry_run=dry_run, yes=yes, count=count, json=json_
    )
    return _do(asked, Done.DISCARDED, by, because)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Which letters, and how careful to be."""

    addresses: Sequence[str]
    reason: str | None
    topic: str | None
    max: int | None
    dry_run: bool
    yes: bool
    count: int | None
    json: bool

    def wrong(self) -> str | None:
        """What is wrong with how it was asked."""
        if bool(self.addresses) == (self.reason is not None):
            return "name letters by their addresses, or all of a kind by --reason: see `nardialog dlq list`"
        if self.addresses and (self.topic or self.max):
            return "--topic and --max go with --reason"
        if not (self.dry_run or self.yes or can_ask()):
            return "nobody to ask: add --yes to do it, or --dry-run to see what would be done"
        return None


def _do(asked: Asked, done: "Done", by: str | None, because: str) -> int:
    """Replays or discards what was asked for."""
    from services.ops.dead_letters import BadAddress
    from services.ops.letterbox import Letterbox, addresses, topics
    from services.ops.outcomes import BadAccount
    from services.runtime.clock import SystemClock

    kafka = kafka_settings()
    if wrong := asked.wrong():
        return usage(wrong)
    wanted = topics(kafka, asked.topic)
    if not wanted:
        return usage(f"no topic is called '{asked.topic}': see `nardialog topics check`")
    try:
        places = addresses(asked.addresses)
        said = said_by(done, by, because)
    except (BadAddress, BadAccount) as error:
        return usage(str(error))
    with Letterbox(kafka, SystemClock()) as box:
        chosen = places or _of_reason(box, wanted, asked)
        ready = _ready(box, chosen, done)
        if asked.dry_run:
            _would(ready, kafka, as_json=asked.json)
        elif ready:
            code = _confirmed(len(ready), done, yes=asked.yes, count=asked.count)
            if code != OK:
                return code
            _carry_out(box, ready, said, as_json=asked.json)
        elif not chosen:
            say(f"no open letter has the reason '{asked.reason}'")
    return OK if len(ready) == len(chosen) else PARTLY if ready else FAILED


@dataclass(frozen=True, slots=True)
class Step:
    """A letter and what is sent of it: nothing when it is discarded."""

    letter: "Letter"
    posting: "Posting | None"


def _ready(box: "Letterbox", places: "Sequence[Address]", done: "Done") -> list[Step]:
    """What can be done; says of the others why not."""
    from services.ops.outcomes import Done
    from services.runtime.errors import Permanent

    found = box.find(places)
    ready = []
    for place in places:
        try:
            letter = box.open_letter(place, found)
            ready.append(Step(letter, letter.replay() if done is Done.REPLAYED else None))
        except Permanent as error:
            say(f"error: {error}")
    return ready


def _of_reason(box: "Letterbox", topics: Sequence[str], asked: Asked) -> "list[Address]":
    """The open letters of a reason, the oldest first: later versions then come later."""
    letters = [item.letter for item in box.filed(topics, asked.reason) if item.outcome is None]
    return [one.address for one in sorted(letters, key=lambda one: one.record.timestamp)][: asked.max]


def said_by(done: "Done", by: str | None, because: str) -> "Account":
    """Who does what and why. Raises `BadAccount`."""
    from services.ops.outcomes import BadAccount, account

    try:
        return account(done, getpass.getuser() if by is None else by, because)
    except (KeyError, OSError, ImportError):
        raise BadAccount("this computer does not know who you are: say it with --by") from None


def _carry_out(box: "Letterbox", ready: Sequence[Step], said: "Account", *, as_json: bool) -> None:
    """Letter by letter; who is cut off is told how far it came, and goes on with the rest by the same command."""
    done: list[tuple[object, ...]] = []
    try:
        for step in ready:
            done.append((str(step.letter.address), str(said.done), box.settle(step.letter, said, step.posting)))
    finally:
        show(("address", "done", "sent_as"), done, as_json=as_json)


def _would(ready: Sequence[Step], kafka: "KafkaSettings", *, as_json: bool) -> None:
    """What would be done."""
    keys = {step.letter.address: step.letter.shown_key(kafka.topic_prefix) for step in ready}
    sent = [_sending(one.letter, one.posting, keys[one.letter.address]) for one in ready if one.posting]
    if sent:
        show(WOULD_SEND, sent, as_json=as_json)
    else:
        left = [(str(one.letter.address), one.letter.reason, keys[one.letter.address]) for one in ready]
        show(("address", "reason", "key"), left, as_json=as_json)


def _sending(letter: "Letter", posting: "Posting", key: str | None) -> tuple[object, ...]:
    headers = ", ".join(name for name, _ in posting.headers)
    dropped = ", ".join(letter.dropped_headers)
    return str(letter.address), posting.topic, posting.partition, key, headers, dropped, len(posting.value)


def _confirmed(number: int, done: "Done", *, yes: bool, count: int | None) -> int:
    """OK when it may be done. Above fifty the number has to be said, so that nobody sends a thousand by habit."""
    if count is not None and count != number:
        return usage(f"there are {number} letters, not {count}: look again with --dry-run")
    if yes:
        if number > ASKED_TWICE and count is None:
            return usage(f"there are {number} letters: add --count {number}, or --max")
        return OK
    verb = "Send again" if done == "replayed" else "Discard"
    if number > ASKED_TWICE and count is None:
        said = answer(f"{verb} {number} dead letters? Type their number:") == str(number)
    else:
        said = agreed(f"{verb} {number} dead letter(s)?")
    return OK if said else failed("nothing was done")
