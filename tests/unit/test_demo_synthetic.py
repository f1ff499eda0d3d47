"""What the demo invents is visibly invented, the same at every run, and fits the doors."""

import csv
import io
import json
import re
from collections import Counter
from datetime import date

import pytest

from schemas import geojson
from schemas.case import Case
from schemas.identity import DEMO_RECIPIENT_KEY
from schemas.model import default
from services.demo import synthetic
from services.matcher.door import read
from services.matcher.register.checks import Accepted, Rules, check
from services.matcher.register.formats import Row
from services.runtime.errors import Rejected

DAY = date(2025, 11, 10)
WORKPLACES = synthetic.workplaces()


def rows() -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(synthetic.register_csv())))


def test_the_same_seed_gives_the_same_register_and_another_gives_another() -> None:
    assert synthetic.register_csv(1) == synthetic.register_csv(1)
    assert synthetic.register_csv(1) != synthetic.register_csv(2)


def test_there_are_twelve_hundred_workplaces_with_ids_of_their_own() -> None:
    assert len({w.workplace_id for w in WORKPLACES}) == len(WORKPLACES) == 1200


def test_every_name_says_that_it_is_an_example() -> None:
    assert all(w.name.startswith("Exempel") and w.organisation.startswith("EXO-") for w in WORKPLACES)


def test_every_address_is_reserved_for_examples() -> None:
    assert all(re.fullmatch(r"[a-z-]+@[a-z0-9-]+\.example", w.email) for w in WORKPLACES if w.email)


def test_every_telephone_is_from_the_series_for_fiction_and_given_once() -> None:
    phones = [w.phone for w in WORKPLACES if w.phone]
    assert len(phones) == len(set(phones)) <= 95
    assert all("+46701740605" <= phone <= "+46701740699" and len(phone) == 12 for phone in phones)


def test_every_workplace_lies_in_danderyd() -> None:
    assert all(synthetic.inside(w.lon, w.lat) for w in WORKPLACES)


def test_some_share_an_address_some_an_organisation_and_some_have_no_contact() -> None:
    assert Counter(w.email for w in WORKPLACES if w.email).most_common(1)[0][1] > 5
    assert Counter(w.organisation for w in WORKPLACES).most_common(1)[0][1] > 1
    assert any(not w.email and not w.phone for w in WORKPLACES)


def test_the_bakery_lies_by_the_road_that_is_dug_up() -> None:
    bakery = WORKPLACES[0]
    assert (bakery.workplace_id, bakery.name, bakery.street) == ("EX-0001", "Exempelbageriet", "Stockholmsvägen 40")
    assert bakery.codes.startswith("10.710")
    assert min(abs(bakery.lat - lat) for _, lat in synthetic.STOCKHOLMSVAGEN) < 0.001


def test_the_register_check_takes_every_row() -> None:
    rules = Rules(DEMO_RECIPIENT_KEY, synthetic=True)
    results = [check(Row(n, row), rules) for n, row in enumerate(rows(), 2)]
    assert all(isinstance(result, Accepted) and not result.notes for result in results)


@pytest.mark.parametrize("case", synthetic.cases(DAY)[:6], ids=lambda case: case["title"])
def test_six_cases_pass_the_door(case: dict[str, object]) -> None:
    taken = read(json.dumps(case).encode(), default())
    assert taken.synthetic
    assert taken.title_en


def test_the_seventh_is_well_formed_and_refused_for_the_line_that_crosses_itself() -> None:
    case = Case.model_validate(synthetic.cases(DAY)[6])
    assert geojson.check(case.geometries[0].geometry) is not None
    with pytest.raises(Rejected) as refused:
        read(json.dumps(synthetic.cases(DAY)[6]).encode(), default())
    assert refused.value.reason == "invalid_polygon"


def test_the_dates_of_the_cases_follow_the_day() -> None:
    for day in (DAY, date(2026, 7, 4)):
        first = synthetic.cases(day)[0]
        assert (date.fromisoformat(first["respond_by"]) - day).days == 35


def test_the_race_is_on_the_coming_saturday() -> None:
    for day in (date(2025, 11, 10), date(2025, 11, 14), date(2025, 11, 15)):
        at = date.fromisoformat(synthetic.cases(day)[5]["event_at"][:10])
        assert at.weekday() == 5
        assert 0 < (at - day).days <= 7
