"""Other people's case files: what becomes of each format, and everything that is refused by its name."""

import json
from collections.abc import Mapping
from datetime import date
from typing import Any

import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Transformer

from schemas import model as dialogue_model
from schemas.case import Case, CaseState
from schemas.case_rules import judge
from services.matcher import geometry
from services.matcher.case_formats import Format
from services.matcher.case_formats.items import Draft, Item, Refusal, Skipped, Unreadable, Unusable
from services.matcher.case_formats.projecting import to_wgs84
from services.matcher.case_formats.reading import Told, items, recognised
from services.matcher.register.places import system
from tests.everything import EVERYTHING
from tests.matcher_cases import content

MODEL = dialogue_model.default()
TODAY = date(2026, 11, 25)
PLAN = "9d0a6f3e-5b1c-4c55-8a41-0a6c1f0e7b11"
SQUARE = [
    [151500.0, 6588000.0],
    [151600.0, 6588000.0],
    [151600.0, 6588100.0],
    [151500.0, 6588100.0],
    [151500.0, 6588000.0],
]
MAPPING = """
[columns]
case_id = "DIARIENR"
title = "RUBRIK"
stage = "SKEDE"
role = "ROLL"
respond_by = "SENAST"
confidential = "SEKRETESS"
industries = "SNI"

[constants]
source = "gis"
municipality = "0162"
case_type = "gatuarbete"
sni_version = "2025"

[values.role]
"omledning" = "detour"
"*" = "road"

[skip]
SKEDE = ["arkiverad"]
"""


def read(whole: Any, mapping: str | None = None, **told: Any) -> list[Item]:
    data = whole if isinstance(whole, bytes) else json.dumps(whole).encode()
    return list(items(data, Told(mapping=mapping, **told), MODEL, TODAY))


def case(item: Item, *, anywhere: bool = False) -> Case:
    assert isinstance(item, Draft), item
    verdict = judge(item.value, MODEL, anywhere=anywhere)
    assert verdict.case is not None, verdict.complaints
    return verdict.case


def reason(item: Item) -> tuple[str, str]:
    assert isinstance(item, Refusal), item
    return item.complaints[0].code, item.complaints[0].detail


def why_not(whole: Any, mapping: str | None = None, **told: Any) -> str:
    with pytest.raises(Unreadable) as caught:
        read(whole, mapping, **told)
    return str(caught.value)


def feature(*, at: Any = (18.03, 59.4), **properties: str) -> dict[str, Any]:
    row = {"DIARIENR": "KS 1", "RUBRIK": "Vägen", "SKEDE": "projektering", "ROLL": "", "SENAST": "", "SEKRETESS": "",
           "SNI": ""}  # fmt: skip
    place = at if isinstance(at, dict) or at is None else {"type": "Point", "coordinates": at}
    return {"type": "Feature", "properties": row | properties, "geometry": place}


def collection(*features: Any, **members: Any) -> dict[str, Any]:
    return {"type": "FeatureCollection", "features": list(features)} | members


def plan(*surfaces: Any, **changes: Any) -> dict[str, Any]:
    properties = {
        "feature:typ": "detaljplan", "objektidentitet": PLAN, "objektversion": 3,
        "versionGiltigFran": "2026-11-01T00:00:00Z", "kommun": "Danderyd", "namn": "Detaljplan för Torget",
        "syfte": "Handel i bottenvåningen", "status": "samråd", "datumStatusforandring": "2026-11-20",
        "typ": "detaljplan",
        "plangeometri": [surface(ring) for ring in surfaces or (SQUARE,)],
        "beslutsinformation": [{"diarienummerKommun": "BN 2026/12", "instansInomKommunen": "byggnadsnämnd enligt PBL"}],
        "planbeskrivning": {"planbeskrivning": {"namn": "Beskrivning", "referens": [{"lank": "https://kommun.example/p"}]}},
    }  # fmt: skip
    return {"type": "Feature", "geometry": None, "properties": properties | changes}


def surface(ring: Any, system: str = "EPSG:3011", kind: str = "Polygon") -> dict[str, Any]:
    position = {"type": kind, "coordinates": [ring]}
    return {"geometri": {"typ": "yta", "position": position, "koordinatsystemPlan": system, "dimension": 2}}


def delivery(*features: Any, version: str = "4") -> dict[str, Any]:
    return collection(*features, **{"feature:mediatyp": f"application/vnd.lm.detaljplan.v{version}+json"})


def event(id_: str, kind: str = "work-zone", *related: tuple[str, str], **changes: Any) -> dict[str, Any]:
    core = {
        "event_type": kind, "data_source_id": "1", "road_names": ["Stockholmsvägen"], "direction": "northbound",
        "description": "Ny beläggning.", "related_road_events": [{"type": how, "id": other} for how, other in related],
    }  # fmt: skip
    properties = {
        "core_details": core, "start_date": "2026-12-10T07:00:00Z", "end_date": "2027-02-01T16:00:00Z",
        "vehicle_impact": "some-lanes-closed",
    }  # fmt: skip
    place = {"type": "LineString", "coordinates": [[18.03, 59.4], [18.034, 59.402]]}
    return {"type": "Feature", "id": id_, "properties": properties | changes, "geometry": place}


def feed(*events: Any, version: str = "4.2") -> dict[str, Any]:
    return collection(*events, feed_info={"version": version})


IN_DANDERYD = '[constants]\nmunicipality = "0162"\n'


def application(stage: str = "consultation", status: str = "undetermined", **changes: Any) -> dict[str, Any]:
    site = {"type": "Polygon", "coordinates": [[[-0.1, 51.4], [-0.09, 51.4], [-0.09, 51.41], [-0.1, 51.4]]]}
    return {
        "applicationType": "pp.full.minor",
        "data": {
            "application": {"reference": "A-1", "stage": stage, "status": status} | changes,
            "consultation": {"startDate": "2026-11-20", "endDate": "2026-12-11"},
            "assessment": {"planningOfficerDecisionDate": "2026-12-20"},
            "caseOfficer": {"name": "Casey Officer"},
        },
        "submission": {
            "data": {
                "applicant": {"name": {"first": "Zebulon"}, "email": "zebulon@example.com"},
                "proposal": {"description": "A café", "boundary": {"site": {"type": "Feature", "geometry": site}}},
                "property": {"address": {"title": "1 High Street", "latitude": 51.4, "longitude": -0.1}},
            }
        },
        "metadata": {"organisation": "LBH"},
    }


@pytest.mark.parametrize(
    ("whole", "found"),
    [
        (content(), "nardialog"),
        ([content()], "nardialog"),
        (collection(feature()), "geojson"),
        (feature(), "geojson"),
        (delivery(plan()), "detaljplan"),
        (feed(event("a")), "wzdx"),
        (application(), "ukplanning"),
        ([application()], "ukplanning"),
        ("nothing of all that", "nardialog"),
    ],
)
def test_a_format_is_recognised_by_what_stands_in_it(whole: Any, found: Format) -> None:
    assert recognised(json.dumps(whole).encode()) == found


# Our own


def test_our_own_cases_come_as_lines_or_as_an_array_and_keep_their_version_and_their_bytes() -> None:
    one, two = json.dumps(content(version=7)), json.dumps(content(case_id="B"))
    as_lines = read(f"{one}\n\n{two}\n".encode())
    as_array = read(f"[{one},\n{two}]".encode())
    assert [item.value.decode() for item in as_lines if isinstance(item, Draft)] == [one, two]
    assert [(item.place, item.value) for item in as_array if isinstance(item, Draft)] == [
        ("line 1", one.encode()),
        ("line 2", two.encode()),
    ]
    assert [item.numbered for item in as_lines if isinstance(item, Draft)] == [None, None]


def test_an_array_that_breaks_off_gives_what_was_whole_and_the_rest_to_be_refused() -> None:
    whole, broken = read(f"[{json.dumps(content())},\n{json.dumps(content())[:-9]}".encode())
    assert case(whole).case_id == "A"
    assert isinstance(broken, Draft)
    assert (broken.place, judge(broken.value, MODEL).complaints[0].code) == ("line 2", "broken_json")


def test_our_own_format_has_no_mapping_and_no_other_system() -> None:
    assert "leave --mapping and --crs out" in why_not(content(), MAPPING)
    assert "leave --mapping and --crs out" in why_not(content(), crs="EPSG:3006")


# GeoJSON


def test_features_of_one_case_are_one_case_with_all_their_places_in_their_roles() -> None:
    road = feature(SENAST="2027/01/15", SNI="56 47.2")
    (one,) = read(collection(road, feature(SENAST="2027/01/15", SNI="56 47.2", ROLL="omledning")), MAPPING)
    made = case(one)
    assert [item.role for item in made.geometries] == ["road", "detour"]
    assert (made.key, made.stage, made.respond_by) == ("0162/gis/KS 1", "projektering", date(2027, 1, 15))
    assert [(code.code, code.version) for code in made.industries] == [("56", "2025"), ("47.2", "2025")]


def test_features_of_one_case_that_say_different_things_are_refused_and_not_chosen_from() -> None:
    (item,) = read(collection(feature(), feature(RUBRIK="Annan")), MAPPING)
    assert reason(item) == ("pieces_disagree", "pieces of one case must say the same: feature 2 has another title")


def test_a_case_is_not_taken_by_halves_when_one_of_its_features_is_refused() -> None:
    outcomes = read(collection(feature(), feature(SKEDE="vilande")), MAPPING)
    assert {reason(item)[0] for item in outcomes} == {"unknown_stage", "piece_refused"}


def test_what_the_mapping_leaves_out_is_counted_and_what_it_does_not_know_is_refused_by_name() -> None:
    skipped, unknown = read(collection(feature(SKEDE="arkiverad"), feature(DIARIENR="KS 2", SKEDE="vilande")), MAPPING)
    assert isinstance(skipped, Skipped)
    assert reason(unknown)[1].startswith('"vilande" is no stage of gatuarbete; say which in [values.stage]')


@pytest.mark.parametrize("text", ["19640823-3234", "<b>", "a" * 61, ""])
def test_what_is_not_plainly_a_word_is_not_repeated(text: str) -> None:
    (item,) = read(collection(feature(SKEDE=text)), MAPPING)
    code, detail = reason(item)
    assert code == "unknown_stage"
    assert not text or text not in detail


@pytest.mark.parametrize("secret", ["ja", "JA", "true", "sekretess 21 kap."])
def test_a_confidential_feature_is_refused_without_a_word_of_it(secret: str) -> None:
    (item,) = read(collection(feature(SEKRETESS=secret, SKEDE="vilande")), MAPPING)
    assert reason(item)[0] == "confidential"
    assert isinstance(item, Refusal)
    assert item.case is None


def test_a_case_is_confidential_as_a_whole_if_one_of_its_features_is() -> None:
    outcomes = read(collection(feature(), feature(SEKRETESS="ja")), MAPPING)
    assert [reason(item)[0] for item in outcomes] == ["confidential", "confidential"]
    assert "KS 1" not in repr(outcomes)


def test_an_id_that_reads_as_a_personal_number_is_refused_and_not_shown() -> None:
    for changes in ({}, {"SKEDE": "vilande"}):
        (item,) = read(collection(feature(DIARIENR="19640823-3234", **changes)), MAPPING)
        assert not isinstance(item, Skipped)
        assert item.case is None


def test_features_without_properties_are_refused_one_by_one() -> None:
    assert [reason(item)[0] for item in read(collection({"geometry": None}, {}), MAPPING)] == ["unknown_stage"] * 2


def test_a_property_called_confidential_is_heeded_though_no_mapping_names_it() -> None:
    secret = feature()
    secret["properties"]["meta"] = {"Confidential": True}
    assert reason(read(collection(secret), MAPPING)[0])[0] == "confidential"
    secret["properties"]["meta"] = {"Confidential": "nej"}
    assert case(read(collection(secret), MAPPING)[0]).case_id == "KS 1"


def test_properties_that_bear_our_names_need_no_mapping_and_their_version_is_their_own() -> None:
    mine = {name: value for name, value in content(version=4).items() if name != "geometries"}
    (item,) = read(collection({"type": "Feature", "properties": mine, "geometry": feature()["geometry"]}))
    assert isinstance(item, Draft)
    assert (item.numbered, case(item).version) == (None, 4)


def test_without_a_version_the_case_is_numbered_later() -> None:
    (item,) = read(collection(feature()), MAPPING)
    assert isinstance(item, Draft)
    assert item.numbered == 0


@pytest.mark.parametrize(
    ("whole", "mapping", "said"),
    [
        (collection(feature()), None, "nothing says case_id, source, municipality, title, case_type, stage"),
        (
            collection(feature()),
            MAPPING.replace('"RUBRIK"', '"RUBRKI"'),
            "column RUBRKI is not in the file; nearest: RUBRIK",
        ),
        (collection(feature()), MAPPING.replace("title =", "titel ="), "titel: no such name of ours; nearest: title"),
        (collection(feature()), "[columns", "is not TOML"),
        (b'{"type": "FeatureCollection", "features": [', MAPPING, "is not whole JSON, from line 1"),
        ({"type": "FeatureCollection"}, MAPPING, "is no GeoJSON FeatureCollection"),
        (b'{"type": "\xff"}', MAPPING, "is not UTF-8"),
    ],
)
def test_a_file_or_a_mapping_that_cannot_be_used_stops_at_once_and_says_why(
    whole: Any, mapping: str | None, said: str
) -> None:
    assert said in why_not(whole, mapping, format="geojson")


@pytest.mark.parametrize("broken", [None, 7, [], {}, {"type": "Feature"}, {"properties": 3, "geometry": "x"}])
def test_a_feature_of_any_shape_is_refused_alone(broken: Any) -> None:
    bad, good = read(collection(broken, feature()), MAPPING)
    assert isinstance(bad, Refusal)
    assert case(good).case_id == "KS 1"


def test_an_encoding_that_is_told_is_read_and_a_wrong_one_is_said() -> None:
    data = json.dumps(collection(feature(RUBRIK="Småbåtshamnen")), ensure_ascii=False).encode("latin-1")
    (item,) = read(data, MAPPING, format="geojson", encoding="iso-8859-1")
    assert case(item).title == "Småbåtshamnen"
    assert "is not ascii" in why_not(data, MAPPING, format="geojson", encoding="ascii")
    assert "no encoding is called" in why_not(data, MAPPING, format="geojson", encoding="svenska")


def test_a_text_that_is_too_long_is_cut_and_says_so() -> None:
    (item,) = read(collection(feature(RUBRIK="Väg " * 60)), MAPPING)
    title = case(item).title
    assert title.endswith(" …")
    assert len(title) <= 160


def test_a_last_day_to_answer_in_another_century_is_a_slip_and_a_decision_then_is_history() -> None:
    (slip,) = read(collection(feature(SENAST="1974-01-01")), MAPPING)
    assert isinstance(slip, Draft)
    assert judge(slip.value, MODEL).complaints[0].pointer == "/respond_by"
    (old,) = read(delivery(plan(status="laga kraft", datumStatusforandring="1974-05-01")))
    assert case(old).stage_opened is None
    assert isinstance(old, Draft)
    assert old.opened == date(1974, 5, 1)


# Reference systems


def test_a_system_is_told_or_stated_by_the_file_and_the_two_must_agree() -> None:
    east, north = 151500.0, 6588000.0
    stated = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::3011"}}
    told = case(read(collection(feature(at=[east, north])), MAPPING, crs="EPSG:3011")[0])
    said = case(read(collection(feature(at=[east, north]), crs=stated), MAPPING)[0])
    mapped = case(read(collection(feature(at=[east, north])), f'crs = "EPSG:3011"\n{MAPPING}')[0])
    lon, lat = Transformer.from_crs("EPSG:3011", "EPSG:4326", always_xy=True).transform(east, north)
    for found in (told, said, mapped):
        position = found.geometries[0].geometry.model_dump()["coordinates"]
        assert position == pytest.approx((lon, lat), abs=1e-7)
    assert "the file says EPSG:3011 and EPSG:3006 was told" in why_not(
        collection(feature(), crs=stated), MAPPING, crs="EPSG:3006"
    )


@pytest.mark.parametrize("code", ["EPSG:3006", *(f"EPSG:{n}" for n in range(3007, 3019)), "EPSG:3021", "EPSG:3847"])
def test_a_point_of_any_swedish_system_is_where_the_epsg_database_has_it(code: str) -> None:
    east, north = Transformer.from_crs("EPSG:4326", code, always_xy=True).transform(18.03, 59.4)
    found = to_wgs84({"type": "Point", "coordinates": [east, north, 12.0]}, system(code))
    assert found["coordinates"] == pytest.approx([18.03, 59.4], abs=1e-7)


@pytest.mark.parametrize("crs", ["EPSG:0", "EPSG:4978", {"type": "link"}, 3006, {"type": "name", "properties": 1}])
def test_a_system_that_nobody_knows_or_that_gives_no_places_is_refused_whoever_says_it(crs: Any) -> None:
    assert why_not(collection(feature(), crs=crs if not isinstance(crs, str) else None), MAPPING, crs=str(crs))
    stated = {"type": "name", "properties": {"name": crs}} if isinstance(crs, str) else crs
    assert why_not(collection(feature(), crs=stated), MAPPING)


def test_a_long_straight_line_in_the_grid_stays_straight_in_the_grid() -> None:
    """Uncut, the middle of a 20 km edge would lie metres off."""
    line = {"type": "LineString", "coordinates": [[670000, 6587000], [690000, 6587000]]}
    projected = geometry.project(shapely.from_geojson(json.dumps(to_wgs84(line, system("EPSG:3006")))))
    assert shapely.hausdorff_distance(projected, shapely.from_geojson(json.dumps(line)), densify=0.01) < 0.05


@pytest.mark.parametrize(
    "coordinates", [[1e308, 1e308], [float("nan"), 1.0], [1e12, 0.0], "x", [], [["a"]], None, [1], [True, False]]
)
def test_coordinates_that_do_not_fit_are_refused_whatever_they_are(coordinates: Any) -> None:
    for kind in ("Point", "LineString", "Polygon", "MultiPolygon", "Nothing", None):
        for whole in (coordinates, [[0.0, 0.0], coordinates]):
            try:
                made = to_wgs84({"type": kind, "coordinates": whole}, system("EPSG:3006"))
            except Unusable:
                continue
            outcome = judge(json.dumps(content(geometries=[{"role": "site", "geometry": made}])).encode(), MODEL)
            assert outcome.case is None


# Plans


def test_a_plan_is_a_case_with_the_uuid_as_its_id_and_the_stage_that_the_model_says_its_status_is() -> None:
    (item,) = read(delivery(plan(), {"type": "Feature", "properties": {"feature:typ": "användningsbestämmelse"}}))
    made = case(item)
    assert isinstance(item, Draft)
    assert (made.key, item.numbered) == (f"0162/ngp/{PLAN}", 3)
    assert (made.case_type, made.stage, made.stage_opened) == ("detaljplan", "samrad", date(2026, 11, 20))
    assert (made.diary_number, made.decision_body) == ("BN 2026/12", "byggnadsnämnd enligt PBL")
    assert (made.title, made.summary) == ("Detaljplan för Torget", "Handel i bottenvåningen")
    assert [document.url for document in made.documents] == ["https://kommun.example/p"]
    assert [(part.role, part.geometry.type) for part in made.geometries] == [("site", "Polygon")]


@pytest.mark.parametrize(
    ("status", "stage"),
    [
        ("påbörjad", "start"), ("samråd", "samrad"), ("granskning", "granskning"), ("antagen", "antagande"),
        ("överklagad", "overklagad"), ("tillsyn", "overklagad"), ("laga kraft", "laga_kraft"),
        ("upphävd", "avslutad"), ("avslutad", "avslutad"),
    ],
)  # fmt: skip
def test_each_status_of_the_national_specification_has_the_stage_that_the_model_gives_it(
    status: str, stage: str
) -> None:
    assert case(read(delivery(plan(status=status)))[0]).stage == stage


def test_a_status_that_the_model_does_not_know_is_refused_by_name_until_a_mapping_says_what_it_is() -> None:
    unknown = delivery(plan(status="vilande"))
    assert reason(read(unknown)[0])[1].startswith('"vilande" is no stage of detaljplan')
    assert case(read(unknown, '[values.stage]\nvilande = "program"')[0]).stage == "program"
    assert isinstance(read(unknown, '[skip]\nstatus = ["vilande"]')[0], Skipped)


def test_a_plan_is_projected_from_the_system_that_it_states() -> None:
    to = Transformer.from_crs("EPSG:3011", "EPSG:3006", always_xy=True)
    in_3006 = [list(to.transform(east, north)) for east, north in SQUARE]
    in_3011 = case(read(delivery(plan()))[0])
    both = case(read(delivery(plan(plangeometri=[surface(SQUARE), surface(in_3006, "EPSG:3006")])))[0])
    first, second = (shapely.from_geojson(part.geometry.model_dump_json()) for part in both.geometries)
    assert shapely.hausdorff_distance(first, second) < 1e-7
    assert in_3011.geometries[0] == both.geometries[0]
    assert shapely.area(geometry.project(first)) == pytest.approx(10_000, rel=0.001)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"plangeometri": [surface([SQUARE], kind="MultiPolygon")]}, "multigeometry"),
        ({"plangeometri": [surface(SQUARE, kind="LineString")]}, "no_surface"),
        ({"plangeometri": [surface(SQUARE, system="EPSG:4326")]}, "unknown_system"),
        ({"plangeometri": [{"geometri": None}]}, "no_geometry"),
        ({"plangeometri": []}, "no_geometry"),
        ({"plangeometri": "yta"}, "no_geometry"),
        ({"kommun": "Ankeborg"}, "unknown_municipality"),
        ({"kommun": ""}, "unknown_municipality"),
    ],
)
def test_a_plan_that_is_not_as_specified_is_refused_by_name_and_the_next_one_is_read(
    changes: Mapping[str, Any], code: str
) -> None:
    bad, good = read(delivery(plan(**changes), plan(objektidentitet="f" * 8)))
    assert reason(bad)[0] == code
    assert case(good).case_id == "f" * 8


@pytest.mark.parametrize("name", ["Danderyd", "danderyd", "Danderyds kommun", "0162"])
def test_a_municipality_is_named_or_coded(name: str) -> None:
    assert case(read(delivery(plan(kommun=name)))[0]).municipality == "0162"


def test_a_plan_of_very_many_surfaces_is_one_case() -> None:
    shifted = [[[x + 200 * i, y] for x, y in SQUARE] for i in range(60)]
    made = case(read(delivery(plan(*shifted)))[0])
    assert [part.geometry.type for part in made.geometries] == ["GeometryCollection"]


def test_another_version_of_the_plans_format_is_refused_as_a_whole() -> None:
    assert "is version 5 of the format" in why_not(delivery(plan(), version="5"))


# Road works


def test_a_work_zone_and_the_detour_around_it_are_one_case_and_its_stage_follows_from_its_dates() -> None:
    (item,) = read(feed(event("b"), event("a", "detour", ("related-work-zone", "b"))), IN_DANDERYD)
    made = case(item)
    assert (made.key, made.case_type, made.stage) == ("0162/wzdx/b", "gatuarbete", "byggstart")
    assert [part.role for part in made.geometries] == ["road", "detour"]
    assert made.title == "Vägarbete Stockholmsvägen"
    assert made.summary == "Ny beläggning. Något körfält är avstängt."
    assert made.event_at is not None


def test_events_of_one_sequence_are_one_case_under_the_first_ones_id_in_whatever_order_they_come() -> None:
    events = [
        event("m"), event("a", "work-zone", ("first-in-sequence", "m"), ("next-in-sequence", "z")),
        event("z", "work-zone", ("first-in-sequence", "m")), event("other"),
    ]  # fmt: skip
    for order in (events, events[::-1]):
        made = [case(item) for item in read(feed(*order), IN_DANDERYD)]
        assert sorted((one.case_id, len(one.geometries)) for one in made) == [("m", 3), ("other", 1)]


@pytest.mark.parametrize(
    ("start", "end", "stage", "ahead"),
    [
        ("2026-12-17", "2027-02-01", "projektering", True),
        ("2026-12-16", "2027-02-01", "byggstart", True),
        ("2026-11-25", "2027-02-01", "pagar", False),
        ("2026-11-01", "2026-11-25", "pagar", False),
        ("2026-11-01", "2026-11-24", "avslut", False),
    ],
)
def test_the_stage_of_road_works_is_the_mappings_word_for_the_phase_that_they_are_in(
    start: str, end: str, stage: str, ahead: bool
) -> None:
    dates = {"start_date": f"{start}T07:00:00Z", "end_date": f"{end}T16:00:00Z"}
    made = case(read(feed(event("a", **dates)), IN_DANDERYD)[0])
    assert (made.stage, made.event_at is not None) == (stage, ahead)
    opened = {"pagar": start, "avslut": end}.get(stage)
    assert made.stage_opened == (date.fromisoformat(opened) if opened else None)


def test_the_status_wins_over_the_dates_and_an_unknown_one_is_refused_by_name() -> None:
    assert case(read(feed(event("a", event_status="planned")), IN_DANDERYD)[0]).stage == "projektering"
    assert reason(read(feed(event("a", event_status="paused")), IN_DANDERYD)[0])[1].startswith('"paused" is no stage')
    assert reason(read(feed(event("a", start_date="soon")), IN_DANDERYD)[0])[1].startswith("nothing is no stage")
    assert case(read(feed(event("a", event_status="cancelled")), IN_DANDERYD)[0]).state is CaseState.WITHDRAWN


def test_what_is_no_work_zone_and_belongs_to_none_is_refused_by_name() -> None:
    broken = event("c") | {"geometry": {"type": "Point", "coordinates": [18.0, 59.4]}}
    outcomes = read(feed(event("a", "detour"), event("b", "incident"), broken, event("d")), IN_DANDERYD)
    assert [reason(item)[0] for item in outcomes[:3]] == ["detour_alone", "unknown_event_type", "wrong_geometry"]
    assert case(outcomes[3]).case_id == "d"


def test_road_works_need_a_municipality_and_a_version_that_is_read() -> None:
    assert "nothing says municipality" in why_not(feed(event("a")))
    assert "is WZDx 3.1" in why_not(feed(event("a"), version="3.1"), IN_DANDERYD)
    assert "leave --crs out" in why_not(feed(event("a")), IN_DANDERYD, crs="EPSG:3006")


# Planning applications


def test_an_application_in_consultation_is_a_hearing_of_neighbours_and_nothing_of_the_applicant_is_read() -> None:
    (item,) = read(application(), IN_DANDERYD)
    assert isinstance(item, Draft)
    assert b"ebulon" not in item.value
    made = case(item, anywhere=True)
    assert (made.key, made.case_type, made.stage) == ("0162/LBH/A-1", "bygglov", "grannhorande")
    assert (made.stage_opened, made.respond_by) == (date(2026, 11, 20), date(2026, 12, 11))
    assert judge(item.value, MODEL).complaints[0].code == "outside_sweden"


def test_a_decided_application_has_no_day_to_answer_by_and_a_withdrawn_one_ends() -> None:
    decided = case(read(application("assessment", "determined"), IN_DANDERYD)[0], anywhere=True)
    assert (decided.stage, decided.respond_by, decided.stage_opened) == ("beslut", None, date(2026, 12, 20))
    ended = application("assessment", "undetermined", withdrawnAt="2026-11-21T10:00:00Z")
    assert case(read(ended, IN_DANDERYD)[0], anywhere=True).state is CaseState.WITHDRAWN


def test_an_application_that_is_not_public_is_left_out_and_an_appeal_is_refused_by_name() -> None:
    early, appeal = read([application("submission"), application("appeal", "determined")], IN_DANDERYD)
    assert isinstance(early, Skipped)
    assert reason(appeal)[1].startswith('"appeal determined" is no stage of bygglov')


def test_a_kind_of_application_that_the_mapping_does_not_know_is_refused_by_name() -> None:
    (item,) = read(application() | {"applicationType": "ldc.proposed"}, IN_DANDERYD)
    assert reason(item)[1].startswith('"ldc.proposed" is no case type of the model')


# Whatever comes

_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.floats()
    | st.integers()
    | st.text(max_size=8)
    | st.sampled_from(["a", "Point", "4.2"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["type", "coordinates", "geometry", "properties", "id", "position"]), inner, max_size=4
        )
    ),
    max_leaves=12,
)
_STARTS: list[tuple[Format, dict[str, Any], str]] = [
    ("geojson", collection(feature()), MAPPING),
    ("detaljplan", delivery(plan()), ""),
    ("wzdx", feed(event("a"), event("b", "detour", ("related-work-zone", "a"))), IN_DANDERYD),
    ("ukplanning", application(), IN_DANDERYD),
]


@st.composite
def _spoilt(draw: st.DrawFn) -> tuple[Format, bytes, str]:
    kind, whole, mapping = draw(st.sampled_from(_STARTS))
    whole = json.loads(json.dumps(whole))
    for _ in range(draw(st.integers(1, 3))):
        inner: Any = whole
        while isinstance(inner, dict | list) and inner:
            key = draw(st.sampled_from(sorted(inner) if isinstance(inner, dict) else range(len(inner))))
            if draw(st.booleans()) or not isinstance(inner[key], dict | list):
                inner[key] = draw(_JSON)
                break
            inner = inner[key]
    data = json.dumps(whole).encode()
    cut = draw(st.none() | st.integers(0, len(data)))
    return kind, data[:cut], mapping


@settings(max_examples=2000 if EVERYTHING else 60, deadline=None)
@given(_spoilt())
def test_a_spoilt_file_gives_cases_and_refusals_and_never_an_error_of_another_kind(
    spoilt: tuple[Format, bytes, str],
) -> None:
    kind, data, mapping = spoilt
    try:
        found = list(items(data, Told(kind, mapping), MODEL, TODAY))
    except Unreadable:
        return
    for item in found:
        if isinstance(item, Draft):
            judge(item.value, MODEL, anywhere=True)


def test_a_file_that_is_nested_too_deeply_is_refused_and_does_not_bring_the_importer_down() -> None:
    deep = b'{"type":"FeatureCollection","features":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    assert why_not(deep, MAPPING, format="geojson")
    nested = feature()
    nested["properties"]["more"] = json.loads('{"a":' * 300 + "1" + "}" * 300)
    assert case(read(collection(nested), MAPPING)[0]).case_id == "KS 1"


@pytest.mark.parametrize(
    "whole", [b"", b"<html>", b"PK\x03\x04", b'{"type": "FeatureCollection", "features": [{', b"\xff\xfe{"]
)
def test_what_is_no_json_is_not_taken_for_our_own_format_where_a_mapping_is_given(whole: bytes) -> None:
    with pytest.raises(Unreadable, match="no whole JSON in UTF-8"):
        list(items(whole, Told(mapping=MAPPING), MODEL, TODAY))


@pytest.mark.parametrize("join", ["\n{}\n{}\n", "\x1e{}\n\x1e{}\n", "[{}, {}]"])
def test_features_one_a_line_or_in_a_list_are_a_collection(join: str) -> None:
    """RFC 8142: a text sequence has a record separator before each text."""
    lines = join.format(*(json.dumps(feature()) for _ in range(2)))
    (item,) = items(lines.encode(), Told(mapping=MAPPING), MODEL, TODAY)
    assert isinstance(item, Draft)
    assert len(case(item).geometries) == 2
