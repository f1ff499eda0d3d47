"""Danderyd made up: a register of about 1,200 workplaces and seven cases, the same at every run.

Nothing here is real and everything says so: names begin with *Exempel*, ids with `EX`, organisations are opaque ids and
never numbers, addresses lie under `.example` (RFC 2606 §2), telephones in the series reserved for fiction in Sweden
(070-1740605 to 070-1740699). Only the places are Danderyd's, and no two workplaces share a point with a real one.
"""

import csv
import io
import json
import math
import random
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time, timedelta
from functools import cache
from importlib.resources import files
from itertools import pairwise
from typing import Any, Final
from zoneinfo import ZoneInfo

MUNICIPALITY: Final = "0162"
SOURCE: Final = "demo"
ZONE: Final = ZoneInfo("Europe/Stockholm")
SEED: Final = 20251110
WORKPLACES: Final = 1200
PHONES: Final = tuple(f"+467017406{n:02d}" for n in range(5, 100))
"""The series reserved for fiction, all 95 of them."""
STOCKHOLMSVAGEN: Final = (
    (18.0286, 59.3938), (18.0306, 59.3965), (18.0324, 59.3990), (18.0347, 59.4016), (18.0372, 59.4046),
)  # fmt: skip
"""The demo's Stockholmsvägen, as longitude and latitude: a line near the real one."""
_M_PER_LAT: Final = 111_320.0

Point = tuple[float, float]


@dataclass(frozen=True)
class Centre:
    """A place where workplaces gather."""

    name: str
    lon: float
    lat: float
    count: int
    spread_m: float
    postcode: str
    town: str
    streets: tuple[str, ...]


CENTRES: Final = (
    Centre("Mörby", 18.0365, 59.3985, 260, 260, "182 31", "Danderyd", ("Mörbyleden", "Golfvägen", "Svärdvägen")),
    Centre("sjukhuset", 18.0395, 59.3935, 130, 180, "182 57", "Danderyd", ("Mörbygårdsvägen", "Entrévägen")),
    Centre("Djursholm", 18.0850, 59.3990, 210, 280, "182 60", "Djursholm", ("Vendevägen", "Djursholms torg")),
    Centre("Stocksund", 18.0450, 59.3860, 180, 280, "182 78", "Stocksund", ("Stocksunds torg", "Stockholmsvägen")),
    Centre("Enebyberg", 18.0050, 59.4260, 210, 340, "182 45", "Enebyberg", ("Enebybergsvägen", "Eneby torg")),
)
ROADSIDE: Final = 60
"""Workplaces along Stockholmsvägen, the first of them the bakery."""


@dataclass(frozen=True)
class Kind:
    """A kind of business: what it is called, its SNI 2025 codes, how common it is."""

    stem: str
    codes: str
    weight: int
    employees: int


KINDS: Final = (
    Kind("Exempelbageriet", "10.710 47.241", 2, 8),
    Kind("Exempelkafé", "56.110 47.241", 5, 6),
    Kind("Exempelrestaurangen", "56.110", 5, 12),
    Kind("Exempelmatvagnen", "56.120", 1, 2),
    Kind("Exempelcatering", "56.210", 1, 5),
    Kind("Exempellivs", "47.112", 2, 9),
    Kind("Exempelfrukt", "47.210", 1, 3),
    Kind("Exempelkläder", "47.711", 4, 4),
    Kind("Exempelblommor", "47.761", 2, 2),
    Kind("Exempeloptik", "47.742", 2, 4),
    Kind("Exempelapoteket", "47.731", 1, 9),
    Kind("Exempelhotellet", "55.101 56.110", 1, 25),
    Kind("Exempelfrisören", "96.210", 8, 2),
    Kind("Exempelsalongen", "96.220", 4, 2),
    Kind("Exempeltandläkarna", "86.230", 4, 6),
    Kind("Exempelläkarna", "86.221", 3, 11),
    Kind("Exempelfysio", "86.950", 3, 4),
    Kind("Exempelbygg", "43.320", 7, 4),
    Kind("Exempelrör", "43.221", 3, 5),
    Kind("Exempelel", "43.210", 4, 5),
    Kind("Exempelfastigheter", "68.203", 7, 3),
    Kind("Exempelmäklarna", "68.310", 2, 6),
    Kind("Exempelkod", "62.100", 9, 3),
    Kind("Exempeldrift", "62.202", 2, 7),
    Kind("Exempelrådgivning", "70.200", 10, 1),
    Kind("Exempelrevision", "69.201", 5, 3),
    Kind("Exempeladvokaterna", "69.101", 2, 6),
    Kind("Exempelarkitekterna", "71.110", 3, 4),
    Kind("Exempelåkeriet", "49.410", 2, 6),
    Kind("Exempelbilverkstan", "95.311", 2, 5),
    Kind("Exempelföreningen Handel", "94.111", 1, 2),
)
_SHOPS: Final = tuple(kind for kind in KINDS if kind.codes[:2] in ("10", "47", "56", "96"))


@dataclass(frozen=True)
class Workplace:
    """One row of the register."""

    workplace_id: str
    organisation: str
    name: str
    lon: float
    lat: float
    codes: str
    employees: int
    street: str
    postcode: str
    town: str
    email: str = ""
    phone: str = ""
    language: str = "sv"


@cache
def boundary() -> tuple[Point, ...]:
    """The municipality's outline, twelve points: a locator, not a map."""
    text = files("services.demo").joinpath("data/danderyd.geojson").read_text(encoding="utf-8")
    ring = json.loads(text)["features"][0]["geometry"]["coordinates"][0]
    return tuple((float(lon), float(lat)) for lon, lat in ring)


def inside(lon: float, lat: float) -> bool:
    """Whether a point lies in the municipality (even-odd rule)."""
    ring, within = boundary(), False
    for (x1, y1), (x2, y2) in pairwise(ring):
        if (y1 > lat) != (y2 > lat) and lon < x1 + (lat - y1) * (x2 - x1) / (y2 - y1):
            within = not within
    return within


def workplaces(seed: int = SEED) -> tuple[Workplace, ...]:
    """The whole register; the same seed gives the same register."""
    draw = random.Random(seed)  # noqa: S311 - repeatable on purpose
    drawn = _Drawing(draw)
    drawn.roadside()
    for centre in CENTRES:
        drawn.around(centre)
    while len(drawn.rows) < WORKPLACES:
        drawn.anywhere()
    return _with_phones(_with_contacts(_with_organisations(drawn.rows, draw), draw), draw)


@dataclass
class _Drawing:
    """Places and kinds, drawn one after another."""

    draw: random.Random
    rows: list[Workplace] = field(default_factory=list)

    def roadside(self) -> None:
        for n in range(ROADSIDE):
            along = 0.5 if n == 0 else (n + 0.5) / ROADSIDE
            lon, lat = _beside(along, 14.0 if n == 0 else self.draw.uniform(10, 45) * self.draw.choice((-1, 1)))
            kind = KINDS[0] if n == 0 else self.draw.choice(_SHOPS)
            street = f"Stockholmsvägen {40 if n == 0 else 41 + n}"
            name = kind.stem if n == 0 else f"{kind.stem} Stockholmsvägen {41 + n}"
            self._add(kind, name, lon, lat, (street, "182 30", "Danderyd"))

    def around(self, centre: Centre) -> None:
        for n in range(1, centre.count + 1):
            lon, lat = centre.lon, centre.lat
            for _ in range(100):
                lon, lat = self._near(centre)
                if inside(lon, lat):
                    break
            kind = self._kind()
            street = f"{centre.streets[n % len(centre.streets)]} {1 + n // 2}"
            self._add(
                kind, f"{kind.stem} {centre.name.capitalize()} {n}", lon, lat, (street, centre.postcode, centre.town)
            )

    def anywhere(self) -> None:
        lons, lats = zip(*boundary(), strict=True)
        lon, lat = self.draw.uniform(min(lons), max(lons)), self.draw.uniform(min(lats), max(lats))
        if inside(lon, lat):
            kind, number = self._kind(), len(self.rows) + 1
            self._add(kind, f"{kind.stem} {number}", lon, lat, (f"Exempelvägen {number}", "182 36", "Danderyd"))

    def _near(self, centre: Centre) -> Point:
        east, north = self.draw.gauss(0, centre.spread_m), self.draw.gauss(0, centre.spread_m)
        return moved((centre.lon, centre.lat), east, north)

    def _kind(self) -> Kind:
        return self.draw.choices(KINDS, [kind.weight for kind in KINDS])[0]

    def _add(self, kind: Kind, name: str, lon: float, lat: float, address: tuple[str, str, str]) -> None:
        number = len(self.rows) + 1
        employees = max(0, round(self.draw.gauss(kind.employees, kind.employees / 3)))
        self.rows.append(
            Workplace(
                f"EX-{number:04d}",
                f"EXO-{number:04d}",
                name,
                round(lon, 6),
                round(lat, 6),
                kind.codes,
                employees,
                *address,
            )
        )


def moved(point: Point, east_m: float, north_m: float) -> Point:
    """A point some metres further east and north."""
    lon, lat = point
    return lon + east_m / (_M_PER_LAT * math.cos(math.radians(lat))), lat + north_m / _M_PER_LAT


def _beside(along: float, aside_m: float) -> Point:
    """A point beside Stockholmsvägen: `along` from 0 to 1, `aside_m` to the right of it."""
    at = along * (len(STOCKHOLMSVAGEN) - 1)
    leg = min(int(at), len(STOCKHOLMSVAGEN) - 2)
    (x1, y1), (x2, y2) = STOCKHOLMSVAGEN[leg], STOCKHOLMSVAGEN[leg + 1]
    east, north = (x2 - x1) * math.cos(math.radians(y1)), y2 - y1
    length = math.hypot(east, north)
    on = (x1 + (x2 - x1) * (at - leg), y1 + (y2 - y1) * (at - leg))
    return moved(on, aside_m * north / length, -aside_m * east / length)


def _with_organisations(rows: Sequence[Workplace], draw: random.Random) -> list[Workplace]:
    """Every tenth workplace but the bakery belongs to one of thirty organisations with several."""
    chains = [f"EXO-{9000 + n}" for n in range(1, 31)]
    return [
        replace(row, organisation=draw.choice(chains)) if n % 10 == 5 else row
        for n, row in enumerate(rows)
    ]  # fmt: skip


def _with_contacts(rows: Sequence[Workplace], draw: random.Random) -> list[Workplace]:
    """Most have an address of their own; an office hotel is one address for many; some have none."""
    reached = []
    for n, row in enumerate(rows):
        luck = draw.random()
        email = f"info@{_slug(row.name)}.example"
        if n and luck < 0.03:
            email = "reception@exempelkontorshotell.example"
        elif n and luck < 0.10:
            email = ""
        reached.append(replace(row, email=email, language="en" if n and luck > 0.97 else "sv"))
    return reached


def _with_phones(rows: Sequence[Workplace], draw: random.Random) -> tuple[Workplace, ...]:
    """The 95 numbers go to the bakery, to Djursholm and to others; a number is never given twice."""
    djursholm = [n for n, row in enumerate(rows) if row.town == "Djursholm"]
    others = [n for n, row in enumerate(rows) if n and row.town != "Djursholm"]
    chosen = [0, *sorted(draw.sample(djursholm, 60)), *sorted(draw.sample(others, 34))]
    phones = dict(zip(chosen, PHONES, strict=True))
    return tuple(
        replace(row, phone=phones[n], email="" if n and n % 4 == 0 else row.email) if n in phones else row
        for n, row in enumerate(rows)
    )


def _slug(name: str) -> str:
    plain = unicodedata.normalize("NFKD", name.lower()).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")


COLUMNS: Final = (
    "workplace_id", "organisation", "name", "lon", "lat", "sni", "sni_version", "status", "municipality", "employees",
    "legal_form", "street", "postcode", "town", "email", "phone", "language", "contact_source",
)  # fmt: skip


def register_csv(seed: int = SEED) -> str:
    """The register in the file shape that `nardialog companies import` takes."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for w in workplaces(seed):
        writer.writerow(
            (
                w.workplace_id, w.organisation, w.name, w.lon, w.lat, w.codes, "2025", "active", MUNICIPALITY,
                w.employees, "", w.street, w.postcode, w.town, w.email, w.phone, w.language, "register",
            )
        )  # fmt: skip
    return out.getvalue()


def cases(day: date) -> list[dict[str, Any]]:
    """The seven cases, their dates counted from `day`. The last is broken on purpose: its polygon crosses itself."""
    return [
        _case(1, day, _DETALJPLAN),
        _case(2, day, _GATUARBETE),
        _case(3, day, _UPPHANDLING),
        _case(4, day, _TAXA),
        _case(5, day, _TILLSYN),
        _case(6, day, _evenemang(day)),
        _case(7, day, _BROKEN),
    ]


def cases_jsonl(day: date) -> str:
    """The same as a case file, one a line, for `nardialog match`."""
    return "".join(json.dumps(case, ensure_ascii=False) + "\n" for case in cases(day))


def _case(number: int, day: date, content: Mapping[str, Any]) -> dict[str, Any]:
    days = {name: content[name] for name in ("respond_by", "decision_at") if name in content}
    return {
        "municipality": MUNICIPALITY,
        "synthetic": True,
        "source": SOURCE,
        "case_id": f"DA-{number}",
        "version": 1,
        "diary_number": f"EX 2025/{1000 + number}",
        "unit": "Danderyds kommun (demo)",
        "stage_opened": day.isoformat(),
        **content,
        **{name: (day + timedelta(days=after)).isoformat() for name, after in days.items()},
    }


def _sni(*codes: str) -> list[dict[str, str]]:
    return [{"code": code, "version": "2025"} for code in codes]


def _area(role: str, ring: Sequence[Point]) -> list[dict[str, Any]]:
    return [{"role": role, "geometry": {"type": "Polygon", "coordinates": [[list(point) for point in ring]]}}]


def _official(name: str, title: str) -> dict[str, str]:
    return {"name": f"{name} Exempel", "title": title, "phone": "08-465 004 00", "email": "demo@danderyd.example"}


_DETALJPLAN: Final[Mapping[str, Any]] = {
    "title": "Ny detaljplan för Mörby centrum",
    "title_en": "New development plan for Mörby centrum",
    "summary": "Centrum får fler lokaler i gatuplan och en ny infart till garaget. Torget ligger kvar.",
    "summary_en": "The centre gets more premises at street level and a new entrance to the car park. The square stays.",
    "case_type": "detaljplan",
    "stage": "samrad",
    "geometries": _area(
        "site",
        ((18.0345, 59.3975), (18.0385, 59.3975), (18.0385, 59.3996), (18.0345, 59.3996), (18.0345, 59.3975)),
    ),
    "respond_by": 35,
    "decision_at": 150,
    "open_questions": ["Var leveranser tas emot", "Hur entréerna placeras"],
    "already_decided": ["Torget bebyggs inte"],
    "official": _official("Anna", "planarkitekt"),
    "decision_body": "Byggnadsnämnden",
}
_GATUARBETE: Final[Mapping[str, Any]] = {
    "title": "Stockholmsvägen byggs om",
    "title_en": "Stockholmsvägen is rebuilt",
    "summary": "Gatan grävs upp för nya ledningar och får bredare gångbana. Ett körfält är öppet hela tiden.",
    "summary_en": "The street is dug up for new pipes and gets a wider pavement. One lane stays open throughout.",
    "case_type": "gatuarbete",
    "stage": "projektering",
    "geometries": [
        {"role": "road", "geometry": {"type": "LineString", "coordinates": [list(point) for point in STOCKHOLMSVAGEN]}}
    ],
    "respond_by": 25,
    "question": "Vilka tider tar ni emot leveranser, och kan kunderna nå er från en annan gata?",
    "question_en": "When do you take deliveries, and can customers reach you from another street?",
    "open_questions": ["Vilken etapp som görs först", "Var lastzonen ligger under bygget"],
    "already_decided": ["Ledningarna byts under 2026"],
    "official": _official("Bo", "projektledare"),
    "decision_body": "Tekniska nämnden",
}
_UPPHANDLING: Final[Mapping[str, Any]] = {
    "title": "Upphandling av måltider till skolor och äldreboenden",
    "title_en": "Procurement of meals for schools and care homes",
    "summary": "Ett nytt avtal om måltider planeras. Hur kan det delas så att små företag kan vara med?",
    "summary_en": "A new contract for meals is being planned. How can it be split so that small firms can take part?",
    "case_type": "upphandling",
    "stage": "behov",
    "area": "municipality",
    "industries": _sni("56"),
    "respond_by": 30,
    "official": _official("Cecilia", "upphandlare"),
}
_TAXA: Final[Mapping[str, Any]] = {
    "title": "Ny taxa för uteserveringar",
    "title_en": "New charge for outdoor seating",
    "summary": "Avgiften per kvadratmeter föreslås skilja mellan torg och gata. Djursholms torg blir först ut.",
    "summary_en": "The charge per square metre would differ between squares and streets. Djursholms torg comes first.",
    "case_type": "taxa",
    "stage": "forslag",
    "area": "municipality",
    "industries": _sni("56"),
    "respond_by": 30,
    "decision_at": 60,
    "official": _official("David", "markförvaltare"),
    "decision_body": "Kommunfullmäktige",
}
_TILLSYN: Final[Mapping[str, Any]] = {
    "title": "Ny riskklassning av livsmedelsföretag",
    "title_en": "New risk classes for food businesses",
    "summary": "Alla som hanterar livsmedel får ny riskklass vid årsskiftet. Den styr hur ofta vi kontrollerar er.",
    "summary_en": "All who handle food get a new risk class at the turn of the year. It sets how often we inspect.",
    "case_type": "tillsyn",
    "stage": "kampanj",
    "area": "municipality",
    "industries": _sni("10", "471", "472", "56"),
    "official": _official("Eva", "livsmedelsinspektör"),
}
MENDED: Final = [[[18.034, 59.397], [18.039, 59.397], [18.039, 59.4], [18.034, 59.4], [18.034, 59.397]]]
"""The broken case's polygon as it was meant."""
_BROKEN: Final[Mapping[str, Any]] = {
    "title": "Ogiltig polygon (trasigt med flit)",
    "title_en": "Invalid polygon (broken on purpose)",
    "summary": "Områdets kant korsar sig själv, så ingen kan säga vad som ligger inuti.",
    "summary_en": "The area's edge crosses itself, so that nobody can say what lies inside.",
    "case_type": "detaljplan",
    "stage": "samrad",
    "geometries": _area(
        "site",
        ((18.034, 59.397), (18.039, 59.400), (18.039, 59.397), (18.034, 59.400), (18.034, 59.397)),
    ),
    "official": _official("Anna", "planarkitekt"),
}


def _evenemang(day: date) -> dict[str, Any]:
    """A race on the first Saturday after `day`: short notice, so that an SMS goes too."""
    saturday = day + timedelta(days=(5 - day.weekday()) % 7 or 7)
    return {
        "title": "Exempelloppet stänger gator i Djursholm",
        "title_en": "The Exempel race closes streets in Djursholm",
        "summary": "Vendevägen och Djursholms torg är avstängda för biltrafik lördag kl. 9 till 14.",
        "summary_en": "Vendevägen and Djursholms torg are closed to cars on Saturday, 9 to 14.",
        "case_type": "evenemang",
        "stage": "trafik",
        "geometries": _area(
            "site",
            ((18.0830, 59.3980), (18.0870, 59.3980), (18.0870, 59.4000), (18.0830, 59.4000), (18.0830, 59.3980)),
        ),
        "event_at": datetime.combine(saturday, time(9), ZONE).isoformat(),
        "urgent": True,
        "urgent_reason": "Gatorna stängs inom en vecka",
        "official": _official("Fatima", "evenemangsansvarig"),
    }
