"""The register as columns in memory: one immutable snapshot, named by the hash of its content.

`content_hash` is the register version everywhere: import markers carry it, rounds carry it, `nardialog match` computes
it from a file. It leaves out what says nothing of a workplace: the import number, so that the same register imported
twice has one version, and whether it is marked as synthetic, which a file does not say.

A snapshot keeps what decides who is affected, and no Python object per workplace: the whole country is 1.3 million of
them. Names and addresses are left where they came from.
"""

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from functools import lru_cache
from itertools import chain, repeat
from typing import Final, NamedTuple, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from schemas.company import Company
from schemas.types import IndustryCode
from services.matcher import industry
from services.matcher.geometry import Floats, Indices, Part, to_grid
from services.matcher.grid import Booleans, Codes, Grid, Near, build, has
from services.matcher.nearest import near, warm
from services.matcher.texts import Texts

STATUSES: Final = ("active", "closed", "vacant")
NO_PLACE: Final = (np.nan, np.nan)
TABLES: Final = 500
"""Tables of wanted codes that are kept: a model has some tens, cases with lists of their own come and go."""
Wanted: TypeAlias = tuple[industry.CodeSet, ...] | None
"""The industries that a ring asks for; None is every one."""
Number = TypeVar("Number", bound=np.generic)


def content_hash(companies: Iterable[Company]) -> str:
    """BLAKE2b (RFC 7693) over the workplaces' canonical rows in order of id: 32 hexadecimal digits."""
    return version_of(canonical(company) for company in sorted(companies, key=lambda company: company.workplace_id))


def canonical(company: Company) -> bytes:
    """A workplace's row as the version counts it."""
    return company.model_dump_json(exclude={"import_number", "synthetic"}, exclude_none=True).encode()


def version_of(rows: Iterable[bytes]) -> str:
    """The version of a register from its canonical rows, in order of workplace id."""
    digest = hashlib.blake2b(digest_size=16)
    for row in rows:
        digest.update(row + b"\n")
    return digest.hexdigest()


class Workplace(NamedTuple):
    """What a snapshot keeps of one company event."""

    workplace_id: str
    recipient_id: str
    organisation: str | None
    municipality: str
    status: str
    lon: float | None
    lat: float | None
    sni: tuple[tuple[str, str], ...]
    """Version and code."""

    @classmethod
    def of(cls, company: Company) -> "Workplace":
        """The workplace of a company event."""
        return cls(
            company.workplace_id, company.recipient_id, company.organisation, company.municipality, company.status,
            company.lon, company.lat, _one_of_each(tuple((item.version, item.code) for item in company.sni)),
        )  # fmt: skip


@lru_cache(maxsize=65_536)
def _one_of_each(sni: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    """The same object for the same list of codes: a whole register waits in memory until its import is complete."""
    return sni


@dataclass(frozen=True, eq=False)
class Snapshot:
    """The register at one complete import. Rows are in order of workplace id."""

    register_version: str
    import_number: int
    register_date: date | None
    ids: Texts
    recipient: npt.NDArray[np.int32]
    """Each row's number in `recipient_ids`."""
    recipient_ids: Texts
    organisation: npt.NDArray[np.int32]
    """Each row's number in `organisations`, or -1."""
    organisations: Texts
    status: npt.NDArray[np.uint8]
    """Each row's number in `STATUSES`."""
    municipality: npt.NDArray[np.uint16]
    municipalities: tuple[str, ...]
    by_municipality: npt.NDArray[np.int32]
    """Rows in order of municipality, and of id within it."""
    municipality_starts: npt.NDArray[np.int64]
    """Where each municipality begins among them, and at last how many there are."""
    codes: Codes
    """One line for the first code of each row, one for the second and so on, as in `Grid`."""
    industries: tuple[IndustryCode, ...]
    """The distinct codes, in order of version and code, so that all codes under a heading stand together."""
    grid: Grid
    slot: npt.NDArray[np.int32]
    """Each row's number in the grid, or -1 where it has no place."""
    active_placed: int
    """Active workplaces that have a place."""
    alive: Booleans | None = None
    """Rows that have not been erased since; None: all."""
    index: Near = near
    _wanted: dict[tuple[industry.CodeSet, ...], Booleans] = field(default_factory=dict, repr=False)

    @property
    def count(self) -> int:
        """How many workplaces there are."""
        return len(self.ids) if self.alive is None else int(self.alive.sum())

    def row(self, workplace_id: str) -> int | None:
        """The row of a workplace, or None."""
        found = self.ids.find(workplace_id)
        return found if found is None or self.alive is None or self.alive[found] else None

    def workplace_id(self, row: int) -> str:
        """Whose row it is."""
        return self.ids[row]

    def recipient_id(self, row: int) -> str:
        """Who hears of this workplace."""
        return self.recipient_ids[self.recipient[row]]

    def organisation_of(self, row: int) -> str | None:
        """The organisation's public number, where it has one."""
        number = self.organisation[row]
        return self.organisations[number] if number >= 0 else None

    def status_of(self, row: int) -> str:
        """active, closed or vacant."""
        return STATUSES[self.status[row]]

    def place(self, row: int) -> tuple[float, float] | None:
        """East and north in SWEREF 99 TM, where the workplace has a place."""
        slot = self.slot[row]
        return (float(self.grid.x[slot]), float(self.grid.y[slot])) if slot >= 0 else None

    def codes_of(self, row: int) -> tuple[IndustryCode, ...]:
        """A row's own codes, in its own order."""
        return self._codes(tuple(self.codes[:, row].tolist()))

    def matches(self, rows: Sequence[int], codes: Wanted) -> Iterator[tuple[industry.Match, ...]]:
        """What each row's own codes match, nothing where every code is wanted. Many workplaces, few lists of codes."""
        known: dict[tuple[int, ...], tuple[industry.Match, ...]] = {}
        for own in map(tuple, self.codes[:, rows].T.tolist()) if codes is not None else repeat((), len(rows)):
            if own not in known:
                known[own] = industry.matches(self._codes(own), codes or ())
            yield known[own]

    def near(self, part: Part, buffer_m: float, codes: Wanted) -> tuple[Indices, Floats]:
        """The rows with a wanted code within `buffer_m` of a part, and their distances; None wants every code."""
        return self.index(self.grid, part, buffer_m, self._table(codes), self.alive)

    def in_municipality(self, municipality: str, codes: Wanted) -> Indices:
        """The rows in a municipality that have a wanted code."""
        if municipality not in self.municipalities:
            return np.empty(0, dtype=np.int64)
        number = self.municipalities.index(municipality)
        begin, end = self.municipality_starts[number : number + 2]
        return self._of(self.by_municipality[begin:end].astype(np.int64), codes)

    def everywhere(self, codes: Wanted) -> Indices:
        """The rows that have a wanted code."""
        return self._of(np.arange(len(self.ids)), codes)

    def without(self, workplace_ids: Iterable[str]) -> "Snapshot":
        """The register less these workplaces, at no more than the price of one flag each."""
        rows = [row for name in set(workplace_ids) if (row := self.row(name)) is not None]
        if not rows:
            return self
        alive = np.ones(len(self.ids), dtype=np.bool_) if self.alive is None else self.alive.copy()
        alive[rows] = False
        gone = sum(1 for row in rows if self.slot[row] >= 0 and self.status[row] == 0)
        return replace(self, alive=alive, active_placed=self.active_placed - gone)

    def _of(self, rows: Indices, codes: Wanted) -> Indices:
        if self.alive is not None:
            rows = rows[self.alive[rows]]
        wanted = self._table(codes)
        return rows if wanted is None else rows[has(self.codes, rows, wanted)]

    def _table(self, codes: Wanted) -> Booleans | None:
        """Per code of the register whether it is wanted; nobody wants what is no code. Asked once per list of codes."""
        if codes is None:
            return None
        if codes not in self._wanted:
            if len(self._wanted) >= TABLES:
                self._wanted.clear()
            self._wanted[codes] = np.array([*(bool(industry.matches((own,), codes)) for own in self.industries), False])
        return self._wanted[codes]

    def _codes(self, numbers: tuple[int, ...]) -> tuple[IndustryCode, ...]:
        return tuple(self.industries[number] for number in numbers if number < len(self.industries))


def snapshot(
    companies: Iterable[Company],
    *,
    import_number: int = 1,
    register_date: date | None = None,
    register_version: str | None = None,
) -> Snapshot:
    """The columns of a register. Without a given version it is computed."""
    rows = companies if register_version else tuple(companies)
    return changed(
        EMPTY,
        map(Workplace.of, rows),
        import_number=import_number,
        register_date=register_date,
        register_version=register_version or content_hash(rows),
    )


def changed(
    base: Snapshot,
    rows: Iterable[Workplace],
    gone: Collection[str] = (),
    *,
    import_number: int,
    register_date: date | None,
    register_version: str,
) -> Snapshot:
    """The register with these workplaces new or instead of what was known of them, less those that are gone."""
    join = _Join(base, {row.workplace_id.encode(): row for row in rows}, {name.encode() for name in gone})
    codes, industries = join.codes()
    municipality, municipalities = join.municipalities()
    recipient, recipient_ids = join.texts(base.recipient, base.recipient_ids, [row.recipient_id for row in join.new])
    organisation, organisations = join.texts(
        base.organisation, base.organisations, [row.organisation for row in join.new]
    )
    status = join.column(base.status, [STATUSES.index(row.status) for row in join.new])
    x, y = join.places()
    placed = np.flatnonzero(np.isfinite(x) & np.isfinite(y)).astype(np.int32)
    cells = build(x[placed], y[placed], codes[:, placed], placed)
    warm(cells)
    slot = np.full(len(status), -1, dtype=np.int32)
    slot[cells.rows] = np.arange(len(placed), dtype=np.int32)
    return Snapshot(
        register_version=register_version,
        import_number=import_number,
        register_date=register_date,
        ids=join.ids,
        recipient=recipient,
        recipient_ids=recipient_ids,
        organisation=organisation,
        organisations=organisations,
        status=status,
        municipality=municipality,
        municipalities=municipalities,
        by_municipality=np.argsort(municipality, kind="stable").astype(np.int32),
        municipality_starts=np.searchsorted(np.sort(municipality), np.arange(len(municipalities) + 1)),
        codes=codes,
        industries=industries,
        grid=cells,
        slot=slot,
        active_placed=int((status[placed] == 0).sum()),
        index=base.index,
    )


class _Join:
    """The kept rows of a register and new ones, in order of id, column by column."""

    def __init__(self, base: Snapshot, new: Mapping[bytes, Workplace], gone: Collection[bytes]) -> None:
        self.base, self.new = base, tuple(new.values())
        old = base.ids.encoded()
        kept = [i for i, name in enumerate(old) if name not in new and name not in gone]
        if base.alive is not None:
            kept = [i for i in kept if base.alive[i]]
        self.kept = np.array(kept, dtype=np.int64)
        names = [*(old[i] for i in kept), *new]
        self._order = np.array(sorted(range(len(names)), key=names.__getitem__), dtype=np.int64)
        self.ids = (base.ids.take(self.kept) + Texts.of(new)).take(self._order)

    def column(self, old: npt.NDArray[Number], new: Sequence[float]) -> npt.NDArray[Number]:
        """A column of numbers."""
        return np.concatenate([old[self.kept], np.array(new, dtype=old.dtype)])[self._order]

    def texts(
        self, old: npt.NDArray[np.int32], distinct: Texts, new: Sequence[str | None]
    ) -> tuple[npt.NDArray[np.int32], Texts]:
        """A column of texts by number, -1 for none, and the distinct texts that are left."""
        used = np.zeros(len(distinct) + 1, dtype=np.bool_)  # its last place answers for -1
        used[old[self.kept]] = True
        left = np.flatnonzero(used[:-1])
        renumbered = np.full(len(distinct) + 1, -1, dtype=np.int32)
        renumbered[left] = np.arange(len(left), dtype=np.int32)
        remaining = distinct.take(left)
        wanted = dict.fromkeys(text.encode() for text in new if text is not None)
        numbers = {text: i for i, text in enumerate(remaining.encoded()) if text in wanted}
        added = [text for text in wanted if text not in numbers]
        numbers |= {text: i for i, text in enumerate(added, len(left))}
        theirs = np.array([-1 if text is None else numbers[text.encode()] for text in new], dtype=np.int32)
        column = np.concatenate([renumbered[old[self.kept]], theirs])
        return column[self._order], remaining + Texts.of(added)

    def municipalities(self) -> tuple[npt.NDArray[np.uint16], tuple[str, ...]]:
        """The municipalities by number, and their codes in order."""
        every = tuple(sorted({*self.base.municipalities, *(row.municipality for row in self.new)}))
        numbers = {code: number for number, code in enumerate(every)}
        renumbered = np.array([numbers[code] for code in self.base.municipalities], dtype=np.uint16)
        old = renumbered[self.base.municipality[self.kept]]
        new = np.array([numbers[row.municipality] for row in self.new], dtype=np.uint16)
        return np.concatenate([old, new])[self._order], every

    def codes(self) -> tuple[Codes, tuple[IndustryCode, ...]]:
        """The industry codes by number, as many lines as somebody has codes, and the distinct codes in order."""
        theirs = [(item.version, item.code) for item in self.base.industries]
        every = sorted({*theirs, *chain(*(row.sni for row in self.new))})
        numbers = {code: number for number, code in enumerate(every)}
        renumbered = np.array([*(numbers[code] for code in theirs), len(every)], dtype=np.int64)
        old = renumbered[self.base.codes[:, self.kept]]
        new = np.full((max((len(row.sni) for row in self.new), default=1) or 1, len(self.new)), len(every))
        for i, row in enumerate(self.new):
            new[: len(row.sni), i] = [numbers[code] for code in row.sni]
        lines = max(len(old), len(new))
        whole = np.hstack([_lines(old, lines, len(every)), _lines(new, lines, len(every))])[:, self._order]
        small = np.promote_types(np.uint16, np.min_scalar_type(len(every)))
        return whole.astype(small), tuple(IndustryCode(code=code, version=version) for version, code in every)

    def places(self) -> tuple[Floats, Floats]:
        """East and north; NaN where a workplace has no place."""
        given = [(row.lon, row.lat) if row.lon is not None and row.lat is not None else NO_PLACE for row in self.new]
        new = to_grid(*np.array(given, dtype=np.float64).reshape(-1, 2).T)
        old, slot = (self.base.grid.x, self.base.grid.y), self.base.slot[self.kept]
        x, y = (
            np.concatenate([np.append(was, np.nan)[slot], now])[self._order] for was, now in zip(old, new, strict=True)
        )
        return x, y


def _lines(codes: Indices, lines: int, absent: int) -> Indices:
    return np.vstack([codes, np.full((lines - len(codes), codes.shape[1]), absent)])


def _empty() -> Snapshot:
    nothing = np.empty(0)
    whole = nothing.astype(np.int32)
    codes = np.empty((1, 0), dtype=np.uint16)
    return Snapshot(
        register_version="",
        import_number=0,
        register_date=None,
        ids=Texts.of(()),
        recipient=whole,
        recipient_ids=Texts.of(()),
        organisation=whole,
        organisations=Texts.of(()),
        status=nothing.astype(np.uint8),
        municipality=nothing.astype(np.uint16),
        municipalities=(),
        by_municipality=whole,
        municipality_starts=np.zeros(1, dtype=np.int64),
        codes=codes,
        industries=(),
        grid=build(nothing, nothing, codes, whole),
        slot=whole,
        active_placed=0,
    )


EMPTY: Final = _empty()
"""A register without workplaces."""
