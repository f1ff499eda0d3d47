"""The register at the door: what is kept, what is refused by name, what never leaves as it came."""

from pathlib import Path

import pytest

from schemas.identity import recipient_id
from services.matcher.register import formats, reading
from services.matcher.register.checks import Accepted, Refused, Rules, check
from services.matcher.register.packed import Packed
from services.matcher.register.publish import Current, There, Told, plan
from services.matcher.register.report import Report

RULES = Rules(b"a recipient key for tests only")
GOOD = {
    "workplace_id": "W1", "organisation": "5599990008", "name": "Bageriet", "lon": "18.03", "lat": "59.4",
    "sni": "56.110", "sni_version": "2025",
}  # fmt: skip


def checked(**changes: str) -> Accepted | Refused:
    return check(formats.Row(2, GOOD | changes), RULES)


def accepted(**changes: str) -> Accepted:
    result = checked(**changes)
    assert isinstance(result, Accepted), result
    return result


def refused(**changes: str) -> Refused:
    result = checked(**changes)
    assert isinstance(result, Refused), result
    return result


@pytest.mark.parametrize(("lon", "lat"), [("0", "0"), ("", ""), ("NULL", "NULL"), ("NaN", "59.4")])
def test_a_workplace_without_a_place_is_kept_and_counted(lon: str, lat: str) -> None:
    result = accepted(lon=lon, lat=lat, municipality="0162")
    assert (result.company.lon, result.company.lat) == (None, None)
    assert result.notes == ("without_place",)


def test_neither_place_nor_municipality_is_refused_and_a_place_gives_the_municipality() -> None:
    assert refused(lon="", lat="").reason == "no_place"
    assert accepted().company.municipality == "0162"


@pytest.mark.parametrize(
    ("lon", "lat", "reason"),
    [
        ("59.4", "18.03", "axis_order"),
        ("672018.58", "6588510.07", "not_degrees"),
        ("6588510.07", "672018.58", "not_degrees"),
        ("2.35", "48.86", "outside_sweden"),
        ("x", "59.4", "not_a_number"),
    ],
)
def test_a_place_that_cannot_be_meant_is_refused_with_a_hint(lon: str, lat: str, reason: str) -> None:
    assert refused(lon=lon, lat=lat).reason == reason


@pytest.mark.parametrize("text", ["559999-0008", "5599990008", "165599990008", "SE559999000801"])
def test_an_organisation_number_in_any_form_is_one_organisation(text: str) -> None:
    company = accepted(organisation=text).company
    assert (company.organisation, company.recipient_id) == ("5599990008", recipient_id("5599990008", RULES.key))


def test_a_wrong_check_digit_is_refused_and_an_opaque_id_is_taken() -> None:
    assert refused(organisation="559999-0009").reason == "wrong_check_digit"
    assert accepted(organisation="EXO-1").company.organisation == "EXO-1"


@pytest.mark.parametrize("text", ["19121212-1212", "121212+1212", "191212121212", "121212-1212"])
def test_a_personal_number_stays_only_as_a_keyed_hash(text: str) -> None:
    company = accepted(organisation=text).company
    assert company.organisation is None
    assert "1212" not in company.model_dump_json()
    assert company.recipient_id == recipient_id("121212-1212", RULES.key)


@pytest.mark.parametrize("text", ["121212-1213", "19121212-1213", "121272-1213", "121212-T123"])
def test_what_is_shaped_like_a_personal_number_is_treated_as_one(text: str) -> None:
    company = accepted(organisation=text).company
    assert company.organisation is None
    assert "1212" not in company.model_dump_json()


def test_a_workplace_id_that_is_a_personal_number_is_refused_without_quoting_it() -> None:
    result = refused(workplace_id="191212121212")
    assert result.reason == "wrong_value"
    assert "1212" not in result.detail


@pytest.mark.parametrize("text", ["01.110", "01110", "01 110"])
def test_all_spellings_of_a_code_are_one_code(text: str) -> None:
    assert [item.code for item in accepted(sni=text).company.sni] == ["01110"]


def test_several_codes_keep_their_order() -> None:
    assert [c.code for c in accepted(sni="56.110 47.242 10.710").company.sni] == ["56110", "47242", "10710"]


@pytest.mark.parametrize("text", ["1110", "6.1", "35.00", "54.711", "G"])
def test_a_code_that_does_not_exist_or_could_be_two_is_refused(text: str) -> None:
    assert refused(sni=text).reason == "unknown_code"


def test_a_code_is_of_sni_2025_or_sni_2007_and_needs_its_version() -> None:
    """FC-017."""
    assert [(c.code, c.version) for c in accepted(sni="47.710", sni_version="2007").company.sni] == [("47710", "2007")]
    assert refused(sni="54.711", sni_version="2007").reason == "unknown_code"
    assert refused(sni_version="").reason == "no_sni_version"
    assert refused(sni_version="2002").reason == "no_sni_version"


def test_names_are_in_one_normal_form_and_wrongly_decoded_text_is_refused() -> None:
    assert accepted(name="A\u030asas Kafe\u0301").company.name == "Åsas Kafé"
    assert refused(name="Ã¥kerÃ¶ MÃ¥leri").reason == "wrong_encoding"
    assert refused(name="\ufffdker\ufffd").reason == "wrong_encoding"
    assert accepted(name="Åkerö Måleri").company.name == "Åkerö Måleri"


def test_an_address_that_cannot_be_used_is_counted_and_the_workplace_is_kept() -> None:
    assert accepted(email="inte en adress").notes == ("bad_email",)
    assert accepted(phone="08-465 004 00").notes == ("phone_not_mobile",)
    assert accepted(phone="+4790000000").notes == ("phone_not_mobile",)
    assert accepted(phone="12345").notes == ("bad_phone",)
    assert accepted(email="Info+Bygg@Exempel-Bageri.example").contacts[0].address == "Info+Bygg@Exempel-Bageri.example"


def test_what_a_contact_is_to_the_company_is_kept_and_what_is_no_role_is_counted() -> None:
    assert [c.role for c in accepted(email="a@exempel.example").contacts] == ["register"]
    assert [c.role for c in accepted(email="a@exempel.example", contact_role="Platschef").contacts] == ["platschef"]
    odd = accepted(email="a@exempel.example", contact_role="VD & ägare")
    assert ([c.role for c in odd.contacts], odd.notes) == (["register"], ("bad_contact_role",))


@pytest.mark.parametrize("text", ["070-174 06 05", "+46701740605", "0046701740605", "701740605"])
def test_fc_048_a_mobile_number_in_any_form_is_one_number(text: str) -> None:
    """FC-048: a register's numbers are Swedish: one that a spreadsheet took the first zero from is known still."""
    assert [(c.channel, c.address) for c in accepted(phone=text).contacts] == [("sms", "+46701740605")]


def write(folder: Path, data: bytes, name: str = "register.csv") -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def test_a_swedish_spreadsheets_file_is_read_right(tmp_path: Path) -> None:
    text = (
        "workplace_id;organisation;name;lon;lat;sni;sni_version\r\n"
        'W1;ABC;"Bröd; kaffe\noch te";18,0300;59,4000;56.110;2025\r\n'
        "\r\n"
        "W1;ABC;igen;18,0300;59,4000;56.110;2025\r\n"
    )
    file = reading.read(write(tmp_path, text.encode("utf-8-sig")), RULES)
    company = file.companies["W1"]
    assert (company.name, company.lon, company.lat) == ("Bröd; kaffe och te", 18.03, 59.4)
    assert file.report.as_json()["reasons"] == {"duplicate_workplace": 1}
    assert file.report.refusals[0].line == 5


@pytest.mark.parametrize(
    ("data", "name", "said"),
    [
        (b"workplace_id,organisation,lon,lat,sni\n", "r.csv", "sni_version"),
        (b"workplace_id,organisation,sni,sni_version\n", "r.csv", "lon and lat, or municipality"),
        ("workplace_id,name\nW1,Åkerö".encode("latin-1"), "r.csv", "line 2 is not UTF-8"),
        (b"", "r.csv", "is empty"),
        (b"x", "r.gpkg", "cannot be read as gpkg"),
        (b"x", "r.xlsx", "save it as CSV"),
        (b"x", "r.zip", "unpack it first"),
        (b"x", "r", "no format that is read"),
    ],
)
def test_a_file_of_another_shape_is_refused_by_name(tmp_path: Path, data: bytes, name: str, said: str) -> None:
    with pytest.raises(formats.Unreadable, match=said):
        reading.read(write(tmp_path, data, name), RULES)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"name": "x" * 201}, "name: is longer than 200 characters; shorten it"),
        ({"municipality": "Danderyd"}, "municipality: is not SCB's code of four digits, such as 0162; map it"),
        ({"advertising_block": "kanske"}, "advertising_block: is neither yes nor no; write 1 or 0, or map it"),
        ({"employees": "många"}, "employees: is not a whole number; leave it empty if it is unknown"),
        ({"language": "svenska"}, "language: "),
    ],
)
def test_a_value_that_cannot_be_used_is_refused_with_its_field_and_what_to_do(
    changes: dict[str, str], said: str
) -> None:
    result = refused(**changes)
    assert result.detail.startswith(said)
    assert result.field == said.partition(":")[0]


def test_a_code_of_a_municipality_that_lost_its_zero_gets_it_back() -> None:
    assert accepted(municipality="162").company.municipality == "0162"


def test_an_import_erases_only_workplaces_of_its_own_source() -> None:
    current = Current({})
    for key, source in (("W1", "register"), ("W2", "other")):
        current.companies[key] = There(source, b"", b"{}")
    new = Packed([accepted(workplace_id="W3").company])
    made = plan(reading.RegisterFile(new, (), Report()), current, Told())
    assert (made.written, made.gone, made.unchanged, made.added) == (("W3",), ("W1",), 0, 1)


def test_workplaces_that_are_drained_are_the_same_and_are_let_go_of() -> None:
    packed = Packed([accepted(workplace_id=f"W{i}").company for i in range(3)])
    before = list(packed.values())
    assert (list(packed.drained()), len(packed)) == (before, 0)
