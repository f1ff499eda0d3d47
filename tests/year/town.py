"""A made-up municipality for a year: companies, people who subscribe, and cases of every type that walk through their
stages. The same seed gives the same town.
"""

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from schemas.company import Company
from schemas.identity import DEMO_RECIPIENT_KEY, recipient_id, subscriber_id
from schemas.model import PLACES, CaseType, DialogueModel
from schemas.subscription import Subscription
from services.demo import synthetic
from services.demo import year as demo_year

MUNICIPALITY: Final = synthetic.MUNICIPALITY
SOURCE: Final = "aret"
ZONE: Final = ZoneInfo("Europe/Stockholm")
KEY: Final = DEMO_RECIPIENT_KEY
HOTEL: Final = "reception@kontorshotell.example"
"""One address for many companies."""
SUDDEN: Final = ("sms", "sms+email", "email+sms")
"""Channels of stages that may be urgent."""


@dataclass(frozen=True)
class Size:
    """How much of everything."""

    companies: int
    cases: int
    days: int


@dataclass(frozen=True)
class Firm:
    """One company with one workplace, and how it is reached: some not at all."""

    company: Company
    email: str = ""
    phone: str = ""


@dataclass(frozen=True)
class Person:
    """Who subscribes, at an address that may be the company's own."""

    recipient_id: str
    address: str
    subscriptions: tuple[Subscription, ...]


def firms(size: Size, draw: random.Random) -> list[Firm]:
    """The companies of the register."""
    phones = iter(synthetic.PHONES)
    return [_firm(number, draw, phones) for number in range(size.companies)]


def _firm(number: int, draw: random.Random, phones: Iterator[str]) -> Firm:
    kind = draw.choices(synthetic.KINDS, [kind.weight for kind in synthetic.KINDS])[0]
    lon, lat = _somewhere(draw, draw.choice(synthetic.CENTRES))
    organisation = f"AR-{number if draw.random() > 0.05 else number // 10:05}"
    company = Company.model_validate(
        {
            "municipality": MUNICIPALITY, "synthetic": True, "workplace_id": f"AP-{number:05}",
            "recipient_id": recipient_id(organisation, KEY), "organisation": organisation,
            "name": f"{kind.stem} {number}", "lon": round(lon, 6), "lat": round(lat, 6), "import_number": 1,
            "sni": [{"code": code.replace(".", ""), "version": "2025"} for code in kind.codes.split()],
            "street": f"Exempelvägen {number}", "postcode": "182 36", "town": "Danderyd",
        }
    )  # fmt: skip
    luck = draw.random()
    email = f"info@foretag{number}.example" if luck > 0.1 else HOTEL if luck > 0.05 else ""
    return Firm(company, email, next(phones, "") if draw.random() < 0.2 or not email else "")


def people(known: list[Firm], draw: random.Random) -> list[Person]:
    """For each company three subscriptions, one of each frequency: of one person, or of three."""
    found = []
    for number, firm in enumerate(known):
        own = firm.email if firm.email and draw.random() < 0.3 else f"chef@foretag{number}.example"
        if draw.random() < 0.8:
            addresses = [own] * 3
        else:
            addresses = [own, f"drift@foretag{number}.example", f"ekonomi@foretag{number}.example"]
        wishes = [_wish(number, which, firm, address, draw) for which, address in enumerate(addresses)]
        for address in dict.fromkeys(addresses):
            own_wishes = tuple(wish for wish, where in zip(wishes, addresses, strict=True) if where == address)
            found.append(Person(subscriber_id(address, KEY), address, own_wishes))
    return found


FREQUENCIES: Final = ("at_once", "daily", "weekly")


def _wish(number: int, which: int, firm: Firm, address: str, draw: random.Random) -> Subscription:
    """At once what is next door, every day what is near in the trade, every week what is as far as the subscription's
    page offers by itself.
    """
    metres = (150, 400, 800)[which] * draw.uniform(0.7, 1.3)
    circle = {"longitude": firm.company.lon, "latitude": firm.company.lat, "radius_m": round(metres)}
    area: dict[str, Any] = {"kind": "circle", "label": "runt oss", "circle": circle}
    if which == 2 and draw.random() < 0.05:
        area = {"kind": "municipality", "label": "hela kommunen"}
    return Subscription.model_validate(
        {
            "municipality": MUNICIPALITY, "synthetic": True, "subscription_id": f"s{number}-{which}",
            "recipient_id": subscriber_id(address, KEY), "area": area, "frequency": FREQUENCIES[which],
            "industries": [] if which == 0 else firm.company.model_dump()["sni"][:1],
            "confirmed_at": datetime(2026, 12, 1, tzinfo=ZONE),
        }
    )  # fmt: skip


def _somewhere(draw: random.Random, centre: synthetic.Centre) -> tuple[float, float]:
    spread = 4 * centre.spread_m
    return synthetic.moved((centre.lon, centre.lat), draw.gauss(0, spread), draw.gauss(0, spread))


@dataclass(frozen=True)
class Happening:
    """A case's state, from a moment on."""

    at: datetime
    case: dict[str, Any]


def happenings(model: DialogueModel, size: Size, start: datetime, draw: random.Random) -> list[Happening]:
    """The cases of the period, in order: first each stage of each type opens at least once, as far as there are cases;
    then the types are as common as they are in a municipality.
    """
    by_turns = sorted(
        ((number, case_type) for case_type in model.case_types for number in range(len(case_type.stages))),
        key=lambda turn: turn[0],
    )
    common = {kind.case_type: kind.count for kind in demo_year.KINDS}
    weights = [common.get(case_type.id, 1) for case_type in model.case_types]
    others = draw.choices(model.case_types, weights, k=max(0, size.cases - len(by_turns)))
    chosen = [*by_turns[: size.cases], *((0, case_type) for case_type in others)]
    found: list[Happening] = []
    for number, (first, case_type) in enumerate(chosen):
        found += _life(case_type, first, number, size, start, draw)
    return sorted(found, key=lambda item: (item.at, item.case["case_id"], item.case["version"]))


def _life(
    case_type: CaseType, first: int, number: int, size: Size, start: datetime, draw: random.Random
) -> Iterator[Happening]:
    """A case from one of its stages on: most are corrected somewhere, some are moved or withdrawn."""
    day, version = draw.uniform(0, size.days), 0
    place = _place(case_type, draw)
    while first < len(case_type.stages) and day < size.days:
        version += 1
        at = _office_hour(start + timedelta(days=day), draw)
        case = _case(case_type, first, number, version, at, draw) | place
        yield Happening(at, case)
        luck = draw.random()
        if luck < 0.06:
            later = at + timedelta(days=draw.uniform(0, 20))
            yield Happening(later, case | {"version": version + 1, "state": "withdrawn"})
            return
        if luck < 0.2:
            version += 1
            moved = _place(case_type, draw) if luck < 0.12 else {"title": f"{case['title']}, rättad"}
            later = at + timedelta(days=draw.uniform(0, 12))
            place |= {name: value for name, value in moved.items() if name != "title"}
            yield Happening(later, case | moved | {"version": version})
        day += draw.uniform(25, 120)
        first += 1


def _office_hour(day: datetime, draw: random.Random) -> datetime:
    """Most events come in office hours; some case systems write theirs at night."""
    hour = draw.uniform(8, 16.9) if draw.random() < 0.9 else draw.uniform(0, 24)
    midnight = day.astimezone(ZONE).replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight + timedelta(seconds=round(hour * 3600))


def _case(
    case_type: CaseType, first: int, number: int, version: int, at: datetime, draw: random.Random
) -> dict[str, Any]:
    stage = case_type.stages[first]
    case: dict[str, Any] = {
        "municipality": MUNICIPALITY, "synthetic": True, "source": SOURCE, "case_id": f"AR-{number:04}",
        "version": version, "title": f"{case_type.sv} {number}", "case_type": case_type.id, "stage": stage.id,
        "official": {"name": "Anna Exempel", "phone": "08-465 004 00"},
    }  # fmt: skip
    if stage.channel in SUDDEN and draw.random() < 0.6:
        case |= {"urgent": True, "urgent_reason": "Det händer inom tre dagar"}
    if case_type.id == "evenemang" or stage.channel in SUDDEN:
        case["event_at"] = (at + timedelta(days=draw.uniform(1.5, 12))).isoformat()
    return case


def _place(case_type: CaseType, draw: random.Random) -> dict[str, Any]:
    """Where a case is, for all of its stages: a plot and a street, or the whole municipality."""
    rings = [ring for stage in case_type.stages for ring in stage.rings]
    kind = draw.choices(synthetic.KINDS, [kind.weight for kind in synthetic.KINDS])[0]
    codes = [{"code": kind.codes.split()[0].replace(".", ""), "version": "2025"}]
    said: dict[str, Any] = {"industries": codes} if any(ring.industries == "from_case" for ring in rings) else {}
    if not any(ring.geometry in PLACES for ring in rings):
        return {**said, "area": "municipality"}
    middle = _somewhere(draw, draw.choice(synthetic.CENTRES))
    metres, turn = draw.uniform(20, 120), draw.uniform(0, math.pi)
    corners = [(-metres, -metres), (metres, -metres), (metres, metres), (-metres, metres)]
    ring = [_turned(middle, x, y, turn) for x, y in corners]
    line = [_turned(middle, x, 0, turn) for x in (-2 * metres, 2 * metres)]
    site = {"role": "site", "geometry": {"type": "Polygon", "coordinates": [[*ring, ring[0]]]}}
    road = {"role": "road", "geometry": {"type": "LineString", "coordinates": line}}
    return {**said, "geometries": [road if any(ring.geometry == "road" for ring in rings) else site]}


def _turned(middle: tuple[float, float], x: float, y: float, turn: float) -> list[float]:
    lon, lat = synthetic.moved(middle, x * math.cos(turn) - y * math.sin(turn), x * math.sin(turn) + y * math.cos(turn))
    return [round(lon, 6), round(lat, 6)]
