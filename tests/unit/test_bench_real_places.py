"""`nardialog match` against another engine on real places, and that the comparison sees where they would not agree."""

import csv
import json
import random
from pathlib import Path
from typing import Any

from bench import paris_places, place_files
from bench.real_places import DERIVED, Answer, agrees, compare, run

CENTRE = (2.35, 48.86)
HELSINKI = Path(__file__).parents[1] / "helsinki"


def files(folder: Path, shops: int = 60, works: int = 12) -> tuple[Path, Path]:
    """Shops and building sites within a few blocks; one site is empty, one crosses itself."""
    rng = random.Random(5)
    places, sites = folder / "shops.csv", folder / "works.csv"
    trades = [*paris_places.TRADES, "Autre"]
    points = [{"type": "Point", "coordinates": _near(rng, 0.004)} for _ in range(shops)]
    rows = [[rng.choice(trades), json.dumps(point)] for point in points]
    _write(places, ["Type de commerce", "geo_shape"], rows)
    shapes: list[Any] = [_square(rng) for _ in range(works)]
    shapes[3]["coordinates"][0][1:3] = reversed(shapes[3]["coordinates"][0][1:3])
    _write(sites, ["geo_shape"], [*([json.dumps(shape)] for shape in shapes), [""]])
    return places, sites


def _near(rng: random.Random, spread: float) -> list[float]:
    return [CENTRE[0] + rng.uniform(-spread, spread), CENTRE[1] + rng.uniform(-spread, spread)]


def _square(rng: random.Random) -> dict[str, Any]:
    lon, lat = _near(rng, 0.003)
    side = rng.uniform(0.0001, 0.001)
    ring = [[lon, lat], [lon + side, lat], [lon + side, lat + side], [lon, lat + side], [lon, lat]]
    return {"type": "Polygon", "coordinates": [ring]}


def _write(path: Path, names: list[str], rows: list[list[str]]) -> None:
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        csv.writer(file, delimiter=";").writerows([names, *rows])


def test_match_agrees_with_geopandas_on_real_workplaces_and_real_areas_and_streets() -> None:
    """A sample of OpenStreetMap's Helsinki, see its README; one of the areas crosses itself."""
    places = place_files.read(HELSINKI / "register.csv", HELSINKI / "cases.jsonl")
    told = run(places)
    assert told["agrees"], told
    assert (told["workplaces"], told["cases"]) == DERIVED
    assert (told["pairs"], told["refused"]) == (849, 1)


def test_match_agrees_with_geopandas_on_places_in_the_shape_of_a_citys_open_data(tmp_path: Path) -> None:
    told = run(paris_places.read(*files(tmp_path)))
    assert told["agrees"], told
    assert told["pairs"] > 50
    assert (told["cases"], told["refused"]) == (12, 1), "the empty site is no case; the one that crosses is refused"


def test_a_sample_is_drawn_by_its_seed_and_read_as_it_was_written(tmp_path: Path) -> None:
    whole = paris_places.read(*files(tmp_path))
    sample = whole.sample(20, 5, seed=3)
    assert sample == whole.sample(20, 5, seed=3) != whole.sample(20, 5, seed=4)
    place_files.write(sample, tmp_path / "register.csv", tmp_path / "cases.jsonl")
    assert place_files.read(tmp_path / "register.csv", tmp_path / "cases.jsonl") == sample


def test_what_only_one_of_them_says_is_no_agreement() -> None:
    both = Answer({("C1", "P1"): 10.0}, frozenset(), 1.0)
    assert agrees(compare(both, both))
    more = Answer({("C1", "P1"): 10.0, ("C1", "P2"): 20.0}, frozenset(), 1.0)
    apart = Answer({("C1", "P1"): 10.02}, frozenset(), 1.0)
    refusing = Answer({("C1", "P1"): 10.0}, frozenset({"C2"}), 1.0)
    nothing = Answer({}, frozenset(), 1.0)
    for other in (more, apart, refusing):
        assert not agrees(compare(both, other))
        assert not agrees(compare(other, both))
    assert not agrees(compare(nothing, nothing)), "to agree on nothing says nothing"
