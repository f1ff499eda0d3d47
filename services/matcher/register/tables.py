"""GeoPackage, Shapefile, GeoJSON (GDAL, through pyogrio) and GeoParquet (pyarrow) in, by batches of Arrow columns.

Needs the extra `register`. The geometry is the row's place and the file says in which system; what is no point is no
workplace's place. Text in a Shapefile is in the encoding that its `.cpg` or its header says, and where neither does
it must be UTF-8 or be stated: GDAL's own answer would be Latin-1, and nobody notices when that is wrong.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from services.matcher.register import encodings
from services.matcher.register.places import system
from services.matcher.register.source import Given, Source, Stated, Unreadable
from services.runtime.mapping import nearest, normal, text_of

BATCH: Final = 8192
CODE_PAGES: Final = {0x01: "cp437", 0x02: "cp850", 0x03: "windows-1252", 0x57: "windows-1252"}
"""What the header of a dBASE file calls its language driver (byte 29), as far as it is seen in Sweden."""
STATED_SYSTEM: Final = re.compile(rb'"crs"\s*:\s*(null|"[^"]*"|\d+|\{(?:[^{}]|\{[^{}]*\})*\})')
"""The member of GeoJSON before RFC 7946 that names a coordinate system."""
BROKEN: Final = (OSError, ValueError, KeyError, TypeError, IndexError)
"""What the libraries raise on a file whose bytes are damaged, besides errors of their own."""
POINTS: Final = frozenset({0, 4})
"""shapely's types Point and MultiPoint."""


def open_vector(path: Path, stated: Stated) -> Source:
    """A file that GDAL reads."""
    pyogrio = _needs(path, "pyogrio")
    _needs(path, "pyarrow")
    if path.suffix.lower() in (".geojson", ".json"):
        _utf_8(path)
        _understood(path)
    encoding = _dbf_encoding(path, stated.encoding) if path.suffix.lower() == ".shp" else None
    try:
        layer = _layer(path, pyogrio, stated)
        info = pyogrio.read_info(path, layer=layer, encoding=encoding)
    except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError) as error:
        said = _first(error).replace(str(path), path.name)
        if "not recognized" in said:
            raise Unreadable(
                f"{path.name}: cannot be read as {path.suffix[1:]}: it is none, whatever its name says"
            ) from None
        raise Unreadable(f"{path.name}: cannot be read as {path.suffix[1:]}: {said}; check the file") from None
    names = tuple(normal(str(name)) for name in info["fields"])
    return Source(
        names,
        lambda: _vector_rows(path, layer, encoding, names),
        geometry=info["geometry_type"] is not None,
        crs=info["crs"],
        total=int(info["features"]) if int(info["features"]) >= 0 else None,
        row_word="row",
    )


def _utf_8(path: Path) -> None:
    """RFC 8259 §8.1: JSON is UTF-8. GDAL would read past what is not."""
    try:
        encodings.encoding_of(path, None)
    except Unreadable:
        raise Unreadable(f"{path.name}: is not UTF-8, as GeoJSON is; save it as UTF-8") from None


def _understood(path: Path) -> None:
    """A collection that states a system states one that is known: GDAL would go on in degrees."""
    with path.open("rb") as file:
        found = STATED_SYSTEM.search(file.read(1 << 16).partition(b'"features"')[0])
    if found is None:
        return
    try:
        member = json.loads(found[1])
        name = member["properties"]["name"] if member is not None else None
        system(name)
    except (ValueError, LookupError, TypeError, Unreadable):
        raise Unreadable(
            f'{path.name}: its "crs" member is not understood; say the system with --crs EPSG:n and take the member out'
        ) from None


def _layer(path: Path, pyogrio: Any, stated: Stated) -> str:
    layers = {str(name): kind for name, kind in pyogrio.list_layers(path)}
    if stated.layer is not None:
        if stated.layer not in layers:
            raise Unreadable(f"{path.name}: has no layer {stated.layer}; {nearest(stated.layer, layers)}")
        return stated.layer
    placed = [name for name, kind in layers.items() if kind is not None] or list(layers)
    if len(placed) != 1:
        raise Unreadable(
            f'{path.name}: has the layers {", ".join(placed)}: say which with layer = "..." in the mapping'
        )
    return placed[0]


def _vector_rows(path: Path, layer: str, encoding: str | None, names: tuple[str, ...]) -> Iterator[Given]:
    import pyogrio

    try:
        with pyogrio.open_arrow(path, layer=layer, encoding=encoding, batch_size=BATCH, use_pyarrow=True) as (
            meta,
            reader,
        ):
            geometry = meta["geometry_name"] or "wkb_geometry"
            start = 1
            for batch in reader:
                yield from _batch_rows(batch, names, geometry, start)
                start += batch.num_rows
    except (pyogrio.errors.DataSourceError, RuntimeError, *BROKEN) as error:
        raise Unreadable(f"{path.name}: breaks off: {_first(error)}; write the file anew") from None


def open_parquet(path: Path, stated: Stated) -> Source:
    """A GeoParquet file, or plain Parquet with columns for the place."""
    del stated  # Parquet says all of it itself
    arrow = _needs(path, "pyarrow")
    from pyarrow import parquet

    try:
        file = parquet.ParquetFile(path)
        geo = json.loads((file.schema_arrow.metadata or {}).get(b"geo", b"null"))
        geometry = geo["primary_column"] if geo else None
        names = tuple(normal(name) for name in file.schema_arrow.names if name != geometry)
        crs = _parquet_crs(geo["columns"][geometry]) if geo else None
    except (arrow.ArrowException, *BROKEN) as error:
        raise Unreadable(f"{path.name}: cannot be read as Parquet: {_first(error)}; check the file") from None
    return Source(
        names,
        lambda: _parquet_rows(path, file, names, geometry),
        geometry=geometry is not None,
        crs=crs,
        total=file.metadata.num_rows,
        row_word="row",
    )


def _parquet_crs(column: dict[str, Any]) -> str | None:
    """GeoParquet 1.1: without `crs` it is longitude and latitude; with null nobody knows."""
    if "crs" not in column:
        return "EPSG:4326"
    return json.dumps(column["crs"]) if column["crs"] else None


def _parquet_rows(path: Path, file: Any, names: tuple[str, ...], geometry: str | None) -> Iterator[Given]:
    import pyarrow

    start = 1
    try:
        for batch in file.iter_batches(batch_size=BATCH):
            yield from _batch_rows(batch, names, geometry, start)
            start += batch.num_rows
    except (pyarrow.ArrowException, *BROKEN) as error:
        raise Unreadable(f"{path.name}: breaks off: {_first(error)}; write the file anew") from None


def _batch_rows(batch: Any, names: tuple[str, ...], geometry: str | None, start: int) -> Iterator[Given]:
    by_name = {normal(name): batch.column(i) for i, name in enumerate(batch.schema.names)}
    columns = [[text_of(value) for value in by_name[name].to_pylist()] for name in names]
    points, faults = _points(by_name[normal(geometry)]) if geometry and normal(geometry) in by_name else ({}, {})
    for i in range(batch.num_rows):
        values = {name: column[i] for name, column in zip(names, columns, strict=True)}
        yield Given(start + i, values, points.get(i), faults.get(i, ""))


def _points(column: Any) -> tuple[dict[int, tuple[float, float]], dict[int, str]]:
    """The place of each row that has one, and what the other rows have instead."""
    import numpy as np
    import shapely

    if "struct" in str(column.type):  # GeoParquet 1.1 with native points
        pairs = ((i, value) for i, value in enumerate(column.to_pylist()) if value and value["x"] is not None)
        return {i: (value["x"], value["y"]) for i, value in pairs}, {}
    shapes = shapely.from_wkb(np.array(column.to_pylist(), dtype=object), on_invalid="ignore")
    kinds, empty = shapely.get_type_id(shapes), shapely.is_empty(shapes)
    points: dict[int, tuple[float, float]] = {}
    faults: dict[int, str] = {}
    for i in np.flatnonzero(~empty & ~shapely.is_missing(shapes)).tolist():
        if int(kinds[i]) in POINTS and shapely.get_num_geometries(shapes[i]) == 1:
            xy = shapely.get_coordinates(shapes[i])[0]
            points[i] = (float(xy[0]), float(xy[1]))
        else:
            faults[i] = "not_a_point"
    return points, faults


def _dbf_encoding(path: Path, stated: str | None) -> str:
    """The encoding of a Shapefile's text. Raises `Unreadable` where nobody says and it is not UTF-8."""
    if not any(path.with_suffix(suffix).exists() for suffix in (".shx", ".SHX")):
        raise Unreadable(f"{path.name}: has no .shx beside it; a Shapefile is .shp, .shx and .dbf together")
    table = next((one for one in (path.with_suffix(".dbf"), path.with_suffix(".DBF")) if one.exists()), None)
    if table is None:
        raise Unreadable(f"{path.name}: has no .dbf beside it; a Shapefile is .shp, .shx and .dbf together")
    said = next((one for one in (path.with_suffix(".cpg"), path.with_suffix(".CPG")) if one.exists()), None)
    if stated is not None:
        return encodings.codec_of(path.name, stated)
    if said is not None and (page := said.read_text(encoding="ascii", errors="replace").strip()):
        return encodings.codec_of(said.name, f"cp{page}" if page.isdigit() else page)
    data = table.read_bytes()
    body = data[int.from_bytes(data[8:10], "little") :]
    letters = b" ".join(word for word in body.split() if not word.isascii())[: 1 << 16]
    page = CODE_PAGES.get(data[29], "utf-8")
    fits = encodings.likely(letters) if letters else [page]
    if page in fits or (page == "utf-8" and not letters):
        return page
    raise Unreadable(
        f"{path.name}: nothing says in which encoding its text is (there is no .cpg)" + encodings.instead(letters, page)
    )


def _needs(path: Path, name: str) -> Any:
    try:
        return __import__(name)
    except ImportError:
        raise Unreadable(
            f"{path.name}: reading {path.suffix} needs {name}: install nardialog[register], or use CSV"
        ) from None


def _first(error: Exception) -> str:
    return str(error).splitlines()[0][:200] if str(error) else type(error).__name__
