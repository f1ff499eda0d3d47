"""Case events as hypothesis generates them: of every stage of the model, whole ones at the edges of what may be said,
and broken ones of every kind, from a wrong type to bytes that are no text.
"""

import json
import math
from dataclasses import dataclass, replace
from random import Random
from typing import Any, Final

from hypothesis import strategies as st

from schemas import industries
from schemas import model as dialogue_model
from schemas.case import CASE_CHANGED, Case
from schemas.envelope import Envelope
from schemas.types import moment

MODEL: Final = dialogue_model.default()
STAGES: Final = [(case_type.id, stage.id) for case_type in MODEL.case_types for stage in case_type.stages]
PROCEDURES: Final = sorted(
    {legal.variant for kind in MODEL.case_types for stage in kind.stages for legal in stage.legal if legal.variant}
)
DAYS: Final = (
    "1990-01-01", "2100-12-31", "2024-02-29", "2026-11-24", "2026-11-25", "2026-11-26", "2026-12-24", "2026-12-31",
    "2027-01-06", "2027-03-28", "2027-07-15", "2036-01-01",
)  # fmt: skip
WRONG_DAYS: Final = (
    "0001-01-01", "9999-12-31", "2026-02-29", "2026-13-01", "1989-12-31", "2101-01-01", "2026-11-25T10:00:00Z",
    "i morgon", "", "0000-00-00", "-2026-11-25", "20261125", "2026-W48-3", "１２",
)  # fmt: skip
MOMENTS: Final = (
    "1990-01-01T00:00:00Z", "2100-12-31T23:59:59Z", "2026-11-25T08:00:00+14:00", "2027-03-28T02:30:00+01:00",
    "2026-12-24T18:00:00.999999-12:00", "2026-10-25T02:30:00+02:00", "2024-02-29T12:00:00Z", "2027-02-01T16:00:00Z",
)  # fmt: skip
NUMBERS: Final = (
    0, -1, 1, 1.0, 1.5, 2_000_000_000, 2_000_000_001, 2**63, 10**30, -(10**30), 1e308, -1e308, 5e-324, -0.0,
    math.inf, -math.inf, math.nan,
)  # fmt: skip
TEXTS: Final = (
    "", " ", "\x00", "a\x00b", "\r\nX: y", "\u2028", "\u202e", "e\u0301" * 50, "🏳️‍🌈" * 40, "Å" * 161, "ﷺ" * 300,
    "<script>", "%s%n", "'; DROP TABLE", "196408233234", "0162/prov/A", "../..", "\ufeff", "ä" * 5000, "\U0010ffff",
    "null", "true",
)  # fmt: skip
RAW: Final = {
    "@huge": "1" * 5000, "@exponent": "1e400", "@tiny": "1e-400", "@surrogate": '"\\ud800"',
    "@reversed": '"\\udc00\\ud800"', "@nul": '"\\u0000"', "@deep": "[" * 300 + "]" * 300,
    "@deeper": '{"a":' * 5000 + "1" + "}" * 5000, "@minus": "-",
    "@hex": "0x10", "@octal": "017", "@plus": "+1", "@dot": ".5", "@bare": "bare", "@open": '"',
}  # fmt: skip
"""What no JSON library writes, by the word that stands for it until the text is whole."""
FIELDS: Final = sorted(Case.model_fields)
REACHED: Final = sorted(industries.leaves("2025"))


@dataclass(frozen=True)
class Event:
    """One record of `cases`."""

    kind: str
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]

    def of_case(self, number: int) -> "Event":
        """The same of another case: hypothesis likes to say again what it said before."""
        key = self.key and self.key.replace(b"/F ", b"/F%d " % number)
        return replace(self, key=key, value=self.value and self.value.replace(b'"F ', b'"F%d ' % number, 1))


HEADERS: Final = tuple(
    (name, text.encode())
    for name, text in Envelope(
        id="1", source="prov", type=CASE_CHANGED, time=moment("2026-11-25T08:00:00Z")
    ).headers().items()
)  # fmt: skip

near = st.tuples(st.floats(17.98, 18.12), st.floats(59.36, 59.44))
POSITIONS: Final[tuple[Any, ...]] = (
    (10.0, 54.9), (25.0, 69.5), (18.0, 59.4, 7.5), (18, 59), (18.0, 59.4), (-180.0, 90.0), (180.0, -90.0),
    (59.4, 18.0), (674571.0, 6588707.0), (6588707.0, 674571.0), (0.0, -0.0), (1e-320, 59.4),
    (18.123456789012345678, 59.4),
    (181.0, 59.0), (18.0,), (), (18.0, 59.4, 1.0, 2.0), (18.0, 59.4, 1.0, 2.0, 3.0), (18.0, None), ("18", "59"),
    (math.nan, 59.4), (18.0, math.inf), [[18.0, 59.4]],

)  # fmt: skip
"""Positions at the edge of the possible, and beyond."""


@st.composite
def shape(draw: st.DrawFn) -> dict[str, Any]:
    """A geometry that may well be right."""
    kind = draw(
        st.sampled_from(
            ("Point", "MultiPoint", "LineString", "MultiLineString", "Polygon", "MultiPolygon", "collection")
        )
    )
    some = st.lists(near, min_size=2, max_size=5)
    if kind == "Point":
        return {"type": kind, "coordinates": draw(near)}
    if kind in ("MultiPoint", "LineString"):
        return {"type": kind, "coordinates": draw(some)}
    if kind == "MultiLineString":
        return {"type": kind, "coordinates": draw(st.lists(some, min_size=1, max_size=2))}
    if kind == "Polygon":
        return {"type": kind, "coordinates": draw(rings())}
    if kind == "MultiPolygon":
        return {"type": kind, "coordinates": draw(st.lists(rings(), min_size=1, max_size=2))}
    parts = [{"type": "Point", "coordinates": draw(near)}, {"type": "LineString", "coordinates": draw(some)}]
    return {"type": "GeometryCollection", "geometries": parts}


@st.composite
def rings(draw: st.DrawFn) -> list[list[Any]]:
    """A regular polygon, with a hole or a hole that is none, or corners as they come: often they cross."""
    x, y = draw(near)
    kind = draw(st.sampled_from(("round", "round", "hole", "outside", "wild", "flat", "open", "point")))
    if kind == "wild":
        corners = draw(st.lists(near, min_size=3, max_size=7))
        return [[*corners, corners[0]]]
    if kind == "flat":
        return [[(x, y), (x + 0.01, y), (x, y), (x, y)]]
    if kind == "point":
        return [[(x, y)] * 4]
    radius = draw(st.sampled_from((0.0, 1e-12, 1e-6, 0.001, 0.02, 3.0)))
    count = draw(st.sampled_from((3, 4, 12, 200)))
    outer = _round(x, y, radius, count)
    if kind == "open":
        return [outer[:-1]]
    if kind == "hole":
        return [outer, _round(x, y, radius / 2, count)]
    return [outer, _round(x + 1, y, radius, count)] if kind == "outside" else [outer]


def _round(x: float, y: float, radius: float, corners: int) -> list[Any]:
    turns = (2 * math.pi * i / corners for i in range(corners))
    ring = [(x + radius * math.cos(turn), y + radius * math.sin(turn) / 2) for turn in turns]
    return [*ring, ring[0]]


def large(vertices: int, *, crossing: bool) -> dict[str, Any]:
    """A polygon of very many corners: a circle, or a star that crosses itself at each."""
    step = vertices // 2 - 1 if crossing else 1
    ring = _round(18.05, 59.4, 0.02, vertices - 1)
    turned = [ring[i * step % (vertices - 1)] for i in range(vertices - 1)]
    return {"type": "Polygon", "coordinates": [[*turned, turned[0]]]}


LARGE: Final = [
    large(vertices, crossing=crossing) for vertices in (2_000, 8_001, 19_999, 20_001) for crossing in (False, True)
] + [
    {"type": "LineString", "coordinates": [(10 + i % 2 * 15, 55 + i % 7 * 2) for i in range(4_000)]},
    {"type": "MultiPoint", "coordinates": [(18 + i / 1e6, 59.4) for i in range(20_000)]},
    {"type": "MultiPolygon", "coordinates": [[_round(18 + i / 1e4, 59.4, 1e-5, 6)] for i in range(2_500)]},
    {"type": "MultiPolygon", "coordinates": [[_round(18.05, 59.4, 0.02, 30)] for _ in range(600)]},
]  # fmt: skip
"""Up to the limit of an event and just over it, and what is hard to look at: crossings, surfaces that lie on others."""

codes = st.builds(
    lambda code, digits, version: {"code": code[:digits], "version": version},
    st.sampled_from(REACHED),
    st.sampled_from((2, 3, 4, 5)),
    st.sampled_from(("2025", "2025", "2007")),
) | st.sampled_from(
    [{"code": "I", "version": "2025"}, {"code": "L", "version": "2007"}, {"code": "56.1", "version": "2025"},
     {"code": "99999", "version": "2025"}, {"code": "5", "version": "2025"}, {"code": "١٢", "version": "2025"},
     {"code": "56", "version": "2002"}, {"code": "45", "version": "2025"}]
)  # fmt: skip
meetings = st.fixed_dictionaries(
    {"place": st.just("Stadshuset"), "start": st.sampled_from(MOMENTS)},
    optional={"seats": st.sampled_from((1, 10_000)), "form": st.sampled_from(sorted(MODEL.forms))},
)  # fmt: skip
reach = st.lists(
    st.fixed_dictionaries(
        {"buffer_m": st.sampled_from((0, 0.001, 50, 99_999.9, 100_000))},
        optional={
            "industries": st.just("all") | st.lists(codes, min_size=1, max_size=2),
            "why": st.sampled_from(("nära", "")),
        },
    ),
    min_size=1,
    max_size=3,
)
OPTIONAL: Final = {
    "state": st.sampled_from(("open", "open", "withdrawn", "closed")),
    "occurrence": st.sampled_from((1, 2, 1000)),
    "procedure": st.sampled_from(PROCEDURES),
    "influence": st.sampled_from(("none", "inform", "consult", "involve", "collaborate")),
    "industries": st.lists(codes, max_size=3),
    "named": st.lists(st.sampled_from(("W1", "W2", "nobody", "W1")), max_size=3),
    "applicant": st.sampled_from(("556000-0001", "W1", "x")),
    "reach": reach,
    "respond_by": st.sampled_from(DAYS),
    "stage_opened": st.sampled_from(DAYS),
    "decision_at": st.sampled_from(DAYS),
    "event_at": st.sampled_from(MOMENTS),
    "meeting": meetings,
    "form": st.sampled_from(sorted(MODEL.forms)),
    "summary": st.text(max_size=30),
    "open_questions": st.sampled_from(("En fråga", ["En", "Två"])),
    "urgent": st.just(False),
    "urgent_reason": st.sampled_from(("Vattenläcka", "")),
    "deviation_reason": st.sampled_from(("Beslut av nämnden", "")),
    "question_en": st.sampled_from(("Why?", "")),
    "title_en": st.sampled_from(("Title", "")),
    "official": st.fixed_dictionaries({"name": st.just("Anna")}),
    "synthetic": st.booleans(),
    "confidential": st.just(False),
}


@st.composite
def contents(draw: st.DrawFn, places: st.SearchStrategy[Any], extra: int = 5) -> dict[str, Any]:
    """A case of any stage that may well be right."""
    case_type, stage = draw(st.sampled_from(STAGES))
    names = draw(st.lists(st.sampled_from(sorted(OPTIONAL)), max_size=extra, unique=True))
    made: dict[str, Any] = {
        "municipality": draw(st.sampled_from(("0162", "0162", "0162", "0180", "9999"))),
        "source": "prov",
        "case_id": f"F {draw(st.integers(0, 9))}",
        "version": draw(st.sampled_from((1, 1, 2, 2_000_000_000))),
        "title": draw(st.sampled_from(("Titel", "Vägen byggs om"))),
        "case_type": case_type,
        "stage": stage,
    } | {name: draw(OPTIONAL[name]) for name in names}
    where = draw(st.sampled_from(("place", "place", "place", "municipality", "named")))
    if where == "place":
        role = draw(st.sampled_from(("site", "road", "detour", "zone")))
        made["geometries"] = [{"role": role, "geometry": draw(places)}]
    elif where == "municipality":
        made["area"] = "municipality"
    else:
        made.setdefault("named", ["W1", "W2"])
    return made


def value(rng: Random) -> Any:
    """Anything that JSON can say, and some that it cannot."""
    kind = rng.randrange(9)
    if kind < 4:
        return rng.choice((None, True, False, *NUMBERS, *TEXTS, *WRONG_DAYS, *RAW))
    if kind < 6:
        return "".join(chr(rng.randrange(1 << rng.choice((7, 8, 16, 20)))) for _ in range(rng.randrange(7)))
    if kind == 6:
        return rng.randrange(-(1 << 70), 1 << 70)
    if kind == 7:
        return [value(rng) for _ in range(rng.randrange(3))]
    return {rng.choice(("type", "a", "")): value(rng) for _ in range(rng.randrange(3))}


def mutated(made: dict[str, Any], rng: Random) -> bytes:
    """A case of which one to three values were replaced, left out, added or said twice."""
    made = json.loads(json.dumps(made))
    for _ in range(rng.randint(1, 3)):
        inner, key = _somewhere(made, rng)
        if isinstance(inner, dict) and key in inner and not rng.randrange(4):
            del inner[key]
        elif key is not None:
            inner[key] = value(rng)
    text = json.dumps(made, ensure_ascii=bool(rng.randrange(2)))
    for word, raw in RAW.items():
        text = text.replace(f'"{word}"', raw)
    if not rng.randrange(10):
        text = f'{{"{rng.choice(FIELDS)}": {json.dumps(value(rng))}, {text[1:]}'
    return text.encode("utf-8", "surrogatepass")


def _somewhere(inner: Any, rng: Random) -> tuple[Any, Any]:
    """A place in a case: an object or a list, and a key of it or one that it does not have."""
    while True:
        if isinstance(inner, dict):
            key: Any = rng.choice((*inner, *inner, "okand", rng.choice(FIELDS)))
            deeper = inner.get(key)
        else:
            key = rng.randrange(len(inner)) if inner else None
            deeper = inner[key] if inner else None
        if not isinstance(deeper, dict | list) or rng.randrange(2):
            return inner, key
        inner = deeper


def garbled(made: dict[str, Any], rng: Random) -> bytes:
    """The text of a case, cut, changed in places, or in another encoding; or bytes that never were one."""
    text = json.dumps(made, ensure_ascii=False)
    whole = text.encode()
    at = rng.randrange(len(whole) + 1)
    how = rng.randrange(8)
    if how == 0:
        return rng.randbytes(rng.randrange(200))
    if how == 1:
        opened = rng.choice((b"[", b'{"a":', b'{"geometries":[', b'{"title":['))
        return opened * rng.choice((200, 200, 1_500, 1_500, 100_000))
    if how == 2:
        return rng.choice((b"", b" ", b"\xef\xbb\xbf", b"null", b"[]", b"{}", b"0", b'"x"', b"\0" * 100, b"nan"))
    if how == 3:
        return text.encode(rng.choice(("utf-16", "utf-32", "utf-8-sig", "utf-7", "latin-1")), "replace")
    if how == 4:
        return whole + rng.choice((b"", b"\n", b",")) + whole
    return whole[:at] if how == 5 else whole[:at] + rng.randbytes(rng.randint(1, 4)) + whole[at + 1 :]


def misplaced(made: dict[str, Any], rng: Random) -> bytes:
    """A case with positions that are at the edge of the possible, or beyond."""
    positions = [rng.choice(POSITIONS) if rng.randrange(3) else (18.0 + rng.random() / 9, 59.4) for _ in range(5)]
    line = [*positions, positions[0]]
    place = rng.choice(
        (
            {"type": "Point", "coordinates": positions[0]},
            {"type": "LineString", "coordinates": positions},
            {"type": "MultiPoint", "coordinates": positions},
            {"type": "Polygon", "coordinates": [line]},
            {"type": "MultiPolygon", "coordinates": [[line], [line]]},
            {"type": "GeometryCollection", "geometries": [{"type": "MultiLineString", "coordinates": [positions] * 2}]},
        )
    )
    kept = {name: part for name, part in made.items() if name != "area"}
    return _as_json(kept | {"geometries": [{"role": rng.choice(("site", "detour")), "geometry": place}]})


def misaddressed(whole: bytes, rng: Random) -> Event:
    """A good case in an envelope that is not."""
    headers, how = list(HEADERS), rng.randrange(7)
    if how == 0:
        return Event("envelope", rng.choice((None, b"", rng.randbytes(20))), whole, HEADERS)
    if how == 1:
        return Event("envelope", rng.randbytes(20), None, ())
    if how == 2:
        return Event("envelope", _key(whole), whole, ())
    at = rng.randrange(len(headers))
    if how == 3:
        del headers[at]
    elif how == 4:
        headers.append(headers[at])
    elif how == 5:
        kinds = (b"se.nardialog.case.changed.v2", b"se.nardialog.company.changed.v1", b"", b"x")
        headers = [(name, rng.choice(kinds) if name == "ce_type" else text) for name, text in headers]
    else:
        headers[at] = (headers[at][0], rng.randbytes(rng.randrange(30)))
    return Event("envelope", _key(whole), whole, tuple(headers))


def family(made: dict[str, Any], number: int) -> list[Event]:
    """A case and what may become of it on its way: a draw of hypothesis is dear, and spoiling is cheap."""
    rng = Random(number)
    whole = _as_json(made)
    values = [
        ("whole", whole),
        ("misplaced", misplaced(made, rng)),
        *(("mutated", mutated(made, rng)) for _ in range(4)),
        ("garbled", garbled(made, rng)),
    ]
    return [*(Event(kind, _key(value), value, HEADERS) for kind, value in values), misaddressed(whole, rng)]


def _key(value: bytes) -> bytes:
    try:
        content = json.loads(value)
        return f"{content['municipality']}/{content['source']}/{content['case_id']}".encode()
    except (ValueError, TypeError, KeyError, RecursionError):
        return b"0162/prov/A"


def _as_json(content: Any) -> bytes:
    return json.dumps(content).encode()


def _large(made: dict[str, Any], place: dict[str, Any]) -> list[Event]:
    kept = {name: part for name, part in made.items() if name != "area"}
    value = _as_json(kept | {"geometries": [{"geometry": place}]})
    return [Event("large", _key(value), value, HEADERS)]


WHOLE: Final = contents(shape()).map(lambda made: [Event("whole", _key(_as_json(made)), _as_json(made), HEADERS)])
"""Cases that may well be right."""
FAMILIES: Final = st.builds(family, contents(shape(), extra=8), st.integers(0, 1 << 60))
"""Any events but the largest."""
LARGEST: Final = st.builds(_large, contents(shape(), extra=1), st.sampled_from(LARGE))
"""Events near the limit of what an event may be."""
