"""What a mail that came back is: a report, a complaint, a stop, a machine's answer, a person's, or none of these.

Pure: bytes in, a value out, and never an exception, whatever the bytes are. Which message it is about is read, in this
order, from the address that it came to (our proof stands in it), from the envelope id of a report, and from our
Message-ID in what was sent back or answered. Sources: RFC 3464 (reports), 5965 (complaints), 3834 (machines' answers).

A stop is looked for first, since mail programs send it by themselves; a report before a machine's answer, because both
come with an empty return path; and nothing that we forwarded ourselves is ever forwarded again.
"""

import logging
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from email import message_from_bytes, message_from_string
from email.header import decode_header, make_header
from email.message import Message
from email.policy import compat32
from typing import Final

from flufl.bounce import all_failures

from services.notifier.outcomes.reports import Reported, bounced, envelope_id, read_report
from services.notifier.outcomes.return_path import ReturnPaths
from services.runtime.link_tokens import Purpose, verify

FORWARDED: Final = "X-Nardialog-Forwarded"
"""The header that our own forwards bear."""
_ARRIVED_AT: Final = ("Delivered-To", "X-Original-To", "Envelope-To", "X-Envelope-To", "To", "Cc")
_OURS: Final = re.compile(r"<?\b([0-9a-f]{32})@")
_STOP: Final = re.compile(r"\bavsluta\s+([A-Za-z0-9_-]{22})(?![A-Za-z0-9_-])", re.IGNORECASE)
_STOP_LINK: Final = re.compile(r"/avsluta/([A-Za-z0-9_-]{22})(?![A-Za-z0-9_-])")
_MACHINES: Final = ("X-Auto-Response-Suppress", "X-Autoreply", "X-Autorespond", "X-Autoresponder", "List-Id")
_BULK: Final = frozenset({"bulk", "junk", "list", "auto_reply"})
_POSTMASTERS: Final = re.compile(r"\b(mailer-daemon|postmaster|mail-daemon)@", re.IGNORECASE)

logging.getLogger("flufl.bounce").setLevel(logging.CRITICAL + 1)  # its tracebacks quote addresses


@dataclass(frozen=True, slots=True)
class About:
    """Which of our messages a mail is about, by its number or its id, as far as the mail says."""

    number: int | None = None
    message_id: str | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """A relay, or the recipient's own, says what became of a message."""

    about: About
    reported: Reported


@dataclass(frozen=True, slots=True)
class Complaint:
    """The recipient called it spam, and their provider passes that on."""

    about: About


@dataclass(frozen=True, slots=True)
class StopWanted:
    """Somebody who has the message wants no more of them."""

    number: int


@dataclass(frozen=True, slots=True)
class Automatic:
    """A machine's answer: on holiday, received, a list's. Nobody reads an answer to it."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A person wrote."""

    about: About


@dataclass(frozen=True, slots=True)
class Unclear:
    """Somebody has to look at it, and why: a word of ours."""

    code: str


Sorted = Report | Complaint | StopWanted | Automatic | Reply | Unclear


class Sorter:
    """Sorts by the keys that our links, and our return paths, are made with."""

    def __init__(self, token_keys: Sequence[bytes], return_paths: ReturnPaths) -> None:
        self._keys = token_keys
        self._paths = return_paths

    def sort(self, raw: bytes) -> Sorted:
        """What this mail is."""
        try:
            return self._sort(message_from_bytes(raw, policy=compat32))
        except Exception:  # the parser's own: no list of what it raises for a broken mail would ever be whole
            return Unclear("unreadable")

    def _sort(self, mail: Message) -> Sorted:
        stop = _STOP.search(_words(mail, "Subject"))
        number = self._stopped(stop)
        if number is not None:
            return StopWanted(number)
        parts = {part.get_content_type(): part for part in _own_parts(mail)}
        arrived_at = About(self._number_in(_words(mail, name) for name in _ARRIVED_AT))
        if "message/delivery-status" in parts:
            return self._report(mail, parts["message/delivery-status"], arrived_at)
        if "message/feedback-report" in parts:
            return self._complaint(mail, parts["message/feedback-report"], arrived_at)
        if mail[FORWARDED] is not None:
            return Unclear("loop")
        if stop:
            return Unclear("stop_without_proof")
        if _answers_by_itself(mail):
            return Automatic()
        return self._bounce(mail, arrived_at) or self._answer(mail, arrived_at)

    def _report(self, mail: Message, status: Message, arrived_at: About) -> Sorted:
        reported = read_report(status)
        if reported is None:
            return Unclear("report_not_understood")
        named = envelope_id(status)
        return Report(
            _first(arrived_at, About(message_id=named if _is_id(named) else None), _sent_back(mail)), reported
        )

    def _complaint(self, mail: Message, report: Message, arrived_at: About) -> Sorted:
        fields = "\n".join(part.as_string() for part in report.walk())
        original = "\n".join(f"{name}: {value}" for part in _originals(mail) for name, value in part.items())
        by_path = About(self._number_in([fields, original]))
        by_link = About(self._stopped(_STOP_LINK.search(original)))
        return Complaint(_first(arrived_at, by_path, by_link, _sent_back(mail)))

    def _bounce(self, mail: Message, arrived_at: About) -> Sorted | None:
        """A bounce in a form of its own, where nobody but a postmaster can have sent it."""
        returned = _words(mail, "Return-Path").strip() == "<>" or _POSTMASTERS.search(_words(mail, "From"))
        if not returned:
            return None
        passing, permanent = all_failures(mail)
        if passing or permanent:
            return Report(_first(arrived_at, _sent_back(mail), _mentioned(mail)), bounced(permanent=bool(permanent)))
        if arrived_at.number is not None or _POSTMASTERS.search(_words(mail, "From")):
            return Unclear("bounce_not_understood")
        return Automatic()

    def _answer(self, mail: Message, arrived_at: About) -> Sorted:
        if _words(mail, "Precedence").strip().lower() in _BULK or any(mail[name] is not None for name in _MACHINES):
            return Automatic()
        answered = f"{_words(mail, 'In-Reply-To')} {_words(mail, 'References')}"
        return Reply(_first(arrived_at, _ours_in(answered)))

    def _number_in(self, texts: Iterable[str]) -> int | None:
        return next((number for text in texts if (number := self._paths.number_in(text)) is not None), None)

    def _stopped(self, found: re.Match[str] | None) -> int | None:
        return verify(found[1], self._keys, Purpose.STOP) if found else None


def _own_parts(mail: Message) -> Iterator[Message]:
    """Its parts, but not those of a mail that is attached to it: a person may send a report on."""
    yield mail
    if mail.get_content_maintype() == "multipart" and mail.is_multipart():
        for part in mail.get_payload():
            if isinstance(part, Message):
                yield from _own_parts(part)


def _answers_by_itself(mail: Message) -> bool:
    """RFC 3834 §5: anything but `no` was sent without a person."""
    return _words(mail, "Auto-Submitted").partition(";")[0].strip().lower() not in ("", "no")


def _first(*abouts: About) -> About:
    return next((about for about in abouts if about != About()), About())


def _sent_back(mail: Message) -> About:
    """By the Message-ID of ours that is in the mail as it was sent back, whole or its headers alone."""
    return _first(*(_ours_in(_words(part, "Message-ID")) for part in _originals(mail)))


def _originals(mail: Message) -> list[Message]:
    found = []
    for part in mail.walk():
        if part.get_content_type() == "text/rfc822-headers":
            found.append(message_from_string(_text(part), policy=compat32))
        elif part.get_content_type() == "message/rfc822" and part.is_multipart():
            found += [enclosed for enclosed in part.get_payload() if isinstance(enclosed, Message)]
    return found


def _mentioned(mail: Message) -> About:
    """By a Message-ID of ours anywhere in the text, as bounces without structure quote it."""
    texts = (_text(part) for part in mail.walk() if part.get_content_maintype() == "text")
    named = (re.search(r"message-id:[^\n]*", text, re.IGNORECASE) for text in texts)
    return _first(*(_ours_in(found[0]) for found in named if found))


def _ours_in(text: str) -> About:
    found = _OURS.search(text)
    return About(message_id=found[1]) if found else About()


def _is_id(text: str) -> bool:
    return re.fullmatch(r"[0-9a-f]{32}", text) is not None


def _text(part: Message) -> str:
    payload = part.get_payload(decode=True)
    return payload.decode("utf-8", "replace") if isinstance(payload, bytes) else ""


def _words(mail: Message, name: str) -> str:
    """All of a header's values as text, decoded where they can be."""
    values = [str(value) for value in mail.get_all(name, [])]
    decoded = []
    for value in values:
        with suppress(Exception):  # an encoded word in a charset that does not exist stays as it is
            value = str(make_header(decode_header(value)))
        decoded.append(" ".join(value.split()))
    return "\n".join(decoded)
