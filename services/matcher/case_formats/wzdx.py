"""Road works in the Work Zone Data Exchange (WZDx) of the US Department of Transportation, versions 4.0 to 4.2.

A FeatureCollection of road events: work zones, and the detours around them. Events that are said to be one sequence
(`first-in-sequence`, `next-in-sequence`) are one work zone and so one case; a detour belongs to the work zone that it
is related to. The case bears the id of the sequence's first work zone.

The format has no stages. `phase` is what the event's own dates say on the day of the import, in the words of its
deprecated `event_status`: which stage each is stands in the mapping (`mappings/wzdx.toml`).
"""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any, Final

from services.matcher.case_formats.items import Unreadable, Unusable, features
from services.matcher.case_formats.mapped import Piece
from services.matcher.case_formats.shaping import day_of
from services.runtime.mapping import flatten

FEED: Final = ("feed_info", "road_event_feed_info")
SOON: Final = timedelta(days=21)
"""Works that start within so many days are pending: "2-3 weeks" in the words of the specification."""
IMPACTS: Final[Mapping[str, tuple[str, str]]] = {
    "all-lanes-closed": ("Alla körfält är avstängda.", "All lanes are closed."),
    "some-lanes-closed": ("Något körfält är avstängt.", "Some lanes are closed."),
    "some-lanes-closed-merge-left": ("Något körfält är avstängt.", "Some lanes are closed."),
    "some-lanes-closed-merge-right": ("Något körfält är avstängt.", "Some lanes are closed."),
    "some-lanes-closed-split": ("Något körfält är avstängt.", "Some lanes are closed."),
    "all-lanes-open": ("Alla körfält är öppna.", "All lanes are open."),
    "all-lanes-open-shift-left": ("Alla körfält är öppna men flyttade i sidled.", "All lanes are open but shifted."),
    "all-lanes-open-shift-right": ("Alla körfält är öppna men flyttade i sidled.", "All lanes are open but shifted."),
    "alternating-one-way": ("Trafiken går växelvis i en riktning i taget.", "Traffic alternates one way at a time."),
    "flagging": ("Trafiken dirigeras av vakt.", "Traffic is directed by flaggers."),
    "temporary-traffic-signal": ("Trafiken styrs av tillfälliga signaler.", "Temporary signals direct the traffic."),
}
"""`vehicle_impact` in words; of `unknown` nothing is said."""


def pieces(content: Mapping[str, Any], today: date) -> list[Piece]:
    """The work zones of a feed with their detours. Raises `Unreadable`."""
    _check_version(content)
    events = [_Event(place, feature, today) for place, feature in features(content)]
    groups = _Groups(events)
    return [event.piece(groups) for event in events]


def _check_version(content: Mapping[str, Any]) -> None:
    info = next((info for name in FEED if isinstance(info := content.get(name), dict)), {})
    version = str(info.get("version", ""))
    if version.partition(".")[0] != "4":
        raise Unreadable(f"is WZDx {version[:10] or 'without a version in feed_info'}; versions 4.0 to 4.2 are read")


class _Event:
    """One road event."""

    def __init__(self, place: str, feature: Mapping[str, Any], today: date) -> None:
        properties = feature.get("properties")
        self.place = place
        self.properties: Mapping[str, Any] = properties if isinstance(properties, dict) else {}
        core = self.properties.get("core_details")
        self.core: Mapping[str, Any] = core if isinstance(core, dict) else {}
        self.id = str(feature.get("id") or "")
        self.geometry = feature.get("geometry")
        self.today = today

    @property
    def type(self) -> str:
        return str(self.core.get("event_type", ""))

    @property
    def related(self) -> list[tuple[str, str]]:
        """How it is related to which events."""
        listed = self.core.get("related_road_events")
        found = [(str(one.get("type")), str(one.get("id"))) for one in _objects(listed)]
        relationship = self.core.get("relationship")  # of 4.0, deprecated since
        for name in ("first", "next"):
            ids = relationship.get(name) if isinstance(relationship, dict) else None
            found += [(f"{name}-in-sequence", str(one)) for one in (ids if isinstance(ids, list) else ())]
        return found

    def piece(self, groups: "_Groups") -> Piece:
        first = groups.first(self)
        row = {"case": first.id if first else self.id} | (first or self).row()
        try:
            if first is None:
                raise self._fault()
            role = "road" if self.type == "work-zone" else "detour"
            return Piece(self.place, row, [(role, self._place())])
        except Unusable as error:
            return Piece(self.place, row, (), fault=error)

    def _fault(self) -> Unusable:
        if self.type == "detour":
            return Unusable("detour_alone", "the detour is related to no work zone of the file (related-work-zone)")
        return Unusable("unknown_event_type", "core_details.event_type is neither work-zone nor detour")

    def _place(self) -> Mapping[str, Any]:
        if not isinstance(self.geometry, dict) or self.geometry.get("type") not in ("LineString", "MultiPoint"):
            raise Unusable("wrong_geometry", "a road event has a LineString or a MultiPoint", "/geometries")
        return self.geometry

    def row(self) -> dict[str, str]:
        """What it says by its own names, and what its dates and its impact say in words."""
        names = self.core.get("road_names")
        roads = ", ".join(str(name) for name in names) if isinstance(names, list) else ""
        sv, en = IMPACTS.get(str(self.properties.get("vehicle_impact")), ("", ""))
        begins, ends = (day_of(str(self.properties.get(name))) for name in ("start_date", "end_date"))
        phase = _phase(begins, ends, self.today)
        opened = {"active": begins, "completed": ends}.get(phase)
        return flatten({name: value for name, value in self.properties.items() if name != "lanes"}) | {
            "id": self.id,
            "roads": roads,
            "title": str(self.core.get("name") or f"Vägarbete {roads}"),
            "title_en": str(self.core.get("name") or f"Road works {roads}"),
            "impact_sv": sv,
            "impact_en": en,
            "phase": phase,
            "opened": opened.isoformat() if opened else "",
            "begins": str(self.properties.get("start_date")) if begins and begins > self.today else "",
        }


def _phase(begins: date | None, ends: date | None, today: date) -> str:
    if begins is None or ends is None:
        return ""
    if ends < today:
        return "completed"
    if begins <= today:
        return "active"
    return "pending" if begins - today <= SOON else "planned"


class _Groups:
    """Which events are one work zone: those of one sequence, and the detours around it."""

    def __init__(self, events: Sequence[_Event]) -> None:
        self._events = {event.id: event for event in events if event.id}
        self._leader = {id_: id_ for id_ in self._events}
        for event in events:
            for kind, other in event.related:
                if event.id in self._events and other in self._events and self._joins(event, kind, other):
                    self._leader[self._top(other)] = self._top(event.id)
        self._first: dict[str, _Event] = {}
        named = {other for event in events for kind, other in event.related if kind == "first-in-sequence"}
        for id_ in sorted(self._events, key=lambda id_: (id_ not in named, id_)):
            if self._events[id_].type == "work-zone":
                self._first.setdefault(self._top(id_), self._events[id_])

    def first(self, event: _Event) -> _Event | None:
        """The work zone whose id the case bears. None for a detour without one, and for other kinds of events."""
        if event.type not in ("work-zone", "detour"):
            return None
        return self._first.get(self._top(event.id)) if event.id else (event if event.type == "work-zone" else None)

    def _joins(self, event: _Event, kind: str, other: str) -> bool:
        if kind in ("first-in-sequence", "next-in-sequence"):
            return event.type == self._events[other].type
        kinds = (event.type, kind, self._events[other].type)
        return kinds in (("detour", "related-work-zone", "work-zone"), ("work-zone", "related-detour", "detour"))

    def _top(self, id_: str) -> str:
        while self._leader[id_] != id_:
            self._leader[id_] = id_ = self._leader[self._leader[id_]]
        return id_


def _objects(listed: Any) -> list[Mapping[str, Any]]:
    return [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
