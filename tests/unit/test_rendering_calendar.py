"""A meeting as a calendar file, held against RFC 5545."""

from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any
from zoneinfo import ZoneInfo

from dateutil.tz import tzical  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import strategies as st

from schemas.round import EXAMPLE, Round
from services.rendering.calendar import calendar

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
    assert said["LOCATION"] == "Kommunhuset\\, sal A"
    assert said["URL"] == URL
    assert said["DTSTAMP"] == "20270901T063000Z"


def test_a_changed_meeting_takes_the_olders_place_and_a_withdrawn_one_is_cancelled() -> None:
    first, moved = (properties(calendar([(meeting_round(basis={"case_version": n}), URL)], "sv", NOW)) for n in (1, 2))
    assert first["UID"] == moved["UID"]
    assert int(moved["SEQUENCE"]) > int(first["SEQUENCE"])
    gone = properties(calendar([(meeting_round(state="withdrawn"), URL)], "sv", NOW))
    assert (first["STATUS"], gone["STATUS"]) == ("CONFIRMED", "CANCELLED")
    told = meeting_round(round_id="f" * 32, purpose="change", change="cancelled", follows=EXAMPLE["round_id"])
    change = properties(calendar([(told, URL)], "sv", NOW))
    assert (change["UID"], change["STATUS"]) == (first["UID"], "CANCELLED")


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
