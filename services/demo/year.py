"""A year of cases in a made-up Danderyd, and a dialogue model that somebody wants to try: the same at every run.

What `nardialog model backtest` needs to be tried without data of one's own. The cases walk through the stages of their
types as real ones do, so that one business meets several of them and its quarter fills. Everything is marked as
synthetic (`synthetic.py`).
"""

import json
import math
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from services.demo import synthetic
from services.demo.synthetic import Point

YEAR: Final = 2025
SEED: Final = 20250101


@dataclass(frozen=True)
class Kind:
    """A kind of case: how many a year, which stages after how many days, where, which industries it names."""

    case_type: str
    count: int
    stages: tuple[tuple[str, int], ...]
    title: str
    title_en: str
    place: str
    """`line` (a street), `site` (a plot), `point`, or `municipality`."""
    metres: float = 0
    codes: tuple[str, ...] = ()


KINDS: Final = (
    Kind("gatuarbete", 18, (("projektering", 0), ("ta_plan", 55), ("byggstart", 40), ("avslut", 60)),
         "Exempel: gatan grävs upp vid {place}", "Example: street works at {place}", "line", 350),
    Kind("detaljplan", 8, (("planbesked", 0), ("start", 60), ("samrad", 90), ("granskning", 110)),
         "Exempel: ny detaljplan vid {place}", "Example: new development plan at {place}", "site", 120),
    Kind("bygglov", 8, (("grannhorande", 0), ("beslut", 45), ("byggskede", 60)),
         "Exempel: bygglov vid {place}", "Example: building permit at {place}", "site", 40),
    Kind("evenemang", 6, (("planering", 0), ("trafik", 45), ("utvardering", 25)),
         "Exempel: evenemang vid {place}", "Example: event at {place}", "site", 90),
    Kind("offentlig_plats", 6, (("ansokan", 0), ("beslut", 25)),
         "Exempel: uteservering vid {place}", "Example: outdoor seating at {place}", "point"),
    Kind("va_arbete", 5, (("planering", 0), ("forvarning", 70), ("avslut", 50)),
         "Exempel: vattenledningen byts vid {place}", "Example: the water main is replaced at {place}", "line", 250),
    Kind("lokal_trafikforeskrift", 4, (("forslag", 0), ("remiss", 50), ("ikraft", 60)),
         "Exempel: ny lastzon vid {place}", "Example: new loading zone at {place}", "line", 120),
    Kind("serveringstillstand", 3, (("ansokan", 0), ("beslut", 60)),
         "Exempel: serveringstillstånd vid {place}", "Example: alcohol licence at {place}", "point"),
    Kind("upphandling", 3, (("behov", 0), ("marknadsdialog", 60), ("annons", 60)),
         "Exempel: upphandling {number}", "Example: procurement {number}", "municipality", codes=("56", "81", "43")),
    Kind("taxa", 2, (("utredning", 0), ("forslag", 60), ("beslut", 70)),
         "Exempel: ny taxa {number}", "Example: new charge {number}", "municipality", codes=("56", "96")),
    Kind("tillsyn", 2, (("kampanj", 0), ("resultat", 120)),
         "Exempel: tillsynskampanj {number}", "Example: inspection campaign {number}", "municipality",
         codes=("56", "47")),
    Kind("markanvisning", 2, (("marknadsdialog", 0), ("utlysning", 80)),
         "Exempel: mark anvisas vid {place}", "Example: land is allocated at {place}", "site", 150),
    Kind("policy_strategi", 2, (("uppdrag", 0), ("utkast", 80), ("remiss", 60)),
         "Exempel: näringslivsstrategi {number}", "Example: business strategy {number}", "municipality",
         codes=("47", "56", "55")),
    Kind("avfall", 1, (("behov", 0), ("forslag", 90)),
         "Exempel: ny avfallsplan", "Example: new waste plan", "municipality"),
    Kind("lokala_foreskrifter", 1, (("utredning", 0), ("forslag", 80)),
         "Exempel: nya lokala föreskrifter", "Example: new local rules", "municipality", codes=("56", "47")),
    Kind("oversiktsplan", 1, (("planeringsstrategi", 0), ("samrad", 150)),
         "Exempel: ny översiktsplan", "Example: new comprehensive plan", "municipality"),
)  # fmt: skip


def cases(seed: int = SEED) -> list[dict[str, Any]]:
    """The year's events, in order of their day: each a case's full state when a stage opens."""
    draw = random.Random(seed)  # noqa: S311 - repeatable on purpose
    found: list[dict[str, Any]] = []
    number = 0
    for kind in KINDS:
        for _ in range(kind.count):
            number += 1
            found += _events(kind, number, draw)
    return sorted(found, key=lambda case: (case["stage_opened"], case["case_id"], case["version"]))


def _events(kind: Kind, number: int, draw: random.Random) -> Iterator[dict[str, Any]]:
    centre = draw.choice(synthetic.CENTRES)
    place = _place(kind, centre, draw)
    # Cases began before the year does: the first stage of some of them lies in the year before.
    day = date(YEAR, 1, 1) + timedelta(days=draw.randrange(-150, 330))
    for version, (stage, after) in enumerate(kind.stages, 1):
        day = day + timedelta(days=round(after * draw.uniform(0.8, 1.3)))
        if day.year == YEAR:
            yield {
                "municipality": synthetic.MUNICIPALITY,
                "synthetic": True,
                "source": synthetic.SOURCE,
                "case_id": f"AR-{number:03}",
                "version": version,
                "diary_number": f"EX {YEAR}/{2000 + number}",
                "unit": "Danderyds kommun (demo)",
                "title": kind.title.format(place=centre.name, number=number),
                "title_en": kind.title_en.format(place=centre.name, number=number),
                "case_type": kind.case_type,
                "stage": stage,
                "stage_opened": day.isoformat(),
                "official": {"name": "Anna Exempel", "title": "handläggare", "phone": "08-465 004 00"},
                **place,
            }


def _place(kind: Kind, centre: synthetic.Centre, draw: random.Random) -> dict[str, Any]:
    codes = [{"code": code, "version": "2025"} for code in kind.codes]
    if kind.place == "municipality":
        return {"area": "municipality", **({"industries": [draw.choice(codes)]} if codes else {})}
    geometry, role = _geometry(kind, centre, draw)
    return {"geometries": [{"role": role, "geometry": geometry}]}


def _geometry(kind: Kind, centre: synthetic.Centre, draw: random.Random) -> tuple[dict[str, Any], str]:
    """Somewhere about a centre, wholly within the municipality."""
    for _ in range(200):
        middle = synthetic.moved(
            (centre.lon, centre.lat), draw.gauss(0, centre.spread_m * 0.7), draw.gauss(0, centre.spread_m * 0.7)
        )
        points = _points(kind, middle, draw.uniform(0, math.pi), kind.metres * draw.uniform(0.6, 1.4))
        if all(synthetic.inside(*point) for point in points):
            rounded = [[round(lon, 6), round(lat, 6)] for lon, lat in points]
            if kind.place == "point":
                return {"type": "Point", "coordinates": rounded[0]}, "site"
            if kind.place == "line":
                return {"type": "LineString", "coordinates": rounded}, "road"
            return {"type": "Polygon", "coordinates": [[*rounded, rounded[0]]]}, "site"
    raise ValueError(f"no place near {centre.name} lies within the municipality")


def _points(kind: Kind, middle: Point, turn: float, metres: float) -> Sequence[Point]:
    half = metres / 2
    corners = {
        "point": ((0.0, 0.0),),
        "line": ((-half, 0.0), (0.0, half / 6), (half, 0.0)),
        "site": ((-half, -half), (half, -half), (half, half), (-half, half)),
    }[kind.place]
    return [
        synthetic.moved(
            middle, x * math.cos(turn) - y * math.sin(turn), x * math.sin(turn) + y * math.cos(turn)
        )
        for x, y in corners
    ]  # fmt: skip


def tried(model: Mapping[str, Any]) -> dict[str, Any]:
    """The model that somebody wants to try: wider along streets that are dug up, narrower around plans, and a group of
    businesses that depend on deliveries without the many that only sit in an office of a building firm.
    """
    changed: dict[str, Any] = json.loads(json.dumps(model))
    changed["model_version"] = f"{model['model_version']}-tried"
    for case_type in changed["case_types"]:
        for stage in case_type["stages"]:
            for ring in stage["rings"]:
                metres = _TRIED.get((case_type["id"], ring["id"]))
                ring.update({"buffer_m": metres} if metres is not None else {})
    deliveries = changed["industry_groups"]["leveransberoende"]
    deliveries["codes"] = [code for code in deliveries["codes"] if code != "F"]
    return changed


_TRIED: Final[Mapping[tuple[str, str], float]] = {
    ("gatuarbete", "near"): 250,
    ("detaljplan", "near"): 200,
    ("bygglov", "direct"): 50,
    ("evenemang", "near"): 250,
}
"""Case type and ring → metres."""


def write(folder: Path) -> list[Path]:
    """Writes the register, a case file for each month, the model that comes with the product and the tried one."""
    today = files("schemas").joinpath("data/dialogue-model.json").read_text(encoding="utf-8")
    texts = {"register.csv": synthetic.register_csv(), "model.json": today}
    texts["model-tried.json"] = json.dumps(tried(json.loads(today)), ensure_ascii=False, indent=1) + "\n"
    for case in cases():
        name = f"cases/{case['stage_opened'][:7]}.jsonl"
        texts[name] = texts.get(name, "") + json.dumps(case, ensure_ascii=False) + "\n"
    (folder / "cases").mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    return [folder / name for name in texts]
