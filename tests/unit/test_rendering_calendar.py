"""A meeting as a calendar file, held against RFC 5545."""

import re
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any
from zoneinfo import ZoneInfo

import icalendar
from dateutil.tz import tzical  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import strategies as st

from schemas.round import EXAMPLE, Round
from services.rendering.calendar import attached, calendar

NOW = datetime(2027, 9, 1, 6, 30, tzinfo=UTC)
URL = "https://dialog.example/arenden/EX-2"


def meeting_round(start: str = "2027-10-12T17:00:00+02:00", texts: Any = None, **changes: Any) -> Round:
    words = {"title": "Ny detaljplan", "meeting": {"place": "Kommunhuset, sal A", "start": start}}
    return Round.model_validate({**EXAMPLE, "texts": words | (texts or {}), **changes})


def properties(text: str) -> dict[str, str]:
    """The properties of the first event, unfolded: name with its parameters → value."""
    event = text.replace("\r\n ", "").split("BEGIN:VEVENT")[1].split("BEGIN:VALARM")[0]
    return dict(line.split(":", 1) for line in event.split("\r\n") if ":" in line)


def test_a_meeting_at_17_is_at_17_in_stockholm_in_summer_and_in_winter() -> None:
    # FC-056: the zone's own rules travel with the time.
    for start in ("2027-10-12T17:00:00+02:00", "2027-12-07T17:00:00+01:00", "2027-10-12T15:00:00Z"):
        made = calendar([(meeting_round(start), URL)], "sv", NOW)
        (local,) = [
            value for name, value in properties(made).items() if name.startswith("DTSTART;TZID=Europe/Stockholm")
        ]
        assert local.endswith("T170000")
        wall = datetime.strptime(local, "%Y%m%dT%H%M%S").replace(tzinfo=ZoneInfo("Europe/Stockholm"))
        assert wall == datetime.fromisoformat(start)
        assert "BEGIN:VTIMEZONE\r\nTZID:Europe/Stockholm" in made


def test_the_zone_in_the_file_is_swedens() -> None:
    """Against the zone database, hour by hour around every change of ten years."""
    text = calendar([(meeting_round(), URL)], "sv", NOW)
    inside = text[text.index("BEGIN:VTIMEZONE") : text.index("BEGIN:VEVENT")]
    read, known = tzical(StringIO(inside)).get("Europe/Stockholm"), ZoneInfo("Europe/Stockholm")
    for day in range(3653):
        for hour in (0, 12):
            wall = datetime(2026, 1, 1, hour) + timedelta(days=day)  # noqa: DTZ001 - a wall clock's
            assert wall.replace(tzinfo=read).utcoffset() == wall.replace(tzinfo=known).utcoffset(), wall


def test_it_says_what_where_and_its_public_page_and_never_the_recipients_own_link() -> None:
    said = properties(calendar([(meeting_round(), URL)], "sv", NOW))
    assert said["SUMMARY"] == "Dialogmöte: Ny detaljplan"
    assert said["LOCATION"] == f"Kommunhuset\\, sal A\\, {URL}"
    assert said["URL"] == URL
    assert said["DTSTAMP"] == "20270901T063000Z"


def test_a_changed_meeting_takes_the_olders_place_and_a_withdrawn_one_is_cancelled() -> None:
    first, moved = (properties(calendar([(meeting_round(basis={"case_version": n}), URL)], "sv", NOW)) for n in (1, 2))
    assert first["UID"] == moved["UID"]
    assert int(moved["SEQUENCE"]) > int(first["SEQUENCE"])
    gone = properties(calendar([(meeting_round(state="withdrawn"), URL)], "sv", NOW))
    assert (first["STATUS"], gone["STATUS"]) == ("CONFIRMED", "CANCELLED")
    for kind in ("cancelled", "withdrawn", "undone", "not_affected", "moved"):
        told = meeting_round(round_id="f" * 32, purpose="change", change=kind, follows=EXAMPLE["round_id"])
        change = properties(calendar([(told, URL)], "sv", NOW))
        assert (change["UID"], change["STATUS"]) == (first["UID"], "CONFIRMED" if kind == "moved" else "CANCELLED")


def test_the_sequence_grows_with_the_case_and_with_every_decision_on_it() -> None:
    bases = [{"case_version": 1}, {"case_version": 1, "decision": 1}, {"case_version": 2, "decision": 1}]
    sequences = [int(properties(calendar([(meeting_round(basis=b), URL)], "sv", NOW))["SEQUENCE"]) for b in bases]
    assert sequences == sorted(set(sequences))


@given(st.text(min_size=1, max_size=150), st.text(max_size=150))
def test_no_title_or_place_can_begin_a_line_or_make_one_too_long(title: str, place: str) -> None:
    texts = {"title": f"x{title}", "meeting": {"place": place, "start": "2027-10-12T17:00:00+02:00"}}
    made = calendar([(meeting_round(texts=texts), URL)], "sv", NOW)
    plain = calendar([(meeting_round(), URL)], "sv", NOW)

    def names(text: str) -> list[str]:
        return [line.split(":")[0].split(";")[0] for line in text.replace("\r\n ", "").split("\r\n")]

    assert names(made) == names(plain)
    assert max(len(line.encode()) for line in made.split("\r\n")) <= 75
    assert made.count("\r\n") == made.count("\n") == made.count("\r")


def read(text: str) -> icalendar.Event:
    """The one meeting, as another program reads it."""
    parsed = icalendar.Calendar.from_ical(text)
    assert isinstance(parsed, icalendar.Calendar)
    (event,) = parsed.events
    assert parsed["METHOD"] == "PUBLISH"
    assert [error for component in parsed.walk() for error in component.errors] == []
    return event


def test_another_program_reads_the_time_the_place_the_link_and_the_alarm() -> None:
    # FC-056, with a library that is not ours
    event = read(calendar([(meeting_round(), URL)], "sv", NOW))
    assert event.start == datetime(2027, 10, 12, 17, tzinfo=ZoneInfo("Europe/Stockholm"))
    assert isinstance(event.start, datetime)
    assert event.start.utcoffset() == timedelta(hours=2)
    assert event.DTSTAMP == NOW
    assert event["UID"] == f"{EXAMPLE['round_id']}@nardialog"
    assert event["LOCATION"] == f"Kommunhuset, sal A, {URL}"
    assert URL in str(event["DESCRIPTION"])
    assert event["URL"] == URL
    (alarm,) = event.walk("VALARM")
    assert alarm.decoded("TRIGGER") == timedelta(days=-1)


@given(st.text(min_size=1, max_size=150), st.text(max_size=150))
def test_another_program_reads_any_title_and_place_as_they_were_written(title: str, place: str) -> None:
    texts = {"title": f"x{title}", "meeting": {"place": place, "start": "2027-10-12T17:00:00+02:00"}}
    round_ = meeting_round(texts=texts)
    event = read(calendar([(round_, URL)], "sv", NOW))
    assert round_.texts.meeting is not None
    shown = re.sub(r"[\x00-\x08\x0b-\x1f\x7f]", "", f"Dialogmöte: {round_.texts.title}")
    assert event["SUMMARY"] == shown
    assert event["LOCATION"] == re.sub(r"[\x00-\x08\x0b-\x1f\x7f]", "", round_.texts.meeting.place) + f", {URL}"


def test_a_mail_carries_the_meetings_that_it_invites_to_or_tells_of_and_no_others() -> None:
    cases = "https://dialog.example/arenden"
    asks, silent = meeting_round(), meeting_round(plan={**EXAMPLE["plan"], "asks": False})  # type: ignore[dict-item]
    assert read(attached([asks, silent], cases, "sv", NOW))["URL"] == URL
    assert attached([silent], cases, "sv", NOW) == ""
    moved = meeting_round(plan=None, purpose="change", change="moved", follows=EXAMPLE["round_id"])
    assert read(attached([moved], cases, "sv", NOW))["STATUS"] == "CONFIRMED"
