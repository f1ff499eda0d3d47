"""`python -m bench.real_places osm|paris`: real workplaces and real areas and streets, against another engine.

`nardialog match` is run as a user runs it, as a process on files. The oracle shares nothing with it but the two files
and the dialogue model's JSON: geopandas projects them to SWEREF 99 TM (EPSG:3006) and joins by `dwithin`; industries
are compared as beginnings of text. Every pair of case and workplace must be in both, with distances within one
centimetre, and what `match` refuses must be exactly what GEOS calls invalid.

Where the places come from, and under which licence, stands in `osm_places` and `paris_places`. `osm --derive FOLDER`
writes the small sample that the tests keep. The times are of unlike work: `match` also starts, checks every row and
case, and plans and writes every round.
"""

import argparse
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
import shapely

from bench import figures, osm_places, paris_places, place_files
from bench.place_files import STAGE, Places
from schemas import model as dialogue_model

QUICK: Final = 300
"""Cases in a quick run."""
CENTIMETRE: Final = 0.01
STEP_DEGREES: Final = 0.0001
"""Lines are straight in degrees (RFC 7946 §3.1.1) and bent in the grid, so far east or west of it by centimetres."""
DERIVED: Final = (250, 60)
"""Workplaces and cases of the sample that the tests keep."""

Pairs: TypeAlias = dict[tuple[str, str], float]
"""Case id and workplace id, and the least distance in metres."""


@dataclass(frozen=True)
class Answer:
    """Who is affected by what, which cases were refused, and how long it took."""

    pairs: Pairs
    refused: frozenset[str]
    seconds: float


def match(places: Places, folder: Path) -> Answer:
    """What `nardialog match` says."""
    register, cases = folder / "register.csv", folder / "cases.jsonl"
    place_files.write(places, register, cases)
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
    told = map(json.loads, checked.stdout.splitlines())
    return frozenset(places.cases[one["line"] - 1].case_id for one in told if one["errors"])


def oracle(places: Places) -> Answer:
    """The same question, answered by geopandas."""
    began = time.monotonic()
    there = places.workplaces
    shops = geopandas.GeoDataFrame(
        {
            "workplace": [place.workplace_id for place in there],
            "code": [place.code.replace(".", "") for place in there],
        },
        geometry=shapely.points([[place.lon, place.lat] for place in there]),
        crs="EPSG:4326",
    ).to_crs("EPSG:3006")
    works = geopandas.GeoDataFrame(
        {"case": [case.case_id for case in places.cases]},
        geometry=shapely.from_geojson([case.geometry for case in places.cases]),
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


def run(places: Places) -> dict[str, Any]:
    """Both answers, side by side."""
    with tempfile.TemporaryDirectory() as folder:
        ours = match(places, Path(folder))
    theirs = oracle(places)
    told = compare(ours, theirs)
    return {
        "workplaces": len(places.workplaces),
        "cases": len(places.cases),
        **told,
        "agrees": agrees(told),
        "match_s": round(ours.seconds, 2),
        "oracle_s": round(theirs.seconds, 2),
        "ratios": {"match_to_geopandas_seconds": figures.ratio(ours.seconds, theirs.seconds)},
    }


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.real_places", description=main.__doc__)
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--quick", action="store_true", help=f"the first {QUICK} cases")
    common.add_argument("--json", action="store_true", help="one object on standard output")
    sources = parser.add_subparsers(dest="source", required=True)
    osm = sources.add_parser("osm", parents=[common], help=f"Helsinki, from the package {osm_places.PACKAGE}")
    osm.add_argument("--derive", type=Path, metavar="FOLDER", help="writes the tests' sample there instead")
    osm.add_argument("--seed", type=int, default=1, help="of the sample")
    paris = sources.add_parser("paris", parents=[common], help="Paris, from two files of its open data")
    paris.add_argument("--workplaces", type=Path, required=True, help="the shops' CSV, see paris_places")
    paris.add_argument("--works", type=Path, required=True, help="the building sites' CSV")
    return parser.parse_args()


def main() -> int:
    """Real workplaces and real areas and streets: `nardialog match` against geopandas."""
    given = _arguments()
    if given.source == "osm":
        places = osm_places.read(osm_places.extract())
    else:
        places = paris_places.read(given.workplaces, given.works)
    if given.source == "osm" and given.derive:
        sample = places.sample(*DERIVED, given.seed)
        place_files.write(sample, given.derive / "register.csv", given.derive / "cases.jsonl")
        return 0
    machine = figures.machine()
    told = run(Places(places.workplaces, places.cases[:QUICK]) if given.quick else places)
    told = {"bench": f"real_places {given.source}", "quick": given.quick, "machine": machine, **told}
    print(json.dumps(told) if given.json else "\n".join(f"{name}: {value}" for name, value in told.items()))
    return 0 if told["agrees"] else 1


if __name__ == "__main__":
    sys.exit(main())
