"""Dates as Swedes and English readers write them, in Swedish wall time, without a locale database."""

from datetime import date, datetime
from typing import Final, Literal, TypeAlias
from zoneinfo import ZoneInfo

Lang: TypeAlias = Literal["sv", "en"]

ZONE: Final = ZoneInfo("Europe/Stockholm")
_DAYS: Final[dict[Lang, tuple[str, ...]]] = {
    "sv": ("måndag", "tisdag", "onsdag", "torsdag", "fredag", "lördag", "söndag"),
    "en": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
}
_MONTHS: Final[dict[Lang, str]] = {
    "sv": "januari februari mars april maj juni juli augusti september oktober november december",
    "en": "January February March April May June July August September October November December",
}
_SHORT: Final[dict[Lang, str]] = {
    "sv": "jan feb mars april maj juni juli aug sep okt nov dec",
    "en": "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec",
}


def full(day: date, lang: Lang) -> str:
    """Such as `fredag 5 december 2025`."""
    return f"{_DAYS[lang][day.weekday()]} {day_and_month(day, lang)} {day.year}"


def day_and_month(day: date, lang: Lang) -> str:
    """Such as `5 december`."""
    return f"{day.day} {_MONTHS[lang].split()[day.month - 1]}"


def short(day: date, lang: Lang) -> str:
    """Such as `5 dec`."""
    return f"{day.day} {_SHORT[lang].split()[day.month - 1]}"


def tiny(day: date) -> str:
    """Such as `5/12`: day, then month."""
    return f"{day.day}/{day.month}"


def local(moment: datetime) -> datetime:
    """A moment on a Swedish wall clock."""
    return moment.astimezone(ZONE)


def clock(moment: datetime, lang: Lang) -> str:
    """The wall time: `08.00` in Swedish, `08:00` in English."""
    return local(moment).strftime("%H.%M" if lang == "sv" else "%H:%M")
