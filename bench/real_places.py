"""`python -m bench.real_places --workplaces CSV --works CSV`: real shops and real road works, against another engine.

`nardialog match` is run as a user runs it, as a process on files. The oracle shares nothing with it but the two files
and the dialogue model's JSON: geopandas reads them, projects to SWEREF 99 TM (EPSG:3006) and joins by `dwithin`;
industries are compared as beginnings of text. Every pair of case and workplace must be in both, with distances within
one centimetre, and what `match` refuses must be exactly what GEOS calls invalid, or what has no place.

The recipe. Both files are open data of the City of Paris (Ville de Paris, opendata.paris.fr) under the Open Database
License 1.0, exported as CSV with semicolons. They are not in this repository:

    chantiers-a-paris                                      building sites on streets, some thousands of polygons
    coronavirus-commercants-parisiens-livraison-a-domicile shops with their trade and place, some thousands of points

Paris is far from the middle meridian of EPSG:3006, so its metres are stretched there; both sides measure the same. The
times are of unlike work: `match` also starts, checks every row and case, and plans and writes every round.
"""

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

import geopandas
import pandas
import shapely

from bench import figures
from schemas import model as dialogue_model

MUNICIPALITY: Final = "0162"
DAY: Final = "2026-03-02"
QUICK: Final = 300
"""Cases in a quick run."""
CENTIMETRE: Final = 0.01
STEP_DEGREES: Final = 0.0001
"""Lines are straight in degrees (RFC 7946 §3.1.1) and bent in the grid, so far east or west of it by centimetres."""
STAGE: Final = ("gatuarbete", "projektering")
TRADES: Final[Mapping[str, str]] = {
    "Alimentation générale et produits de première nécessité": "47.112",
    "Articles médicaux et orthopédiques": "47.741",
    "Blanchisserie-teinturerie": "96.102",
    "Boucherie - charcuterie - rôtisserie": "47.220",
    "Boulangerie - pâtisserie": "47.241",
    "Caviste - Brasserie": "47.250",
    "Chocolaterie - Pâtisserie": "47.242",
    "Fleuriste": "47.761",
    "Fromagerie": "47.271",
    "Librairie": "47.611",
    "Pharmacies et parapharmacies": "47.731",
    "Poissonnerie": "47.230",
    "Primeur": "47.210",
    "Restaurant ou traiteur": "56.110",
}
"""Some of the trades in the shops' file, as SNI 2025. The others have no code, and are found by distance alone."""

Pairs: TypeAlias = dict[tuple[str, str], float]
"""Case id and workplace id, and the least distance in metres."""


@dataclass(frozen=True)
class Answer:
    """Who is affected by what, which cases were refused, and how long it took."""

    pairs: Pairs
    refused: frozenset[str]
    seconds: float


@dataclass(frozen=True)
class Places:
    """The rows of both files that are used."""

    shops: pandas.DataFrame
    works: pandas.DataFrame


def read(workplaces: Path, works: Path, cases: int | None = None) -> Places:
    """Both files as they were exported."""
    shops = pandas.read_csv(workplaces, sep=";", dtype=str, keep_default_na=False, encoding="utf-8-sig")
    rows = pandas.read_csv(works, sep=";", dtype=str, keep_default_na=False, encoding="utf-8-sig")
    rows = rows[rows["geo_shape"] != ""].reset_index(drop=True)
    return Places(shops[shops["geo_shape"] != ""].reset_index(drop=True), rows.head(cases) if cases else rows)


def match(places: Places, folder: Path) -> Answer:
    """What `nardialog match` says."""
    register, cases = folder / "register.csv", folder / "cases.jsonl"
    _write_register(register, places.shops)
    _write_cases(cases, places.works)
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "services.cli", "match", "--register", register, "--cases", cases, "--no-holds"],
        capture_output=True, text=True, encoding="utf-8", check=False,
        env={**os.environ, "NARDIALOG_MATCHER__ALLOW_OUTSIDE_SWEDEN": "true"},
    )  # fmt: skip
    seconds = time.monotonic() - began
    if done.returncode not in (0, 6):
        raise SystemExit(f"nardialog match ended with {done.returncode}: {done.stderr[-2000:]}")
    pairs: Pairs = {}
    for line in map(json.loads, done.stdout.splitlines()):
        for place in line["workplaces"]:
            pairs[line["case_id"], place["workplace_id"]] = place["distance_m"]
    return Answer(pairs, _refused(cases, places, folder), seconds)


def _refused(cases: Path, places: Places, folder: Path) -> frozenset[str]:
    """Which cases the door refuses, by the command that says so for each of them."""
    checked = subprocess.run(
        [sys.executable, "-m", "services.cli", "case", "validate", cases, "--json"],
        capture_output=True, text=True, encoding="utf-8", check=False, cwd=folder,
        env={**os.environ, "NARDIALOG_MATCHER__ALLOW_OUTSIDE_SWEDEN": "true"},
    )  # fmt: skip
    ids = [_case_id(i) for i in range(len(places.works))]
    told = map(json.loads, checked.stdout.splitlines())
    return frozenset(ids[one["line"] - 1] for one in told if one["errors"])


def _write_register(path: Path, shops: pandas.DataFrame) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        out = csv.writer(file)
        out.writerow(["workplace_id", "organisation", "name", "lon", "lat", "sni", "sni_version", "municipality"])
        for i, shop in shops.iterrows():
            lon, lat = json.loads(shop["geo_shape"])["coordinates"]
            code = TRADES.get(shop["Type de commerce"], "")
            out.writerow([f"P{i}", f"company-{i}", "", repr(lon), repr(lat), code, "2025", MUNICIPALITY])


def _write_cases(path: Path, works: pandas.DataFrame) -> None:
    with path.open("w", encoding="utf-8") as file:
        for i, work in enumerate(works["geo_shape"]):
            case_type, stage = STAGE
            content = {
                "case_id": _case_id(i), "source": "opendata", "version": 1, "municipality": MUNICIPALITY,
                "title": "Road works", "case_type": case_type, "stage": stage, "stage_opened": DAY,
                "geometries": [{"role": "road", "geometry": json.loads(work)}],
            }  # fmt: skip
            file.write(json.dumps(content) + "\n")


def _case_id(row: int) -> str:
    return f"C{row}"


def oracle(places: Places) -> Answer:
    """The same question, answered by geopandas."""
    began = time.monotonic()
    shops = geopandas.GeoDataFrame(
        {
            "workplace": [f"P{i}" for i in range(len(places.shops))],
            "code": [TRADES.get(trade, "").replace(".", "") for trade in places.shops["Type de commerce"]],
        },
        geometry=shapely.from_geojson(places.shops["geo_shape"].to_numpy()),
        crs="EPSG:4326",
    ).to_crs("EPSG:3006")
    works = geopandas.GeoDataFrame(
        {"case": [_case_id(i) for i in range(len(places.works))]},
        geometry=shapely.from_geojson(places.works["geo_shape"].to_numpy()),
        crs="EPSG:4326",
    )
    invalid = frozenset(works["case"][~works.is_valid])
    works = works[works.is_valid]
    works = works.set_geometry(works.segmentize(STEP_DEGREES)).to_crs("EPSG:3006")
    pairs: Pairs = {}
    for metres, wanted, unwanted in _rings():
        near = shops if wanted is None else shops[[_lies_under(code, wanted, unwanted) for code in shops["code"]]]
        found = works.sjoin(near, predicate="dwithin", distance=metres)
        measured = found.distance(shops.geometry.loc[found["index_right"]], align=False)
        pairs |= dict(zip(zip(found["case"], found["workplace"], strict=True), measured, strict=True))
    return Answer(pairs, invalid, time.monotonic() - began)


def _rings() -> list[tuple[float, list[tuple[str, ...]] | None, list[tuple[str, ...]]]]:
    """Metres, the beginnings of the codes that are meant, group by group, and of those that are not."""
    model = dialogue_model.default()
    stage = model.stage(*STAGE)
    assert stage is not None
    rings: list[tuple[float, list[tuple[str, ...]] | None, list[tuple[str, ...]]]] = []
    for ring in stage.rings:
        if ring.geometry == "case" and ring.buffer_m is not None:
            groups = [] if isinstance(ring.industries, str) else [model.industry_groups[n] for n in ring.industries]
            wanted = [tuple(_divisions(group.codes)) for group in groups] or None
            rings.append((ring.buffer_m, wanted, [tuple(group.exclude) for group in groups]))
    return rings


def _divisions(codes: Sequence[str]) -> list[str]:
    """Sections as their divisions; these two are all that the stage's groups name."""
    sections = {"C": [f"{number:02}" for number in range(10, 34)], "F": ["41", "42", "43"]}
    return [digits for code in codes for digits in sections.get(code, [code])]


def _lies_under(code: str, wanted: list[tuple[str, ...]], unwanted: list[tuple[str, ...]]) -> bool:
    return any(
        code.startswith(meant) and not (out and code.startswith(out))
        for meant, out in zip(wanted, unwanted, strict=True)
    )


def compare(ours: Answer, theirs: Answer) -> dict[str, Any]:
    """What only one of them says, and the greatest difference of a distance."""
    both = ours.pairs.keys() & theirs.pairs.keys()
    return {
        "pairs": len(both),
        "only_ours": len(ours.pairs.keys() - theirs.pairs.keys()),
        "only_oracle": len(theirs.pairs.keys() - ours.pairs.keys()),
        "refused": len(ours.refused),
        "refused_by_one": len(ours.refused ^ theirs.refused),
        "greatest_difference_m": round(max((abs(ours.pairs[p] - theirs.pairs[p]) for p in both), default=0.0), 4),
    }


def agrees(told: Mapping[str, Any]) -> bool:
    """Whether both say the same of everything, and of something."""
    apart = ("only_ours", "only_oracle", "refused_by_one")
    return told["pairs"] > 0 and not any(told[name] for name in apart) and told["greatest_difference_m"] <= CENTIMETRE


def run(workplaces: Path, works: Path, cases: int | None = None) -> dict[str, Any]:
    """Both answers to both files, side by side."""
    places = read(workplaces, works, cases)
    with tempfile.TemporaryDirectory() as folder:
        ours = match(places, Path(folder))
    theirs = oracle(places)
    told = compare(ours, theirs)
    return {
        "workplaces": len(places.shops),
        "cases": len(places.works),
        **told,
        "agrees": agrees(told),
        "match_s": round(ours.seconds, 2),
        "oracle_s": round(theirs.seconds, 2),
        "ratios": {"match_to_geopandas_seconds": figures.ratio(ours.seconds, theirs.seconds)},
    }


def main() -> int:
    """Real shops and real road works: `nardialog match` against geopandas."""
    parser = argparse.ArgumentParser(prog="python -m bench.real_places", description=main.__doc__)
    parser.add_argument("--workplaces", type=Path, required=True, help="the shops' CSV, see this module's recipe")
    parser.add_argument("--works", type=Path, required=True, help="the building sites' CSV")
    parser.add_argument("--quick", action="store_true", help=f"the first {QUICK} cases")
    parser.add_argument("--json", action="store_true", help="one object on standard output")
    given = parser.parse_args()
    machine = figures.machine()
    told = run(given.workplaces, given.works, QUICK if given.quick else None)
    told = {"bench": "real_places", "quick": given.quick, "machine": machine, **told}
    print(json.dumps(told) if given.json else "\n".join(f"{name}: {value}" for name, value in told.items()))
    return 0 if told["agrees"] else 1


if __name__ == "__main__":
    sys.exit(main())
