"""Real shops and building sites on streets, of Paris.

The recipe. Both files are open data of the City of Paris (Ville de Paris, opendata.paris.fr) under the Open Database
License 1.0, exported as CSV with semicolons. They are not in this repository:

    chantiers-a-paris                                      building sites on streets, some thousands of polygons
    coronavirus-commercants-parisiens-livraison-a-domicile shops with their trade and place, some thousands of points

Paris is far from the middle meridian of EPSG:3006, so its metres are stretched there; both sides measure the same.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pandas

from bench.place_files import Case, Places, Workplace

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


def read(shops: Path, works: Path) -> Places:
    """Both files as they were exported. What has no place is left out."""
    places = []
    for i, (trade, shape) in enumerate(_rows(shops, "Type de commerce", "geo_shape")):
        lon, lat = json.loads(shape)["coordinates"]
        places.append(Workplace(f"P{i}", lon, lat, TRADES.get(trade, "")))
    return Places(places, [Case(f"C{i}", "road", shape) for i, (shape,) in enumerate(_rows(works, "geo_shape"))])


def _rows(path: Path, *columns: str) -> list[tuple[str, ...]]:
    table = pandas.read_csv(path, sep=";", dtype=str, keep_default_na=False, encoding="utf-8-sig")
    table = table[table["geo_shape"] != ""]
    return list(table[list(columns)].itertuples(index=False, name=None))
