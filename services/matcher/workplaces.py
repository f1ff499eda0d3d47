"""The register as columns in memory: one immutable snapshot, named by the hash of its content.

`content_hash` is the register version everywhere: import markers carry it, rounds carry it, `nardialog match` computes
it from a file. It leaves out what says nothing of a workplace: the import number, so that the same register imported
twice has one version, and whether it is marked as synthetic, which a file does not say.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date

import numpy as np
import shapely

from schemas.company import Company
from schemas.types import IndustryCode
from services.matcher.geometry import Floats, Indices, Shape, to_grid


def content_hash(companies: Iterable[Company]) -> str:
    """BLAKE2b (RFC 7693) over the workplaces' canonical rows in order of id: 32 hexadecimal digits."""
    digest = hashlib.blake2b(digest_size=16)
    for company in sorted(companies, key=lambda company: company.workplace_id):
        digest.update(
            company.model_dump_json(exclude={"import_number", "synthetic"}, exclude_none=True).encode() + b"\n"
        )
    return digest.hexdigest()


@dataclass(frozen=True)
class Snapshot:
    """The register at one complete import. Rows are in order of workplace id."""

    companies: tuple[Company, ...]
    codes: tuple[tuple[IndustryCode, ...], ...]
    register_version: str
    import_number: int
    register_date: date | None
    placed: Indices
    """Rows that have a place; the columns below follow it."""
    x: Floats
    y: Floats
    points: Shape
    tree: shapely.STRtree
    by_id: dict[str, int] = field(repr=False)
    by_municipality: dict[str, list[int]] = field(repr=False)
    active_placed: int = 0
    """Active workplaces that have a place."""

    def row(self, workplace_id: str) -> int | None:
        """The row of a workplace, or None."""
        return self.by_id.get(workplace_id)


def snapshot(
    companies: Iterable[Company],
    *,
    import_number: int = 1,
    register_date: date | None = None,
    register_version: str | None = None,
) -> Snapshot:
    """The columns of a register. Without a given version it is computed."""
    rows = tuple(sorted(companies, key=lambda company: company.workplace_id))
    placed = np.array([i for i, c in enumerate(rows) if c.lon is not None and c.lat is not None], dtype=np.int64)
    lon = np.array([rows[i].lon for i in placed], dtype=np.float64)
    lat = np.array([rows[i].lat for i in placed], dtype=np.float64)
    x, y = to_grid(lon, lat)
    by_municipality: dict[str, list[int]] = {}
    for i, company in enumerate(rows):
        by_municipality.setdefault(company.municipality, []).append(i)
    points = shapely.points(x, y)
    return Snapshot(
        companies=rows,
        codes=tuple(tuple(company.sni) for company in rows),
        register_version=register_version or content_hash(rows),
        import_number=import_number,
        register_date=register_date,
        placed=placed,
        x=x,
        y=y,
        points=points,
        tree=shapely.STRtree(points),
        by_id={company.workplace_id: i for i, company in enumerate(rows)},
        by_municipality=by_municipality,
        active_placed=sum(1 for i in placed.tolist() if rows[i].status == "active"),
    )
