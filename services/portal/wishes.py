"""What a business asks to follow, from a form's fields: where, which industries, which address.

Pure: what the register knows comes in as values. A field that is wrong is told of with its field and with what to do;
what could be several things is given back as choices. Nothing here quotes an address.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final, Literal

from schemas import industries
from schemas.subscription import Circle, SubscribedArea
from schemas.types import IndustryCode
from services.portal.places import Municipality
from services.runtime.addresses import normal
from services.runtime.errors import Rejected

RADII: Final = (200, 800, 2000)
"""Metres: the street, the blocks, the district."""
Frequency = Literal["at_once", "daily", "weekly"]
FREQUENCIES: Final[tuple[Frequency, ...]] = ("at_once", "daily", "weekly")
SMALLEST, LARGEST = 50, 20_000
MOST_CODES: Final = 20
VERSION: Final = "2025"
"""Of SNI: what a business reads and chooses among."""
SHOWN: Final = 10
_LATITUDES: Final = (55.0, 70.0)
_LONGITUDES: Final = (10.0, 25.0)
"""Degrees in WGS 84 between which Sweden lies."""


@dataclass(frozen=True)
class Premises:
    """A workplace of the register that a business may mean."""

    workplace_id: str
    name: str
    street: str
    longitude: float | None
    latitude: float | None


@dataclass(frozen=True)
class Fields:
    """The form as it was sent: text only, nothing trusted."""

    where: str = ""
    workplace: str = ""
    workplace_id: str = ""
    place: str = ""
    latitude: str = ""
    longitude: str = ""
    radius: str = "800"
    industries: str = ""
    codes: tuple[str, ...] = ()
    email: str = ""
    frequency: str = FREQUENCIES[0]


Field = Literal["where", "workplace", "place", "latitude", "longitude", "radius", "industries", "email"]


@dataclass(frozen=True)
class Problem:
    """What is wrong with one field: `key` names the words, `values` fill them."""

    field: Field
    key: str
    values: Mapping[str, str]


@dataclass(frozen=True)
class Choice:
    """One of several things that were meant, perhaps."""

    value: str
    label: str


@dataclass(frozen=True)
class Wish:
    """What is asked for, whole and checked."""

    area: SubscribedArea
    codes: tuple[IndustryCode, ...]
    email: str
    indexed: str
    """The address in the form by which equal addresses meet."""
    frequency: Frequency
    """How soon to hear; what is urgent, or concerns the business otherwise too, is told at once all the same."""

    @property
    def industries(self) -> tuple[str, ...]:
        """The codes as people read them."""
        return tuple(industries.label(item.code, item.version) for item in self.codes)


@dataclass(frozen=True)
class Read:
    """What a form came to: a wish, or what is wrong, or what must be chosen among."""

    wish: Wish | None = None
    problems: tuple[Problem, ...] = ()
    workplaces: tuple[Choice, ...] = ()
    codes: tuple[Choice, ...] = ()


def read(fields: Fields, town: Municipality, found: Sequence[Premises]) -> Read:
    """A form's fields as a wish. `found` are the workplaces of the register that the search, or the choice, named."""
    problems: list[Problem] = []
    area, workplaces = _area(fields, town, found, problems)
    codes, choices = _codes(fields, problems)
    address = _address(fields.email, problems)
    if problems or workplaces or choices or area is None or address is None:
        return Read(None, tuple(problems), workplaces, choices)
    frequency = next((name for name in FREQUENCIES if name == fields.frequency), FREQUENCIES[0])
    return Read(Wish(area, codes, *address, frequency))


def _area(
    fields: Fields, town: Municipality, found: Sequence[Premises], problems: list[Problem]
) -> tuple[SubscribedArea | None, tuple[Choice, ...]]:
    if fields.where == "municipality":
        return SubscribedArea(kind="municipality", label="hela kommunen"), ()
    radius = _radius(fields.radius, problems)
    if fields.where == "workplace":
        return _around_workplace(fields, found, radius, problems)
    if fields.where == "place":
        place = town.named(fields.place)
        if place is None:
            problems.append(_problem("place", "choose_place"))
            return None, ()
        return _circle(place.longitude, place.latitude, radius, place.name), ()
    if fields.where == "point":
        point = _point(fields, problems)
        return (_circle(*point, radius, f"{point[1]:.4f} N {point[0]:.4f} Ö") if point else None), ()
    problems.append(_problem("where", "choose_where"))
    return None, ()


def _around_workplace(
    fields: Fields, found: Sequence[Premises], radius: float | None, problems: list[Problem]
) -> tuple[SubscribedArea | None, tuple[Choice, ...]]:
    if len(fields.workplace.strip()) < 2 and not fields.workplace_id:
        problems.append(_problem("workplace", "workplace_missing"))
        return None, ()
    placed = [item for item in found if item.longitude is not None and item.latitude is not None]
    if not placed:
        problems.append(_problem("workplace", "workplace_unknown"))
        return None, ()
    chosen = next((item for item in placed if item.workplace_id == fields.workplace_id), None)
    if chosen is None and len(placed) == 1:
        chosen = placed[0]
    if chosen is None:
        return None, tuple(Choice(item.workplace_id, _label(item)) for item in placed[:SHOWN])
    if chosen.longitude is None or chosen.latitude is None:
        return None, ()
    return _circle(chosen.longitude, chosen.latitude, radius, chosen.name, chosen.workplace_id), ()


def _label(item: Premises) -> str:
    return f"{item.name}, {item.street}" if item.street else item.name


def _circle(
    longitude: float, latitude: float, radius: float | None, around: str, workplace_id: str | None = None
) -> SubscribedArea | None:
    if radius is None:
        return None
    metres = f"{radius:,.0f}".replace(",", "\xa0")
    return SubscribedArea(
        kind="circle",
        label=f"{metres} m runt {around}"[:200],
        circle=Circle(longitude=longitude, latitude=latitude, radius_m=radius),
        workplace_id=workplace_id,
    )


def _radius(text: str, problems: list[Problem]) -> float | None:
    try:
        metres = float(re.sub(r"[\s\xa0]|m$", "", text.strip()).replace(",", "."))
    except ValueError:
        metres = 0.0
    if SMALLEST <= metres <= LARGEST:
        return metres
    problems.append(_problem("radius", "bad_radius", smallest=str(SMALLEST), largest=str(LARGEST)))
    return None


def _point(fields: Fields, problems: list[Problem]) -> tuple[float, float] | None:
    numbers: list[float] = []
    asked: tuple[tuple[Field, str, tuple[float, float]], ...] = (
        ("latitude", fields.latitude, _LATITUDES),
        ("longitude", fields.longitude, _LONGITUDES),
    )
    for name, text, (low, high) in asked:
        try:
            number = float(text.strip().replace(",", "."))
        except ValueError:
            number = 0.0
        if low <= number <= high:
            numbers.append(number)
        else:
            problems.append(_problem(name, f"bad_{name}"))
    return (numbers[1], numbers[0]) if len(numbers) == len(asked) else None


def _codes(fields: Fields, problems: list[Problem]) -> tuple[tuple[IndustryCode, ...], tuple[Choice, ...]]:
    """The codes that were typed or ticked; a word that may mean several gives choices. Nothing means all industries."""
    certain: list[str] = []
    choices: dict[str, None] = {}
    for text in [*fields.codes, *re.split(r"[,;\n]", fields.industries)][: 5 * MOST_CODES]:
        if not text.strip():
            continue
        ticked = text in fields.codes and industries.is_code(text, VERSION)
        meant = (text,) if ticked else _meant(text)
        if not meant:
            problems.append(_unknown(text.strip()))
        elif len(meant) == 1:
            certain += meant
        elif not any(code in fields.codes for code in meant):
            choices |= dict.fromkeys(meant[: 2 * SHOWN])
    if len(certain) > MOST_CODES:
        problems.append(_problem("industries", "too_many_industries", most=str(MOST_CODES)))
    codes = tuple(IndustryCode(code=code, version=VERSION) for code in dict.fromkeys(certain))
    offered = dict.fromkeys([*certain, *choices]) if choices else {}
    return codes, tuple(Choice(code, industries.label(code, VERSION)) for code in offered)


def _meant(text: str) -> tuple[str, ...]:
    """The codes that a code or a word may mean, everyday words first. A code that only SNI 2007 has is translated."""
    word = text.strip()
    if re.fullmatch(r"[A-Za-z]|[A-Za-z]?[\d.\s]+", word):
        return _code(word)
    folded = word.casefold()
    if everyday := _everyday().get(folded):
        return tuple(industries.parse(code, VERSION) for code in everyday)
    return tuple(sorted(code for code, name in industries.names().items() if folded in name.casefold()))


def _unknown(word: str) -> Problem:
    """What is said of a word or a code that means nothing: of a code, what was meant perhaps."""
    try:
        industries.parse(word, VERSION)
    except industries.UnknownCode as error:
        if error.nearest and word[:1].isdigit():
            nearest = industries.label(error.nearest[0], VERSION)
            return _problem("industries", "unknown_code", text=word[:60], nearest=nearest)
    return _problem("industries", "unknown_industry", text=word[:60])


def _code(word: str) -> tuple[str, ...]:
    try:
        return (industries.parse(word, VERSION),)
    except industries.UnknownCode:
        pass
    older = industries.other(VERSION)
    try:
        return industries.translate(industries.parse(word, older), older).codes
    except industries.UnknownCode:
        return ()


@cache
def _everyday() -> Mapping[str, Sequence[str]]:
    words: Mapping[str, Sequence[str]] = json.loads(
        files("services.portal").joinpath("data/everyday_words.json").read_bytes()
    )
    return words


def _address(text: str, problems: list[Problem]) -> tuple[str, str] | None:
    try:
        return normal("email", text)
    except Rejected:
        problems.append(_problem("email", "bad_email"))
        return None


def _problem(field: Field, key: str, **values: str) -> Problem:
    return Problem(field, key, values)
