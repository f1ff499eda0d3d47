"""Register files of every kind that people send: read right because it was said how, or stopped with what to do."""

import csv
import json
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from schemas.identity import recipient_id
from services.matcher.register.checks import Rules
from services.matcher.register.reading import Asked, RegisterFile, read
from services.matcher.register.report import write_refusals
from services.matcher.register.source import Unreadable

RULES = Rules(b"a recipient key for tests only")
PLAIN = Asked()
CASE = {
    "workplace_id": "90000001",
    "organisation": "5599990008",
    "name": "Åkerö Måleri",
    "sni": "43.341",
    "sni_version": "2025",
}
HERE = (18.03, 59.40)
"""Where all of the systems below put the workplace, within a metre or so."""
IN = {
    "EPSG:3006": (672018.58, 6588510.07), "EPSG:3011": (151704.22, 6587228.90), "EPSG:3021": (1626373.0, 6588707.9),
    "EPSG:4326": HERE, "EPSG:4619": HERE,
}  # fmt: skip


def table(
    folder: Path, rows: Sequence[Mapping[str, str]], *, delimiter: str = ",", encoding: str = "utf-8", end: str = "\n"
) -> Path:
    path = folder / "register.csv"
    lines = [delimiter.join(rows[0]), *(delimiter.join(row.values()) for row in rows)]
    path.write_bytes((end.join(lines) + end).encode(encoding))
    return path


def mapping(folder: Path, text: str) -> str:
    path = folder / "mapping.toml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def workplace(path: Path, asked: Asked = PLAIN) -> Any:
    file = read(path, RULES, asked)
    assert file.report.refusals == []
    return file.companies["90000001"]


def stopped(path: Path, asked: Asked = PLAIN) -> str:
    with pytest.raises(Unreadable) as stop:
        read(path, RULES, asked)
    return str(stop.value)


def placed(x: float, y: float, **more: str) -> dict[str, str]:
    return CASE | {"lon": str(x), "lat": str(y)} | more


THEIRS = (
    '[columns]\nworkplace_id = "arbetsstalle"\nlon = "{lon}"\nlat = "{lat}"\n'
    '[constants]\norganisation = "ABC"\nsni = ""\nsni_version = "2025"\n'
)


def test_fc_081_axes_against_the_stated_mapping_stop_the_import_with_a_count_and_the_fix(tmp_path: Path) -> None:
    path = table(tmp_path, [{"arbetsstalle": "90000001", "X": "6588510.07", "Y": "672018.58"}], delimiter=";")
    wrong = Asked(mapping(tmp_path, 'crs = "EPSG:3006"\n' + THEIRS.format(lon="X", lat="Y")))
    said = stopped(path, wrong)
    assert "1 of 1 places" in said
    assert "EPSG:3006 with X and Y exchanged" in said
    right = Asked(mapping(tmp_path, 'crs = "EPSG:3006"\n' + THEIRS.format(lon="Y", lat="X")))
    made = workplace(path, right)
    assert (made.lon, made.lat) == pytest.approx(HERE, abs=1e-6)


@pytest.mark.parametrize("crs", sorted(IN))
def test_fc_081_exchanged_axes_are_recognised_in_every_system(tmp_path: Path, crs: str) -> None:
    x, y = IN[crs]
    assert "with lon and lat exchanged" in stopped(table(tmp_path, [placed(y, x)]), Asked(crs=crs))


@pytest.mark.parametrize("told", ["EPSG:3006", "EPSG:3021", "EPSG:4326"])
def test_fc_082_a_local_zone_declared_as_another_system_stops_with_the_zone_that_fits(
    tmp_path: Path, told: str
) -> None:
    rows = [placed(*IN["EPSG:3011"], municipality="0162"), placed(*IN["EPSG:3011"], municipality="0162")]
    said = stopped(table(tmp_path, rows), Asked(crs=told))
    assert "2 of 2 places" in said
    assert "fits EPSG:3011 (18 00, there in municipality 0162)?" in said
    assert said.count("EPSG:30") == 1 + (told != "EPSG:4326")


def test_fc_082_zones_that_share_their_numbers_are_all_named_where_nothing_decides(tmp_path: Path) -> None:
    said = stopped(table(tmp_path, [placed(*IN["EPSG:3011"])]), Asked(crs="EPSG:3006"))
    assert "EPSG:3011 (18 00, there in municipality 0162)?" in said
    assert "EPSG:3008 (13 30" in said
    assert "EPSG:3014 (17 15" in said


def test_fc_082_a_zone_that_puts_the_rows_into_other_municipalities_stops_with_the_right_one(tmp_path: Path) -> None:
    path = table(tmp_path, [placed(*IN["EPSG:3011"], municipality="0162")])
    said = stopped(path, Asked(crs="EPSG:3008"))
    assert "other municipalities" in said
    assert "fits EPSG:3011 (18 00" in said


@pytest.mark.parametrize("crs", sorted(IN))
def test_fc_082_fc_083_every_system_that_is_told_lands_at_the_same_place(tmp_path: Path, crs: str) -> None:
    made = workplace(table(tmp_path, [placed(*IN[crs])]), Asked(crs=crs))
    assert (made.lon, made.lat) == pytest.approx(HERE, abs=1e-5)


def test_fc_083_rt_90_without_a_word_is_named(tmp_path: Path) -> None:
    assert "fits EPSG:3021 (RT90 2.5 gon V" in stopped(table(tmp_path, [placed(*IN["EPSG:3021"])]))


@pytest.mark.parametrize("crs", ["EPSG:4976", "EPSG:5613", "EPSG:999999", "SWEREF 98"])
def test_fc_004_a_system_that_gives_no_place_on_a_map_is_refused_by_name(tmp_path: Path, crs: str) -> None:
    assert "EPSG:3006" in stopped(table(tmp_path, [placed(*HERE)]), Asked(crs=crs))


def test_a_told_system_in_which_nothing_lies_stops_also_where_no_other_fits(tmp_path: Path) -> None:
    said = stopped(table(tmp_path, [placed(672.018, 6588.510)]), Asked(crs="EPSG:3006"))
    assert "1 of 1 places" in said
    assert "check the numbers" in said


def test_numbers_of_a_web_map_are_named(tmp_path: Path) -> None:
    assert "fits EPSG:3857" in stopped(table(tmp_path, [placed(2007090, 8255000)]))


def test_a_geojson_file_that_is_not_utf_8_stops(tmp_path: Path) -> None:
    path = tmp_path / "register.geojson"
    path.write_bytes('{"type": "FeatureCollection", "name": "Åkerö", "features": []}'.encode("latin-1"))
    assert "is not UTF-8, as GeoJSON is" in stopped(path)


def test_a_few_wrong_places_are_refused_by_row_and_the_rest_is_taken(tmp_path: Path) -> None:
    rows = [placed(*HERE, workplace_id=f"W{i}") for i in range(9)] + [placed(HERE[1], HERE[0])]
    for crs in (None, "EPSG:4326"):
        file = read(table(tmp_path, rows), RULES, Asked(crs=crs))
        assert (len(file.companies), dict(file.report.reasons)) == (9, {"axis_order": 1})
    assert "the others fit" in stopped(table(tmp_path, rows[5:]), Asked(crs="EPSG:4326"))


@pytest.mark.parametrize(
    ("lon", "lat"),
    [
        ("0", "0"),
        ("", ""),
        ("NULL", "NULL"),
        ("NaN", "NaN"),
        ("0,0", "0.000"),
        ("n/a", "-"),
        ("#N/A", "#N/A"),
        ("\\N", "\\N"),
    ],
)
def test_fc_084_what_says_nothing_is_no_place_and_counted(tmp_path: Path, lon: str, lat: str) -> None:
    path = table(tmp_path, [CASE | {"lon": lon, "lat": lat, "municipality": "0162"}], delimiter=";")
    for crs in (None, "EPSG:3006"):
        file = read(path, RULES, Asked(crs=crs))
        assert file.companies["90000001"].lon is None
        assert file.report.reasons["without_place"] == 1


@pytest.mark.parametrize("text", ["01.110", "01110", "01 110", "A 01.110", "01,110"])
def test_fc_085_all_spellings_of_a_code_are_one_code(tmp_path: Path, text: str) -> None:
    made = workplace(table(tmp_path, [placed(*HERE, sni=text)], delimiter=";"))
    assert [one.code for one in made.sni] == ["01110"]


def test_fc_085_four_digits_are_five_only_where_the_mapping_says_the_width(tmp_path: Path) -> None:
    for code in ("1110", "1410"):  # the latter could be 14.10 and 01.410, and both exist
        assert read(table(tmp_path, [placed(*HERE, sni=code)]), RULES).report.reasons == {"unknown_code": 1}
    columns = "[columns]\n" + "".join(f'{name} = "{name}"\n' for name in placed(*HERE))
    for width, given, code in ((5, "1110", "01110"), (5, "1410", "01410"), (4, "1410", "1410")):
        path = table(tmp_path, [placed(*HERE, sni=given)])
        made = workplace(path, Asked(mapping(tmp_path, f"{columns}[width]\nsni = {width}")))
        assert [one.code for one in made.sni] == [code]
    path = table(tmp_path, [placed(*HERE, sni="6.1")])
    assert read(path, RULES, Asked(mapping(tmp_path, f"{columns}[width]\nsni = 5"))).report.reasons == {
        "unknown_code": 1
    }


def test_fc_086_a_heading_is_taken_and_counted_and_what_does_not_exist_is_refused_with_the_nearest(
    tmp_path: Path,
) -> None:
    rows = [placed(*HERE, sni="71.1", workplace_id="W1"), placed(*HERE, sni="35.00", workplace_id="W2")]
    file = read(table(tmp_path, rows), RULES)
    assert file.report.reasons == {"code_is_heading": 1, "unknown_code": 1}
    assert [one.code for one in file.companies["W1"].sni] == ["711"]
    assert "35." in file.report.refusals[0].detail


@pytest.mark.parametrize("version", ["2007", "SNI2007", "sni 2007"])
def test_a_code_of_sni_2007_keeps_its_version(tmp_path: Path, version: str) -> None:
    made = workplace(table(tmp_path, [placed(*HERE, sni="45.200", sni_version=version)]))
    assert [(one.code, one.version) for one in made.sni] == [("45200", "2007")]


@pytest.mark.parametrize(
    "text",
    [
        "559999-0008", "5599990008", "165599990008", "16559999-0008", "SE559999000801", "SE 559999-0008 01",
        "559999\u20130008", "559999 0008", "559999\u00a00008", "Org.nr 559999-0008", "5599990008.0",
    ],
)  # fmt: skip
def test_fc_090_every_spelling_of_an_organisation_number_is_one_organisation(tmp_path: Path, text: str) -> None:
    made = workplace(table(tmp_path, [placed(*HERE, organisation=text)]))
    assert (made.organisation, made.recipient_id) == (
        "5599990008",
        workplace(table(tmp_path, [placed(*HERE)])).recipient_id,
    )


@pytest.mark.parametrize("text", ["559999-0009", "5,59999E+09"])
def test_fc_090_a_number_that_cannot_be_right_is_refused(tmp_path: Path, text: str) -> None:
    file = read(table(tmp_path, [placed(*HERE, organisation=text)], delimiter=";"), RULES)
    assert sum(file.report.reasons.values()) == 1


@pytest.mark.parametrize(
    "text",
    [
        "121212-1212",
        "121212+1212",
        "1212121212",
        "191212121212",
        "19121212-1212",
        "19121212\u20131212",
        "SE121212121201",
    ],
)
def test_fc_091_a_personal_number_leaves_only_as_a_keyed_hash(tmp_path: Path, text: str) -> None:
    made = workplace(table(tmp_path, [placed(*HERE, organisation=text)]))
    assert made.organisation is None
    assert "1212" not in made.model_dump_json()
    assert made.recipient_id == workplace(table(tmp_path, [placed(*HERE, organisation="121212-1212")])).recipient_id


def test_fc_091_a_personal_number_that_lost_its_zeros_is_still_one(tmp_path: Path) -> None:
    file = read(table(tmp_path, [placed(*HERE, organisation="101010015")]), RULES)
    whole = read(table(tmp_path, [placed(*HERE, organisation="0101010015")]), RULES)
    assert [one.recipient_id for one in file.companies.values()] == [
        one.recipient_id for one in whole.companies.values()
    ]


@pytest.mark.parametrize("encoding", ["windows-1252", "mac_roman", "cp850", "utf-16-le", "utf-16-be"])
def test_fc_092_a_text_file_in_another_encoding_stops_and_is_read_right_when_it_is_stated(
    tmp_path: Path, encoding: str
) -> None:
    path = table(tmp_path, [placed(*HERE)], encoding=encoding)
    assert "--encoding" in stopped(path)
    assert encoding in stopped(path)
    assert workplace(path, Asked(encoding=encoding)).name == "Åkerö Måleri"
    stated = mapping(
        tmp_path, f'encoding = "{encoding}"\n[columns]\n' + "".join(f'{n} = "{n}"\n' for n in placed(*HERE))
    )
    assert workplace(path, Asked(stated)).name == "Åkerö Måleri"


@pytest.mark.parametrize(
    ("real", "stated"),
    [
        ("utf-8", "latin-1"), ("utf-8", "mac_roman"), ("utf-8", "cp850"), ("mac_roman", "windows-1252"),
        ("cp850", "windows-1252"), ("windows-1252", "mac_roman"), ("windows-1252", "cp850"), ("windows-1252", "utf-8"),
    ],
)  # fmt: skip
def test_fc_092_a_wrongly_stated_encoding_never_becomes_a_name(tmp_path: Path, real: str, stated: str) -> None:
    assert "--encoding" in stopped(table(tmp_path, [placed(*HERE)], encoding=real), Asked(encoding=stated))


def test_fc_092_an_encoding_that_nobody_knows_is_refused_with_the_nearest(tmp_path: Path) -> None:
    assert "nearest: windows-1252" in stopped(table(tmp_path, [placed(*HERE)]), Asked(encoding="windows-1253x"))


@pytest.mark.parametrize(
    "name",
    ["Ã…kerÃ¶ MÃ¥leri", "√Öker√∂ M√•leri", "├àker├Â", "\ufffdker\ufffd", "Bröd &amp; kaffe", "M\x86leri", "M†leri"],
)
def test_fc_092_text_that_was_decoded_wrongly_before_is_refused(tmp_path: Path, name: str) -> None:
    assert read(table(tmp_path, [placed(*HERE, name=name)]), RULES).report.reasons == {"wrong_encoding": 1}


@pytest.mark.parametrize(
    "name", ["Müller & Söner", "Café Åre", "Łódź Deli", "Žižka Bar", "100‰ Juice", "Sport™", "Él Niño", "Ång & Ã"]
)
def test_fc_092_names_of_other_languages_are_names(tmp_path: Path, name: str) -> None:
    assert workplace(table(tmp_path, [placed(*HERE, name=name)])).name == name


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_fc_093_a_byte_order_mark_says_the_encoding(tmp_path: Path, encoding: str) -> None:
    assert workplace(table(tmp_path, [placed(*HERE)], encoding=encoding)).name == "Åkerö Måleri"


@pytest.mark.parametrize("delimiter", [";", "\t", ",", "|", "^", "~", "§", "\x1f"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_fc_093_any_delimiter_and_any_line_end_is_read(tmp_path: Path, delimiter: str, end: str) -> None:
    made = workplace(table(tmp_path, [placed(*HERE)], delimiter=delimiter, end=end))
    assert (made.name, made.lon, made.lat) == ("Åkerö Måleri", *HERE)


def test_fc_093_a_spreadsheets_file_with_decimal_commas_and_quoted_delimiters_is_read(tmp_path: Path) -> None:
    path = tmp_path / "register.csv"
    text = (
        "sep=;\r\nworkplace_id;organisation;name;lon;lat;sni;sni_version;\r\n"
        '90000001;5599990008;"Bröd; ""kaffe"" och te";18,0300;59,4000;43.341;2025;\r\n;;;;;;;\r\n'
    )
    path.write_bytes(text.encode("utf-8-sig"))
    made = workplace(path)
    assert (made.name, made.lon, made.lat) == ('Bröd; "kaffe" och te', *HERE)


@pytest.mark.parametrize(
    ("x", "y", "decimal"),
    [
        ("672 018,58", "6 588 510,07", None), ("672.018,58", "6.588.510,07", None),
        ("672,018.58", "6,588,510.07", None),
        ("672\u00a0018,58", "6\u202f588\u202f510,07", ","), ("672'018.58", "6'588'510.07", "."),
    ],
)  # fmt: skip
def test_fc_093_numbers_are_read_as_people_write_them(tmp_path: Path, x: str, y: str, decimal: str | None) -> None:
    path = table(tmp_path, [placed(0, 0) | {"lon": x, "lat": y}], delimiter=";")
    said = f'decimal = "{decimal}"\n' if decimal else ""
    columns = "[columns]\n" + "".join(f'{name} = "{name}"\n' for name in placed(*HERE))
    made = workplace(path, Asked(mapping(tmp_path, f'crs = "EPSG:3006"\n{said}{columns}')))
    assert (made.lon, made.lat) == pytest.approx(HERE, abs=1e-6)


def test_fc_093_a_decimal_comma_between_commas_is_refused_and_never_shifted(tmp_path: Path) -> None:
    path = table(tmp_path, [placed(*HERE) | {"lon": "18,03", "lat": "59,40"}])
    assert read(path, RULES).report.reasons == {"too_many_fields": 1}


def test_fc_093_a_missing_or_doubled_column_is_an_error_by_name(tmp_path: Path) -> None:
    row = placed(*HERE)
    assert "missing required column organisation" in stopped(
        table(tmp_path, [{k: v for k, v in row.items() if k != "organisation"}])
    )
    path = tmp_path / "register.csv"
    path.write_text("workplace_id,organisation,name,name,lon,lat,sni,sni_version\n")
    assert "column name stands twice" in stopped(path)
    assert "the mapping says nothing of sni_version" in stopped(
        path,
        Asked(mapping(tmp_path, '[columns]\norganisation = "organisation"\nsni = "sni"\nlon = "lon"\nlat = "lat"')),
    )


def test_fc_093_a_quotation_mark_that_is_never_closed_stops_the_import(tmp_path: Path) -> None:
    rows = [placed(*HERE, workplace_id=f"W{i}", name='"Bageriet' if i == 2 else "x") for i in range(40)]
    assert "never closed" in stopped(table(tmp_path, rows))


def test_fc_094_one_name_in_two_normal_forms_is_one_name(tmp_path: Path) -> None:
    composed = workplace(table(tmp_path, [placed(*HERE, name="Åsas Kafé")]))
    assert workplace(table(tmp_path, [placed(*HERE, name="A\u030asas Kafe\u0301")])) == composed


FORMATS = ("GPKG", "GeoJSON", "ESRI Shapefile", "parquet")


def vector(folder: Path, kind: str, crs: str | None, rows: Sequence[Mapping[str, Any]], **more: Any) -> Path:
    import geopandas
    import shapely

    points = [shapely.Point(*IN[crs or "EPSG:3006"]) if row.get("at", True) else None for row in rows]
    frame = geopandas.GeoDataFrame(
        [{k: v for k, v in row.items() if k != "at"} for row in rows], geometry=points, crs=crs
    )
    path = folder / f"register{ {'GPKG': '.gpkg', 'GeoJSON': '.geojson', 'parquet': '.parquet'}.get(kind, '.shp') }"
    if kind == "parquet":
        frame.to_parquet(path)
    else:
        frame.to_file(path, driver=kind, **more)
    return path


SHORT = "".join(
    f'{ours} = "{theirs}"\n'
    for ours, theirs in {
        "workplace_id": "id",
        "organisation": "org",
        "name": "namn",
        "sni": "sni",
        "sni_version": "ver",
    }.items()
)


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:3006", "EPSG:3011"])
def test_a_geometry_is_the_place_in_the_system_that_the_file_declares(tmp_path: Path, kind: str, crs: str) -> None:
    row = {"id": "90000001", "org": "5599990008", "namn": "Åkerö Måleri", "sni": "01110", "ver": 2025}
    path = vector(tmp_path, kind, crs, [row, row | {"id": "2", "at": False}])
    file = read(path, RULES, Asked(mapping(tmp_path, f'[columns]\n{SHORT}[constants]\nmunicipality = "0162"')))
    made = file.companies["90000001"]
    assert (made.lon, made.lat) == pytest.approx(HERE, abs=1e-6)
    assert (made.name, made.sni[0].code, file.companies["2"].lon) == ("Åkerö Måleri", "01110", None)


@pytest.mark.parametrize("kind", ["GPKG", "GeoJSON", "parquet"])
def test_our_own_columns_need_no_mapping_in_any_format(tmp_path: Path, kind: str) -> None:
    made = workplace(vector(tmp_path, kind, "EPSG:4326", [CASE]))
    assert (made.name, made.lon, made.lat) == ("Åkerö Måleri", *HERE)


def test_a_geometry_that_is_no_point_is_refused(tmp_path: Path) -> None:
    features = [
        {
            "type": "Feature",
            "properties": CASE | {"workplace_id": "W1"},
            "geometry": {"type": "LineString", "coordinates": [[18, 59.4], HERE]},
        },
        {"type": "Feature", "properties": CASE, "geometry": {"type": "MultiPoint", "coordinates": [HERE]}},
    ]
    path = tmp_path / "register.json"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    file = read(path, RULES)
    assert (list(file.companies), dict(file.report.reasons)) == (["90000001"], {"not_a_point": 1})


def test_fc_092_a_shapefile_without_a_cpg_stops_and_is_read_right_when_it_is_stated(tmp_path: Path) -> None:
    row = {"id": "90000001", "org": "5599990008", "namn": "Åkerö Måleri", "sni": "43.341", "ver": "2025"}
    path = vector(tmp_path, "ESRI Shapefile", "EPSG:3006", [row], encoding="ISO-8859-1")
    with path.with_suffix(".dbf").open("r+b") as table_:
        table_.seek(29)
        table_.write(b"\0")  # the language driver: nobody says
    asked = mapping(tmp_path, f"[columns]\n{SHORT}")
    assert workplace(path, Asked(asked)).name == "Åkerö Måleri"
    path.with_suffix(".cpg").unlink()
    said = stopped(path, Asked(asked))
    assert "windows-1252" in said
    assert "--encoding" in said
    assert workplace(path, Asked(asked, encoding="latin-1")).name == "Åkerö Måleri"


def test_a_layer_is_named_where_there_are_several(tmp_path: Path) -> None:
    path = vector(tmp_path, "GPKG", "EPSG:4326", [CASE], layer="arbetsstallen")
    vector(tmp_path, "GPKG", "EPSG:4326", [CASE], layer="gamla")
    assert "arbetsstallen, gamla" in stopped(path)
    columns = "".join(f'{name} = "{name}"\n' for name in CASE)
    assert (
        workplace(path, Asked(mapping(tmp_path, f'layer = "arbetsstallen"\n[columns]\n{columns}'))).name
        == "Åkerö Måleri"
    )


SCB = {
    "CFARNr": "1234567", "PeOrgNr": "165599990008", "OrgNr": "5599990008", "Företagsnamn": "Åkerö AB",
    "Benämning": "Åkerö Måleri",
    "BesöksAdress": "Storgatan 1", "BesöksPostOrt": "Danderyd", "Kommun, kod": "0162", "Arbetsställestatus, kod": "1",
    "Bransch_1, kod": "43341", "Bransch_1": "Måleri", "Bransch_2, kod": "     ", "Stkl, kod": "4", "Reklam, kod": "21",
}  # fmt: skip


def test_scbs_record_layout_is_read_by_the_mapping_that_comes_with_the_product(tmp_path: Path) -> None:
    rows = [SCB | {"CFARNr": f"123456{i}", "Arbetsställestatus, kod": said} for i, said in enumerate("190")]
    rows.append(SCB | {"CFARNr": "12345678", "PeOrgNr": "191212121212", "OrgNr": "1212121212"})
    file = read(table(tmp_path, rows, delimiter="\t"), RULES, Asked("scb"))
    assert [row.status for row in file.companies.values()] == ["active", "closed", "closed", "active"]
    made = file.companies["01234560"]
    assert (made.organisation, made.municipality, made.name) == ("5599990008", "0162", "Åkerö Måleri")
    assert ([one.code for one in made.sni], made.employees, made.advertising_block) == (["43341"], 10, True)
    assert file.companies["12345678"].organisation is None
    plain = {
        name.removesuffix(", kod") if name.startswith(("Br", "Arb")) else name: v
        for name, v in SCB.items()
        if name != "Bransch_1"
    }
    assert read(table(tmp_path, [plain], delimiter=";"), RULES, Asked("scb")).companies["01234567"].status == "active"


HVD = {
    "organisationsidentitet": {"identitetsbeteckning": "5599990008", "typ": {"kod": "ORGANISATIONSNUMMER"}},
    "organisationsnamn": {"organisationsnamnLista": [{"namn": "Åkerö Måleri AB"}, {"namn": "Åkerö Kafé"}], "fel": None},
    "naringsgrenOrganisation": {"sni": [{"kod": "43341"}, *({"kod": "     "} for _ in range(4))], "fel": None},
    "verksamOrganisation": {"kod": "JA"}, "avregistreradOrganisation": None, "reklamsparr": {"kod": "JA"},
}  # fmt: skip


@pytest.mark.parametrize("shape", ["organisationer", "list", "lines", "one"])
def test_the_hvd_record_becomes_a_workplace_with_a_derived_id(tmp_path: Path, shape: str) -> None:
    person = HVD | {
        "organisationsidentitet": {"identitetsbeteckning": "191212121212"},
        "verksamOrganisation": {"kod": "NEJ"},
    }
    records = [HVD] if shape == "one" else [HVD, person]
    path = tmp_path / ("hvd.jsonl" if shape == "lines" else "hvd.json")
    text = {
        "organisationer": json.dumps({"organisationer": records}),
        "list": json.dumps(records),
        "one": json.dumps(HVD),
    }
    path.write_text(text.get(shape) or "\n".join(map(json.dumps, records)), encoding="utf-8")
    asked = Asked(mapping(tmp_path, 'extends = "hvd"\n[constants]\nmunicipality = "0162"'))
    file = read(path, RULES, asked)
    assert file.report.refusals == []
    first = next(iter(file.companies.values()))
    assert (first.name, first.organisation, first.status) == ("Åkerö Måleri AB", "5599990008", "active")
    assert ([one.code for one in first.sni], first.advertising_block) == (["43341"], True)
    assert first.workplace_id.startswith("O-")
    assert first.workplace_id.removeprefix("O-") != first.recipient_id
    for other in list(file.companies.values())[1:]:
        assert (other.organisation, other.status) == (None, "closed")
        assert "1212" not in other.model_dump_json()
    assert list(read(path, RULES, asked).companies) == list(file.companies)


def test_organisations_without_a_municipality_stop_with_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "hvd.json"
    path.write_text(json.dumps([HVD]), encoding="utf-8")
    said = stopped(path, Asked("hvd"))
    assert "municipality; say it under [columns] or [constants]" in said


def test_rows_that_the_mapping_skips_are_counted_and_neither_taken_nor_refused(tmp_path: Path) -> None:
    columns = "[columns]\n" + "".join(f'{name} = "{name}"\n' for name in placed(*HERE))
    path = table(tmp_path, [placed(*HERE), placed(*HERE, workplace_id="W2", name="Testföretaget")])
    counts = read(path, RULES, Asked(mapping(tmp_path, f'{columns}[skip]\nname = ["Testföretaget"]'))).report
    assert (counts.read, counts.accepted, counts.skipped, counts.refused) == (2, 1, 1, 0)


def test_the_report_says_field_kind_and_remedy_and_is_itself_a_register_file(tmp_path: Path) -> None:
    rows = [
        placed(*HERE, organisation="559999-0009"), placed(*HERE, workplace_id="W2", sni="35.00"),
        placed(*HERE, workplace_id="W3", organisation="19121212-1212", employees="några", email="a@b.example"),
    ]  # fmt: skip
    rows = [row | {"employees": row.get("employees", ""), "email": row.get("email", "")} for row in rows]
    file = read(table(tmp_path, [dict(sorted(row.items())) for row in rows]), RULES)
    report = tmp_path / "refused.csv"
    write_refusals(report, file.report.refusals)
    assert report.stat().st_mode & 0o077 == 0
    assert "1212" not in report.read_text(encoding="utf-8-sig")
    with report.open(encoding="utf-8-sig", newline="") as handle:
        refused = list(csv.DictReader(handle))
    assert [(row["line"], row["reason"], row["field"], row["kind"]) for row in refused] == [
        ("2", "wrong_check_digit", "organisation", "digits and signs, 11 characters"),
        ("3", "unknown_code", "sni", "decimal number"),
        ("4", "not_a_number", "employees", "text, 5 characters"),
    ]
    corrected = [row | {"organisation": "559999-0008", "sni": "35.110", "employees": ""} for row in refused]
    with report.open("w", encoding="utf-8", newline="") as handle:
        writer = csv.DictWriter(handle, refused[0], delimiter=";")
        writer.writeheader()
        writer.writerows(corrected)
    again: RegisterFile = read(report, RULES)
    assert (sorted(again.companies), again.report.refusals) == (["90000001", "W2", "W3"], [])


def test_without_the_extra_a_format_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = vector(tmp_path, "GPKG", "EPSG:4326", [CASE])
    monkeypatch.setitem(__import__("sys").modules, "pyogrio", None)
    assert "install nardialog[register]" in stopped(path)


def test_a_mapping_without_columns_says_how_a_file_in_our_own_shape_is_meant(tmp_path: Path) -> None:
    row = {name: value for name, value in placed(*IN["EPSG:3006"], sni="1110").items() if name != "sni_version"}
    path = table(tmp_path, [row], encoding="mac_roman")
    said = 'encoding = "mac_roman"\ncrs = "EPSG:3006"\n[constants]\nsni_version = 2025\n[width]\nsni = 5\n'
    made = workplace(path, Asked(mapping(tmp_path, said)))
    assert (made.name, made.sni[0].code, made.lon) == ("Åkerö Måleri", "01110", pytest.approx(HERE[0], abs=1e-6))


def test_a_place_is_the_same_whatever_system_it_came_in(tmp_path: Path) -> None:
    import pyproj

    for crs in ("EPSG:3006", "EPSG:3011", "EPSG:4619"):
        x, y = pyproj.Transformer.from_crs("EPSG:4326", crs, always_xy=True).transform(*HERE)
        made = workplace(table(tmp_path, [placed(x, y)]), Asked(crs=crs))
        assert (made.lon, made.lat) == HERE


@pytest.mark.parametrize("kind", ["GPKG", "GeoJSON", "parquet", "csv", "json"])
def test_a_damaged_file_stops_or_is_refused_by_row_and_never_breaks(tmp_path: Path, kind: str) -> None:
    if kind == "csv":
        path = table(tmp_path, [placed(*HERE, workplace_id=f"W{i}") for i in range(5)])
    elif kind == "json":
        path = tmp_path / "register.json"
        path.write_text(json.dumps([HVD, HVD]), encoding="utf-8")
    else:
        path = vector(tmp_path, kind, "EPSG:4326", [CASE | {"workplace_id": f"W{i}"} for i in range(5)])
    whole, draw = path.read_bytes(), random.Random(5)
    stops = 0
    for _ in range(40):
        begin = draw.randrange(len(whole))
        noise = draw.randbytes(draw.randrange(4))
        path.write_bytes(whole[:begin] + noise + whole[begin + draw.randrange(40) :])
        try:
            read(
                path, RULES, Asked("hvd" if kind == "json" else None, encoding=draw.choice([None, "utf-16", "latin-1"]))
            )
        except Unreadable:
            stops += 1
    assert stops


def test_fc_092_an_encoding_is_named_also_where_the_first_letter_stands_far_into_a_file_of_one_line(
    tmp_path: Path,
) -> None:
    rows = [placed(*HERE, workplace_id=f"W{i}", name="Bageriet") for i in range(3000)]
    path = table(tmp_path, [*rows, placed(*HERE)], encoding="mac_roman", end="\r")
    assert "line 3002 is not UTF-8; it reads as Swedish in mac_roman" in stopped(path)


@pytest.mark.parametrize(
    "code",
    [
        "56\u00a0110",
        "56\u2009110",
        "56\u202f110",
        "\uff15\uff16\uff0e\uff11\uff11\uff10",
        "56110.0",
        "56110,0",
        "I\u00a056.110",
    ],
)
def test_fc_085_digits_and_spaces_of_every_width_and_a_spreadsheets_decimals_are_the_same_code(
    tmp_path: Path, code: str
) -> None:
    made = workplace(table(tmp_path, [placed(*HERE, sni=code)], delimiter="\t"))
    assert [item.code for item in made.sni] == ["56110"]


def test_fc_085_a_code_that_a_spreadsheet_shortened_or_that_has_words_is_refused_with_what_to_do(
    tmp_path: Path,
) -> None:
    rows = [placed(*HERE, sni=code) | {"workplace_id": f"W{i}"} for i, code in enumerate(["5.6E+04", "56.110 Bar"])]
    report = read(table(tmp_path, rows), RULES, PLAIN).report
    assert [(r.reason, r.detail) for r in report.refusals] == [
        ("lost_digits", "sni: a spreadsheet shortened it; format the column as text and export anew"),
        ("unknown_code", "sni: has words in it; give the codes only, with a space between"),
    ]


def test_fc_084_an_industry_that_scb_does_not_know_is_no_code(tmp_path: Path) -> None:
    file = read(table(tmp_path, [placed(*HERE, sni="00000")]), RULES, PLAIN)
    assert (file.companies["90000001"].sni, file.report.reasons["without_code"]) == ([], 1)


@pytest.mark.parametrize(
    "text",
    [
        "559999\u20130008", "559999\u00a00008", "5599990008.0", "5599990008,00", '="5599990008"', "'5599990008",
        "(559999-0008)", "559999.0008", "559999/0008", "SE5599990008", "Org.nr: 559999-0008",
        "\uff15\uff15\uff19\uff19\uff19\uff19\uff10\uff10\uff10\uff18",
    ],
)  # fmt: skip
def test_fc_090_what_people_and_spreadsheets_make_of_a_number_is_one_organisation_in_register_and_case(
    tmp_path: Path, text: str
) -> None:
    """The applicant of a case is written as freely, and is never invited however it is."""
    made = workplace(table(tmp_path, [placed(*HERE, organisation=text)], delimiter="\t"))
    assert made.organisation == "5599990008"
    assert made.recipient_id == recipient_id(text, RULES.key)


def test_fc_090_a_number_of_zeros_stands_for_none_and_groups_nobody(tmp_path: Path) -> None:
    report = read(table(tmp_path, [placed(*HERE, organisation="000000-0000")]), RULES, PLAIN).report
    assert report.reasons == {"no_organisation": 1}


@pytest.mark.parametrize("text", ["SE121212121201", "SE1212121212", "121212/1212", "\uff11\uff1212121212"])
def test_fc_091_a_personal_number_is_recognised_in_every_disguise(tmp_path: Path, text: str) -> None:
    made = workplace(table(tmp_path, [placed(*HERE, organisation=text)]))
    assert made.organisation is None
    assert made.recipient_id == recipient_id("121212-1212", RULES.key)


@pytest.mark.parametrize("said", ["NULL", "nan", "#REF!", "-"])
def test_an_id_that_says_nothing_is_no_id(tmp_path: Path, said: str) -> None:
    report = read(table(tmp_path, [placed(*HERE) | {"workplace_id": said}]), RULES, PLAIN).report
    assert report.reasons == {"no_workplace_id": 1}


def test_an_id_keeps_what_a_spreadsheet_added_to_it_out_and_is_refused_where_it_lost_digits(tmp_path: Path) -> None:
    rows = [placed(*HERE) | {"workplace_id": text} for text in ("90000001.0", "\u200b90000002\ufeff", "9,0E+07")]
    file = read(table(tmp_path, rows, delimiter="\t"), RULES, PLAIN)
    assert set(file.companies.keys()) == {"90000001", "90000002"}
    assert file.report.reasons == {"lost_digits": 1}


def test_what_programs_write_for_nothing_is_in_no_letter_and_other_spellings_of_a_value_are_that_value(
    tmp_path: Path,
) -> None:
    said = {"name": "NULL", "street": "nan", "postcode": "18231.0", "language": "sv-SE", "municipality": "162.0"}
    made = workplace(table(tmp_path, [placed(*HERE, advertising_block="1.0") | said]))
    assert (made.name, made.street, made.postcode, made.language, made.municipality, made.advertising_block) == (
        "", "", "18231", "sv", "0162", True,
    )  # fmt: skip


@pytest.mark.parametrize("text", ["\u00b2x", "\u0661\u0662", "9" * 30, "1e3"])
def test_what_only_looks_like_a_whole_number_is_refused_by_name(tmp_path: Path, text: str) -> None:
    report = read(table(tmp_path, [placed(*HERE, employees=text)]), RULES, PLAIN).report
    assert report.reasons == {"not_a_number": 1}


def test_fc_084_a_number_beyond_all_numbers_is_refused_and_not_read_as_no_place(tmp_path: Path) -> None:
    report = read(table(tmp_path, [placed(*HERE, municipality="0162") | {"lon": "1e400"}]), RULES, PLAIN).report
    assert report.reasons == {"not_a_number": 1}


def test_fc_093_files_that_were_put_together_are_read_through_their_marks_and_headers(tmp_path: Path) -> None:
    header, first = ",".join(placed(*HERE)), ",".join(placed(*HERE).values())
    second = first.replace("90000001", "90000002")
    path = tmp_path / "register.csv"
    path.write_text(f"\ufeff\ufeff{header}\n{first}\n\ufeff{header}\n\ufeff{second}\n\x1a\0\0", encoding="utf-8")
    file = read(path, RULES, PLAIN)
    assert (set(file.companies.keys()), file.report.refused) == ({"90000001", "90000002"}, 0)


def test_fc_093_a_quotation_mark_that_is_not_doubled_refuses_its_row_and_no_other(tmp_path: Path) -> None:
    rows = [placed(*HERE, name=name) | {"workplace_id": f"W{i}"} for i, name in enumerate(["A", '"B "C" D"', "E"])]
    file = read(table(tmp_path, rows), RULES, PLAIN)
    assert set(file.companies.keys()) == {"W0", "W2"}
    assert [(r.line, r.reason, r.values["workplace_id"]) for r in file.report.refusals] == [(3, "unquoted", "W1")]
    assert file.refused == {"W1"}


@pytest.mark.parametrize("after", ["", '"Sist"'])
def test_fc_093_a_quotation_mark_that_swallows_rows_stops_the_import_with_its_line(tmp_path: Path, after: str) -> None:
    rows = [placed(*HERE, name=name) for name in ("A", '"B', "C", after or "D")]
    assert "line 3: a quotation mark" in stopped(table(tmp_path, rows))


def test_fc_093_a_field_without_end_is_refused_and_the_next_row_is_read(tmp_path: Path) -> None:
    rows = [placed(*HERE, name="x" * (1 << 21)), placed(*HERE) | {"workplace_id": "W2"}]
    file = read(table(tmp_path, rows), RULES, PLAIN)
    assert (set(file.companies.keys()), file.report.reasons) == ({"W2"}, {"too_long_field": 1})


@pytest.mark.parametrize(
    ("beginning", "what"),
    [
        (b"PK\x03\x04", "spreadsheet"),
        (b"\xd0\xcf\x11\xe0", "spreadsheet"),
        (b"\x1f\x8b", "packed"),
        (b"%PDF-1.7", "a PDF"),
    ],
)
def test_fc_093_what_is_no_text_is_named_whatever_the_file_is_called(
    tmp_path: Path, beginning: bytes, what: str
) -> None:
    path = tmp_path / "register.csv"
    path.write_bytes(beginning + bytes(64) + b"\xff" * 64)
    assert what in stopped(path)


def test_fc_093_columns_that_differ_in_case_only_are_one_column_twice(tmp_path: Path) -> None:
    rows = [{**placed(*HERE), "NAME": "Other"}]
    assert "column NAME stands twice" in stopped(table(tmp_path, rows))


def test_json_that_is_nested_without_end_stops_with_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "register.json"
    path.write_text("[" * 100_000, encoding="utf-8")
    assert "nested too deeply" in stopped(path)


def test_a_column_that_looks_like_one_of_ours_is_named_and_others_are_left_aside(tmp_path: Path) -> None:
    rows = [placed(*HERE) | {"statuss": "closed", "Omsättning": "1"}]
    assert read(table(tmp_path, rows), RULES, PLAIN).report.notes == [
        "column statuss is none of ours and is left aside; is status meant?"
    ]


def test_a_file_without_rows_says_so(tmp_path: Path) -> None:
    path = tmp_path / "register.csv"
    path.write_text(",".join(placed(*HERE)) + "\n", encoding="utf-8")
    assert read(path, RULES, PLAIN).report.notes == ["has no rows below its header; check the export"]


def collection(folder: Path, **members: Any) -> Path:
    properties = {name: value for name, value in CASE.items() if name not in ("lon", "lat")}
    feature = {"type": "Feature", "properties": properties, "geometry": {"type": "Point", "coordinates": list(HERE)}}
    path = folder / "register.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", **members, "features": [feature]}), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    "crs",
    [
        "EPSG:3006", {"type": "link", "properties": {"href": "https://example.com/3006"}},
        {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::999999"}}, {"type": "name"},
    ],
)  # fmt: skip
def test_fc_002_a_collection_whose_stated_system_is_not_understood_is_not_read_as_degrees(
    tmp_path: Path, crs: Any
) -> None:
    assert 'its "crs" member is not understood' in stopped(collection(tmp_path, crs=crs))


@pytest.mark.parametrize("crs", [None, {"type": "name", "properties": {"name": "urn:ogc:def:crs:OGC:1.3:CRS84"}}])
def test_fc_002_a_collection_that_states_degrees_is_read(tmp_path: Path, crs: Any) -> None:
    made = workplace(collection(tmp_path, crs=crs))
    assert (made.lon, made.lat) == pytest.approx(HERE)


def test_a_file_that_is_not_what_its_name_says_is_told_so_without_a_path_of_this_machine(tmp_path: Path) -> None:
    path = tmp_path / "register.gpkg"
    path.write_text("workplace_id\n", encoding="utf-8")
    assert stopped(path) == "register.gpkg: cannot be read as gpkg: it is none, whatever its name says"


def test_a_collection_without_features_says_that_it_holds_nothing(tmp_path: Path) -> None:
    path = tmp_path / "register.geojson"
    path.write_text('{"type": "FeatureCollection", "features": []}', encoding="utf-8")
    assert "holds no rows with columns" in stopped(path)
