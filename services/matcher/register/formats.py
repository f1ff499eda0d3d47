"""Register files in: which format a file is, what our own columns are called, which mappings come with the product."""

from importlib.resources import files
from pathlib import Path
from typing import Final

from services.matcher.register.source import Row, Source, Stated, Unreadable
from services.runtime.mapping import FieldMapping, MappingError, nearest, parse

__all__ = ["COLUMNS", "REQUIRED", "Row", "Unreadable", "mapping_of", "open_source", "shipped"]

COLUMNS: Final = (
    "workplace_id", "organisation", "name", "lon", "lat", "sni", "sni_version", "status", "municipality", "employees",
    "legal_form", "street", "postcode", "town", "advertising_block", "email", "phone", "language", "contact_source",
    "contact_role",
)  # fmt: skip
REQUIRED: Final = ("workplace_id", "organisation", "sni", "sni_version")
DELIMITED: Final = frozenset({".csv", ".tsv", ".txt", ".tab", ".skv"})
VECTOR: Final = frozenset({".gpkg", ".shp", ".geojson"})
PARQUET: Final = frozenset({".parquet", ".geoparquet"})
RECORDS: Final = frozenset({".json", ".jsonl", ".ndjson"})
UNPACK: Final = frozenset({".zip", ".gz", ".7z", ".xz", ".bz2"})
SHEETS: Final = frozenset({".xlsx", ".xls", ".ods"})
BEGINNINGS: Final = (
    (b"PK\x03\x04", "a spreadsheet or packed"), (b"\xd0\xcf\x11\xe0", "a spreadsheet"), (b"\x1f\x8b", "packed"),
    (b"BZh", "packed"), (b"7z\xbc\xaf", "packed"), (b"%PDF", "a PDF"), (b"PAR1", "Parquet"),
    (b"SQLite format 3", "a GeoPackage or another database"),
)  # fmt: skip
"""How files begin that are no text, whatever their names say."""


def open_source(path: Path, stated: Stated) -> Source:
    """Opens a register file by its suffix. Raises `Unreadable` where it cannot be read as a whole."""
    suffix = path.suffix.lower()
    try:
        if not path.is_file():
            raise Unreadable(f"{path.name}: is no file; check the path")
        if suffix in DELIMITED | RECORDS:
            _is_text(path)
        if suffix in DELIMITED:
            from services.matcher.register.delimited import open_delimited

            return open_delimited(path, stated)
        if suffix in RECORDS or suffix in VECTOR:
            return _open_geo_or_json(path, stated)
        if suffix in PARQUET:
            from services.matcher.register.tables import open_parquet

            return open_parquet(path, stated)
    except OSError as error:
        raise Unreadable(f"{path.name}: {error.strerror or 'cannot be read'}; check the path") from None
    raise Unreadable(f"{path.name}: {_advice(suffix)}")


def _is_text(path: Path) -> None:
    with path.open("rb") as file:
        head = file.read(16)
    for beginning, what in BEGINNINGS:
        if head.startswith(beginning):
            raise Unreadable(
                f"{path.name}: is {what}, not text as its name says: save it as CSV UTF-8, or name it by what it is"
            )


def _open_geo_or_json(path: Path, stated: Stated) -> Source:
    from services.matcher.register import json_records

    if path.suffix.lower() in RECORDS and not json_records.is_geojson(path):
        return json_records.open_records(path, stated.encoding)
    from services.matcher.register.tables import open_vector

    return open_vector(path, stated)


def _advice(suffix: str) -> str:
    if suffix in UNPACK:
        return "is packed; unpack it first"
    if suffix in SHEETS:
        return "is a spreadsheet; save it as CSV UTF-8 and import that"
    return (
        f"{suffix or 'no suffix'} is no format that is read; use CSV, GeoPackage (.gpkg), Shapefile (.shp), GeoJSON, "
        "GeoParquet (.parquet) or JSON records"
    )


def shipped() -> dict[str, str]:
    """The mappings that come with the product: name to text."""
    folder = files("services.matcher.register").joinpath("mappings")
    return {
        item.name.removesuffix(".toml"): item.read_text(encoding="utf-8")
        for item in sorted(folder.iterdir(), key=lambda item: item.name)
        if item.name.endswith(".toml")
    }


def mapping_of(given: str) -> FieldMapping:
    """A mapping by the name of a shipped one or by its path. Raises `Unreadable` where it cannot be used."""
    try:
        return parse(_mapping_text(given), COLUMNS, _shipped)
    except MappingError as error:
        raise Unreadable(f"{Path(given).name}: {error}") from None


def _mapping_text(given: str) -> str:
    path = Path(given)
    try:
        return path.read_text(encoding="utf-8-sig") if path.is_file() else _shipped(given)
    except UnicodeDecodeError:
        raise MappingError("is not UTF-8; save it as UTF-8") from None
    except OSError as error:
        raise MappingError(error.strerror or "cannot be read") from None


def _shipped(name: str) -> str:
    known = shipped()
    if name not in known:
        raise MappingError(f"is no file, and no mapping {name} comes with the product; {nearest(name, known)}")
    return known[name]
