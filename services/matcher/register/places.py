"""From the coordinates of a file to degrees, or to a refusal: which system they are in is told, never guessed.

Without a word they are WGS 84 longitude and latitude. Any other system is told by `--crs`, the mapping or the file
itself, and converted by the EPSG database (PROJ); no parameter of a projection stands here. A statement that does not
fit stops the import, with the count and what would fit: the axes exchanged, or another of the Swedish systems. Several
zones use the same numbers, so where the municipalities of the rows do not decide, all that fit are named and a person
decides. `EPSG:3021` was used in all of Sweden and is taken there; the local zones reach a little beyond their borders.
"""

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final

import numpy as np
from pyproj import CRS, Transformer
from pyproj.exceptions import CRSError

from schemas import geojson
from schemas.complaints import Complaint
from schemas.types import plain_digits
from services.matcher.geometry import Floats
from services.matcher.municipalities import municipalities_of
from services.matcher.register.source import Unreadable

DEGREES: Final = "EPSG:4326"
WHOLE_COUNTRY: Final = frozenset({DEGREES, "EPSG:3006", "EPSG:3021"})
CANDIDATES: Final = (
    DEGREES,
    "EPSG:3006",
    "EPSG:3021",
    *(f"EPSG:{n}" for n in (*range(3007, 3019), 3019, 3020, 3022, 3023, 3024, 3857)),
)
"""The systems that Swedish files are in: WGS 84, SWEREF 99 TM, RT 90 2.5 gon V, the local zones of both, web maps."""
BEYOND: Final = 0.75
"""Degrees of longitude by which a municipality may reach out of its zone."""
ASSUMED_SHARE, TOLD_SHARE, DIFFERING_SHARE = 0.5, 0.1, 0.5
"""Above which share of misfits an import stops: a system that was told is then told wrongly, one that was assumed may
only have some wrong rows. The last: above which share of places outside the rows' own municipalities."""
DECIMALS: Final = 8
"""Of converted degrees: a millimetre. A place then is the same whatever system it came in, and in the next PROJ too."""
FITTING: Final = 0.75
"""Which share must lie on land: borders are simplified, and much of Sweden is coast."""
SAMPLE: Final = 400
_NUMBER: Final = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_BLANKS: Final = re.compile(r"[\s'’°]")


@dataclass(frozen=True)
class System:
    """A coordinate system that was told, or the one that is assumed."""

    name: str
    crs: CRS = field(repr=False)
    told: bool = True

    @property
    def degrees(self) -> bool:
        """Whether the numbers are longitude and latitude already."""
        return bool(self.crs.is_geographic)


def system(text: str | None) -> System:
    """A coordinate system by what was said. Raises `Unreadable` for one that gives no places on a map."""
    try:
        crs = CRS.from_user_input(text or DEGREES)
        crs = crs.to_2d() if len(crs.axis_info) > 2 and not crs.is_geocentric else crs
    except CRSError:
        raise Unreadable(
            f"coordinate system {str(text)[:60]} is unknown; write its EPSG code, as in EPSG:3006"
        ) from None
    code = crs.to_epsg() or (CRS(crs.to_2d()).to_epsg(min_confidence=50) if not crs.is_geocentric else None)
    name = f"EPSG:{code}" if code else str(crs.name)[:60]
    unit = crs.axis_info[0].unit_name if crs.axis_info else ""
    if crs.is_geocentric or not ((crs.is_geographic and unit == "degree") or (crs.is_projected and unit == "metre")):
        raise Unreadable(
            f"{name} ({str(crs.name)[:60]}) has no metres on a map nor degrees: convert the places, or say the system "
            "that they are in, such as EPSG:3006"
        )
    return System(name, crs, told=text is not None)


@cache
def _transformer(name: str, crs: CRS) -> Transformer:
    return Transformer.from_crs(crs, DEGREES, always_xy=True)


@dataclass(frozen=True)
class Place:
    """Where a row is, in degrees; or nowhere; or why what it says can be no place."""

    lon: float | None = None
    lat: float | None = None
    complaint: Complaint | None = None


NOWHERE: Final = Place()


def number(text: str, nothing: frozenset[str], decimal: str | None = None) -> float | None:
    """A coordinate as people write it; None for what says nothing. Raises `ValueError` for what is no number."""
    bare = _BLANKS.sub("", text if text.isascii() else plain_digits(text))
    if text.strip().lower() in nothing or bare.lower() in nothing:
        return None
    bare = _pointed(bare, decimal)
    if not _NUMBER.fullmatch(bare):
        raise ValueError
    value = float(bare)
    if not math.isfinite(value):
        raise ValueError
    return value


def _pointed(bare: str, decimal: str | None) -> str:
    """With a point before the decimals and nothing between thousands."""
    if decimal is None:
        last = max(bare.rfind(","), bare.rfind("."))
        decimal = bare[last] if last >= 0 and bare.count(bare[last]) == 1 else " "
    return "".join("." if sign == decimal else sign for sign in bare if sign == decimal or sign not in ",.")


class Locator:
    """Reads the places of one file and remembers what did not fit."""

    def __init__(self, system: System, *, anywhere: bool = False, names: tuple[str, str] = ("lon", "lat")) -> None:
        self._system = system
        self._anywhere = anywhere
        self._names = names
        self._area = _area(system)
        self._read = 0
        self._misfits = 0
        self._differing = 0
        self._odd: list[tuple[float, float, str]] = []
        self._strayed: list[tuple[float, float, str]] = []

    def places(self, points: Sequence[tuple[float, float] | None], municipalities: Sequence[str]) -> list[Place]:
        """The places of some rows. The municipality that a row names helps to say what would fit."""
        found = [NOWHERE] * len(points)
        rows = [i for i, point in enumerate(points) if point is not None and _is_place(point)]
        if not rows:
            return found
        xy = np.array([points[i] for i in rows], dtype=np.float64)
        lon, lat = self._to_degrees(xy)
        inside = self._fits(lon, lat)
        at = municipalities_of(lon, lat)
        self._read += len(rows)
        for k, i in enumerate(rows):
            x, y, given = float(xy[k, 0]), float(xy[k, 1]), municipalities[i]
            if not inside[k]:
                self._misfits += 1
                _keep(self._odd, (x, y, given))
                found[i] = Place(complaint=self._complaint(x, y))
                continue
            if given and at[k] is not None and given != at[k]:
                self._differing += 1
                _keep(self._strayed, (x, y, given))
            found[i] = Place(float(lon[k]), float(lat[k]))
        return found

    def check(self) -> None:
        """Raises `Unreadable` where the file as a whole is not in the system that was told or assumed."""
        if self._anywhere or not self._read:
            return
        share = self._misfits / self._read
        if share > (TOLD_SHARE if self._system.told else ASSUMED_SHARE):
            said = f"{self._misfits} of {self._read} places do not lie in Sweden as {self._system.name}"
            if fits := _fitting(self._odd, self._system.name, self._names):
                some = " Or correct those rows: the others fit" if share < ASSUMED_SHARE else ""
                raise Unreadable(f"{said}: fits {fits}{some}")
            if self._system.told and share > ASSUMED_SHARE:
                raise Unreadable(f"{said}, nor in any other Swedish system; check the numbers and their columns")
        strayed = self._strayed if self._differing / self._read > DIFFERING_SHARE else []
        if strayed and (fits := _fitting(strayed, self._system.name, self._names, agreeing=True)):
            raise Unreadable(
                f"{self._differing} of {self._read} places lie in other municipalities than their rows say as "
                f"{self._system.name}: fits {fits}"
            )

    @property
    def differing(self) -> int:
        """How many places lie outside the municipality that their row names."""
        return self._differing

    def _to_degrees(self, xy: Floats) -> tuple[Floats, Floats]:
        if self._system.degrees:
            return xy[:, 0], xy[:, 1]
        lon, lat = _transformer(self._system.name, self._system.crs).transform(xy[:, 0], xy[:, 1])
        return np.round(lon, DECIMALS), np.round(lat, DECIMALS)

    def _fits(self, lon: Floats, lat: Floats) -> Any:
        possible = np.isfinite(lon) & np.isfinite(lat) & (np.abs(lon) <= 180) & (np.abs(lat) <= 90)
        return possible if self._anywhere else possible & _within(self._area, lon, lat)

    def _complaint(self, x: float, y: float) -> Complaint:
        if self._system.degrees:
            found = geojson.misplaced("", x, y, anywhere=self._anywhere)
            if found is not None:
                return found
        east, north = self._names
        lon, lat = self._to_degrees(np.array([[y, x]]))
        if bool(_within(self._area, lon, lat)[0]):
            return Complaint(
                "axis_order", f"outside Sweden, but not with {east} and {north} exchanged; exchange them", ""
            )
        return Complaint(
            "outside_sweden", f"outside Sweden as {self._system.name}; check the numbers and the system", ""
        )


def _is_place(point: tuple[float, float]) -> bool:
    """`0;0`, NaN and infinity are what programs write for nothing."""
    return all(math.isfinite(one) for one in point) and point != (0, 0)


def _keep(sample: list[tuple[float, float, str]], one: tuple[float, float, str]) -> None:
    if len(sample) < SAMPLE:
        sample.append(one)


def _area(system: System) -> tuple[float, float, float, float]:
    """The part of Sweden that a system is for, as west, south, east, north."""
    west, south, east, north = geojson.SWEDEN
    used = system.crs.area_of_use
    if used is None or system.name in WHOLE_COUNTRY or used.east - used.west > 10:
        return geojson.SWEDEN
    return max(west, used.west - BEYOND), south, min(east, used.east + BEYOND), north


def _within(area: tuple[float, float, float, float], lon: Floats, lat: Floats) -> Any:
    return (lon >= area[0]) & (lon <= area[2]) & (lat >= area[1]) & (lat <= area[3])


def _fitting(
    sample: Sequence[tuple[float, float, str]], name: str, names: tuple[str, str], *, agreeing: bool = False
) -> str:
    """The systems and orders in which a sample lies in Swedish municipalities, as a question; "" where none does.

    Those that put the rows into the municipalities that they name come alone. `agreeing` wants such a one.
    """
    ranked = []
    for candidate in CANDIDATES:
        for swapped in (False, True):
            if candidate == name and not swapped:
                continue
            agreed, landed, where = _tried(sample, candidate, swapped=swapped)
            if landed >= FITTING:
                ranked.append((agreed, candidate, swapped, where))
    best = max((agreed for agreed, *_ in ranked), default=0.0)
    if best >= ASSUMED_SHARE:
        ranked = [one for one in ranked if one[0] == best]
    elif agreeing:
        return ""
    same_system = [one for one in ranked if one[1] == name]
    ranked = same_system or ranked
    if not ranked:
        return ""
    said = " ".join(_said(candidate, swapped, where, name, names) for _, candidate, swapped, where in ranked)
    if same_system:
        return f"{said} Exchange them in the mapping or the header."
    return f"{said} Say the right one with --crs or in the mapping."


def _said(candidate: str, swapped: bool, where: str, name: str, names: tuple[str, str]) -> str:
    exchanged = f" with {names[0]} and {names[1]} exchanged" if swapped else ""
    if candidate == name:
        return f"{candidate}{exchanged}?"
    return f"{candidate} ({_short(candidate)}, there in {where}){exchanged}?"


def _short(candidate: str) -> str:
    """`18 00` of SWEREF99 18 00."""
    return re.sub(r"^SWEREF99 (?=\d)", "", str(CRS.from_user_input(candidate).name))


def _tried(sample: Iterable[tuple[float, float, str]], candidate: str, *, swapped: bool) -> tuple[float, float, str]:
    """Which share lies in the municipality that it names, which in any, and in which most."""
    tried = system(candidate)
    rows = list(sample)
    xy = np.array([(y, x) if swapped else (x, y) for x, y, _ in rows], dtype=np.float64)
    if tried.degrees:
        lon, lat = xy[:, 0], xy[:, 1]
    else:
        lon, lat = (np.asarray(one, dtype=np.float64) for one in _transformer(candidate, tried.crs).transform(*xy.T))
    inside = np.isfinite(lon) & np.isfinite(lat) & _within(_area(tried), lon, lat)
    at = municipalities_of(np.where(inside, lon, 0.0), np.where(inside, lat, 0.0))
    named = [(there, given) for there, (_, _, given) in zip(at, rows, strict=True) if given]
    agreed = sum(there == given for there, given in named) / (len(named) or 1)
    most = Counter(there for there in at if there is not None).most_common(1)
    landed = sum(there is not None for there in at) / len(rows)
    return agreed, landed, f"municipality {most[0][0]}" if most else ""
