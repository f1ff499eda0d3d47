"""Correcting a dead letter: what is sent in its place, and whether it would be taken.

Only what is held afterwards may be edited, so that a slip or worse at a terminal reaches nobody: cases. The corrected
event goes through the rules of every other door, and asks by its envelope (`nardialogheld: edited`) that the round be
held until an official releases it. It is a new event: its id derives from the old one's, the attempt and the new bytes,
so that the same correction sent twice is one event. What is confidential is never taken, whatever is insisted on.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from datetime import datetime
from difflib import unified_diff
from typing import Any, Final

from schemas.applicant import PERSONAL, names_person
from schemas.case import CASE_CHANGED, Case
from schemas.case_rules import CONFIDENTIAL, complaints, judge
from schemas.complaints import Complaint
from schemas.envelope import HELD, Envelope
from schemas.identity import derived
from schemas.model import DialogueModel
from schemas.topics import CASES
from services.ops.dead_letters import Letter, Posting
from services.runtime.errors import Permanent, Rejected
from services.runtime.parsing import parse
from services.runtime.records import Record

EDITED: Final = "edited"
SOURCE: Final = "nardialog/ops"
INSTEAD: Final[Mapping[str, str]] = {
    "contacts": "is sealed; replay it, or discard it and send the contact anew",
    "notices": "is sealed; replay it or discard it",
    "companies": "comes from the register; correct it there and import again",
    "dialogues": "is an official's decision; have it taken again",
    "responses": "is what somebody answered; it is not ours to change",
    "subscriptions": "is what a business asked for; it is not ours to change",
    "suppressions": "is what somebody asked for; it is not ours to change",
}
"""What to do where a letter may not be edited; all others are made by our own services, from something else."""


class BadChange(ValueError):
    """What was asked to be set or removed cannot be."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A correction: what differs, what is wrong with it, and what would be sent."""

    letter: Letter
    value: bytes
    complaints: tuple[Complaint, ...]
    posting: Posting
    version: int
    """The case's, 0 where it could not be read."""

    @property
    def key_changes(self) -> bool:
        """Whether it goes under another key."""
        return self.posting.key != self.letter.record.key

    def shown_key(self, prefix: str) -> str | None:
        """The key that it goes under; withheld as the letter's own would be."""
        return Letter(replace(self.letter.record, key=self.posting.key)).shown_key(prefix)

    @property
    def changes(self) -> bool:
        """Whether anything differs that a replay would not mend: the content, the key, or the attributes."""
        same = readable(self.value) == readable(self.letter.record.value or b"")
        return not same or self.key_changes or self.letter.reason in {"bad_header", "unknown_type"}

    def diff(self) -> list[str]:
        """The old and the new content, line by line, as `diff -u` writes it."""
        before, after = readable(self.letter.record.value or b""), readable(self.value)
        return list(unified_diff(before.splitlines(), after.splitlines(), "dead letter", "edited", lineterm=""))


def may_edit(letter: Letter, prefix: str = "") -> None:
    """Raises `Permanent` with what to do instead."""
    topic = letter.source.removeprefix(prefix)
    if topic != CASES.name:
        instead = INSTEAD.get(topic, "is made by our own services; mend the cause and replay it")
        raise Permanent(f"{letter.address}: {topic} {instead}")
    letter.replay()  # what may not be sent again may not be sent corrected either


def plan(letter: Letter, value: bytes, model: DialogueModel, *, anywhere: bool = False) -> Plan:
    """What becomes of a letter with this value. Raises `Permanent` where it may not be at all."""
    verdict = judge(value, model, anywhere=anywhere)
    if verdict.confidential:
        raise Permanent(f"{letter.address}: {CONFIDENTIAL.detail}; nothing was kept of what you wrote")
    if names_person(value):
        raise Permanent(f"{letter.address}: {PERSONAL.detail}; nothing was kept of what you wrote")
    if not value:
        raise Permanent(f"{letter.address}: nothing was written; to write the letter off, discard it")
    key = verdict.case.key.encode() if verdict.case else letter.record.key
    envelope = _envelope(letter, value)
    headers = tuple((name, text.encode()) for name, text in envelope.headers().items())
    partition = letter.partition if key == letter.record.key else None  # a new key chooses its own
    posting = Posting(letter.source, partition, key, value, (*headers, *letter.counted()))
    return Plan(letter, value, verdict.complaints, posting, verdict.case.version if verdict.case else 0)


def known_version(letter: Letter, key: bytes | None, records: Iterable[Record], model: DialogueModel) -> int:
    """The highest version of the case that was taken, 0 for none: what is not higher would change nothing."""
    versions = (
        case.version
        for record in records
        if record.key == key and (case := _taken(record, model)) and not _is_the_same(letter, record)
    )
    return max(versions, default=0)


def changed(value: bytes, sets: Sequence[str], removes: Sequence[str]) -> bytes:
    """A JSON text with members set (`/pointer=value`) and removed (`/pointer`). Raises `BadChange`.

    A value that reads as JSON is taken as JSON, anything else as text.
    """
    if not (sets or removes):
        return value
    try:
        content: Any = json.loads(value)
    except (ValueError, RecursionError):
        raise BadChange("the letter is not whole JSON: give the whole new value with --file") from None
    content = deepcopy(content)
    for text in sets:
        pointer, equals, new = text.partition("=")
        if not equals:
            raise BadChange(f"--set {text}: say /pointer=value, such as /stage=forslag")
        parent, last = _parent(content, pointer)
        _set(parent, last, _value(new), pointer)
    for pointer in removes:
        parent, last = _parent(content, pointer)
        _remove(parent, last, pointer)
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()


def readable(value: bytes) -> str:
    """JSON over several lines, or the text as it is, undecodable bytes as escapes."""
    try:
        return json.dumps(json.loads(value), ensure_ascii=False, indent=2) + "\n"
    except (ValueError, RecursionError):
        return value.decode(errors="backslashreplace")


def _envelope(letter: Letter, value: bytes) -> Envelope:
    before = {name: _text(text) for name, text in letter.kept_headers}
    old_id = before.get("ce_id") or str(letter.address)
    count = dict(letter.counted())["dlq_replays"].decode()
    return Envelope(
        id=derived("edited", old_id, count, value.hex()),
        source=before.get("ce_source") or SOURCE,
        type=CASE_CHANGED,
        time=_moment(before.get("ce_time")),
        extensions={HELD: EDITED},
    )


def _text(value: bytes | None) -> str:
    try:
        return (value or b"").decode()
    except UnicodeDecodeError:
        return ""


def _moment(text: str | None) -> datetime | None:
    """When the source says that it happened, where it said so rightly."""
    try:
        moment = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return moment if moment.tzinfo else None


def _taken(record: Record, model: DialogueModel) -> Case | None:
    try:
        parsed = parse(record, {CASE_CHANGED: Case}, "se.nardialog.case.")
    except Rejected:
        return None
    return parsed.event if parsed and not any(complaints(parsed.event, model, anywhere=True)) else None


def _is_the_same(letter: Letter, record: Record) -> bool:
    """Whether it is the very record that died."""
    stood = (letter.why.get("topic"), letter.why.get("partition"), letter.why.get("offset"))
    return stood == (record.topic, str(record.partition), str(record.offset))


def _value(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_no_number)
    except ValueError:
        return text


def _no_number(name: str) -> Any:
    raise ValueError(name)  # NaN is no JSON (RFC 8259 §6)


def _parent(content: Any, pointer: str) -> tuple[Any, str]:
    """What holds the place that a JSON pointer (RFC 6901) names, and the place's name in it."""
    if not pointer.startswith("/"):
        raise BadChange(f"'{pointer}' is no JSON pointer: begin with /, such as /geometries/0/geometry")
    *way, last = [part.replace("~1", "/").replace("~0", "~") for part in pointer[1:].split("/")]
    here = content
    for part in way:
        here = _member(here, part, pointer)
    return here, last


def _member(here: Any, part: str, pointer: str) -> Any:
    if isinstance(here, dict) and part in here:
        return here[part]
    if isinstance(here, list) and _index(part, len(here)):
        return here[int(part)]
    raise BadChange(f"{pointer}: there is no such place in the letter")


def _set(here: Any, last: str, value: Any, pointer: str) -> None:
    """A member is set or added; in a list `-` is behind the last (RFC 6901 §4)."""
    if isinstance(here, dict):
        here[last] = value
    elif isinstance(here, list) and last == "-":
        here.append(value)
    elif isinstance(here, list) and _index(last, len(here)):
        here[int(last)] = value
    else:
        raise BadChange(f"{pointer}: there is no such place in the letter")


def _remove(here: Any, last: str, pointer: str) -> None:
    _member(here, last, pointer)
    del here[last if isinstance(here, dict) else int(last)]


def _index(part: str, length: int) -> bool:
    return part.isascii() and part.isdigit() and (part == "0" or part[0] != "0") and int(part) < length
