"""Workplaces and cases as a bench has them, and as the files that `nardialog match` reads."""

import csv
import json
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

MUNICIPALITY: Final = "0162"
DAY: Final = "2026-03-02"
STAGE: Final = ("gatuarbete", "projektering")
_COLUMNS: Final = ("workplace_id", "organisation", "name", "lon", "lat", "sni", "sni_version", "municipality")


@dataclass(frozen=True, slots=True)
class Workplace:
    """A place of work: degrees in WGS 84, and a code of SNI 2025 or an empty one."""

    workplace_id: str
    lon: float
    lat: float
    code: str


@dataclass(frozen=True, slots=True)
class Case:
    """A case on one geometry, as its GeoJSON text: it may be wrong, and is then to be refused."""

    case_id: str
    role: str
    geometry: str


@dataclass(frozen=True, slots=True)
class Places:
    """Who could be affected by what."""

    workplaces: list[Workplace]
    cases: list[Case]

    def sample(self, workplaces: int, cases: int, seed: int) -> "Places":
        """So many of each, drawn by the seed, in their order."""
        rng = random.Random(seed)
        return Places(_drawn(rng, self.workplaces, workplaces), _drawn(rng, self.cases, cases))


def write(places: Places, register: Path, cases: Path) -> None:
    """Both files."""
    with register.open("w", encoding="utf-8", newline="") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(_COLUMNS)
        for place in places.workplaces:
            at = (repr(place.lon), repr(place.lat))
            out.writerow(
                [place.workplace_id, f"company-{place.workplace_id}", "", *at, place.code, "2025", MUNICIPALITY]
            )
    with cases.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(_event(case)) + "\n" for case in places.cases)


def read(register: Path, cases: Path) -> Places:
    """What `write` wrote."""
    with register.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    events = [json.loads(line) for line in cases.read_text("utf-8").splitlines()]
    return Places(
        [Workplace(row["workplace_id"], float(row["lon"]), float(row["lat"]), row["sni"]) for row in rows],
        [
            Case(event["case_id"], place["role"], json.dumps(place["geometry"]))
            for event in events
            for place in event["geometries"]
        ],
    )


def _event(case: Case) -> dict[str, Any]:
    case_type, stage = STAGE
    return {
        "case_id": case.case_id, "source": "opendata", "version": 1, "municipality": MUNICIPALITY,
        "title": "Road works", "case_type": case_type, "stage": stage, "stage_opened": DAY,
        "geometries": [{"role": case.role, "geometry": json.loads(case.geometry)}],
    }  # fmt: skip


def _drawn(rng: random.Random, items: list[Any], count: int) -> list[Any]:
    kept = sorted(rng.sample(range(len(items)), min(count, len(items))))
    return [items[place] for place in kept]
