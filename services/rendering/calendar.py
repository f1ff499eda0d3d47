"""A meeting as a calendar file (RFC 5545): the same event whoever opens it, moved or cancelled when the case says so.

Times are Swedish wall time with the zone's own rules beside them, so that 17.00 is 17.00 in every program (FC-056). The
UID is the first round's and the sequence grows with the case and its decisions: a newer file takes the older's place.
The link is the case's public page, since calendars are shared and a recipient's own link is a secret; it stands in the
place too, which is all that some programs show.
"""

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Final
from urllib.parse import quote

from schemas.round import Round, RoundState
from services.rendering import asking, dates
from services.rendering.dates import Lang

_LINE: Final = 75
_ZONE: Final = """\
BEGIN:VTIMEZONE
TZID:Europe/Stockholm
BEGIN:STANDARD
DTSTART:19961027T030000
RRULE:FREQ=YEARLY;BYMONTH=10;BYDAY=-1SU
TZOFFSETFROM:+0200
TZOFFSETTO:+0100
TZNAME:CET
END:STANDARD
BEGIN:DAYLIGHT
DTSTART:19810329T020000
RRULE:FREQ=YEARLY;BYMONTH=3;BYDAY=-1SU
TZOFFSETFROM:+0100
TZOFFSETTO:+0200
TZNAME:CEST
END:DAYLIGHT
END:VTIMEZONE"""


def attached(rounds: Iterable[Round], cases_url: str, lang: Lang, now: datetime) -> str:
    """The file that goes with a mail: the meetings that these rounds invite to or tell of. Empty where none does."""
    meetings = [round_ for round_ in rounds if round_.texts.meeting is not None and _tells_of_meeting(round_)]
    return calendar(((round_, public_page(cases_url, round_)) for round_ in meetings), lang, now) if meetings else ""


def public_page(cases_url: str, round_: Round) -> str:
    """A case's page, which anybody may read."""
    return f"{cases_url}/{quote(round_.case_id, safe='')}"


def _tells_of_meeting(round_: Round) -> bool:
    return asking.asks(round_) or asking.is_change(round_)


def calendar(meetings: Iterable[tuple[Round, str]], lang: Lang, now: datetime) -> str:
    """A file with the meetings of these rounds, each with its page. `now` is when the file was made."""
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//Nardialog//SV", "METHOD:PUBLISH", *_ZONE.split("\n")]
    for round_, url in meetings:
        lines += _event(round_, url, lang, now)
    return "".join(f"{_folded(line)}\r\n" for line in [*lines, "END:VCALENDAR"])


def stamp(now: datetime) -> str:
    """The line, and the one break before it and after it, that says when a file was made."""
    return f"\r\nDTSTAMP:{now.astimezone(UTC):%Y%m%dT%H%M%SZ}\r\n"


def _event(round_: Round, url: str, lang: Lang, now: datetime) -> Iterator[str]:
    meeting = round_.texts.meeting
    if meeting is None:
        return
    title = (round_.texts.title_en if lang == "en" else "") or round_.texts.title
    official = round_.texts.official
    about = [title, url, ", ".join(part for part in (official.name, official.phone) if part) if official else ""]
    yield "BEGIN:VEVENT"
    yield f"UID:{round_.follows or round_.round_id}@nardialog"
    yield stamp(now).strip()
    yield f"SEQUENCE:{round_.basis.case_version + round_.basis.decision}"
    yield f"DTSTART;TZID=Europe/Stockholm:{dates.local(meeting.start):%Y%m%dT%H%M%S}"
    if meeting.end is not None:
        yield f"DTEND;TZID=Europe/Stockholm:{dates.local(meeting.end):%Y%m%dT%H%M%S}"
    yield f"SUMMARY:{_text(_SUMMARY[lang].format(title=title))}"
    yield f"LOCATION:{_text(f'{meeting.place}, {url}')}"
    yield f"DESCRIPTION:{_text(chr(10).join(part for part in about if part))}"
    yield f"URL:{url}"
    yield "STATUS:CANCELLED" if _is_off(round_) else "STATUS:CONFIRMED"
    if not _is_off(round_):
        yield from ("BEGIN:VALARM", "ACTION:DISPLAY", f"DESCRIPTION:{_text(title)}", "TRIGGER:-P1D", "END:VALARM")
    yield "END:VEVENT"


def _is_off(round_: Round) -> bool:
    return round_.state is RoundState.WITHDRAWN or round_.change in _OFF


_OFF: Final = frozenset({"cancelled", "withdrawn", "undone", "not_affected"})
"""Changes after which a reader has no meeting to come to."""


_SUMMARY: Final[dict[Lang, str]] = {"sv": "Dialogmöte: {title}", "en": "Dialogue meeting: {title}"}


def _text(value: str) -> str:
    """A TEXT value (RFC 5545 §3.3.11): no line break of a case can begin a line of the file."""
    escaped = re.sub(r"([\\;,])", r"\\\1", value)
    return re.sub(r"[\x00-\x08\x0b-\x1f\x7f]", "", escaped.replace("\r\n", "\n")).replace("\n", "\\n")


def _folded(line: str) -> str:
    """At most 75 octets a line (§3.1), never inside a character."""
    folded, octets = [""], 0
    for character in line:
        size = len(character.encode())
        if octets + size > _LINE:
            folded.append("")
            octets = 1  # the blank that continues a line
        folded[-1] += character
        octets += size
    return "\r\n ".join(folded)
