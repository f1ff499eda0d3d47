"""A published round can be computed again from what was kept: the files that its hashes name, and the events."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from schemas.case import Case
from schemas.company import COMPANY_CHANGED, IMPORT_COMPLETED, MARKER_PREFIX, ImportCompleted
from schemas.dialogue import Dialogue
from schemas.identity import DEMO_RECIPIENT_KEY, recipient_id
from schemas.round import Round
from schemas.subscription import Subscription
from schemas.topics import COMPANIES, SUBSCRIPTIONS
from services.matcher.commands import match
from services.matcher.register import reading
from services.matcher.register.checks import Rules
from services.matcher.replay import Replay, case_of, replay
from services.matcher.workplaces import content_hash, snapshot
from tests.matcher_cases import content
from tests.matcher_offline import MODEL, quiet
from tests.matcher_place import METRE, RESPOND_BY, START, Place, company

HEADER = "workplace_id,organisation,name,lon,lat,sni,sni_version,municipality\n"
quiet_logs = quiet


def imported(place: Place, register: Path) -> None:
    """The register's rows and marker as the import publishes them."""
    rows = reading.read(register, Rules(DEMO_RECIPIENT_KEY, anywhere=False)).companies.values()
    for row in rows:
        one = row.model_copy(update={"import_number": 2})
        place.write(COMPANIES, row.workplace_id, one, COMPANY_CHANGED)
    marker = ImportCompleted(
        municipality="0162", import_id="i2", import_number=2, source="register", partition=0, partitions=1,
        rows=len(rows), content_hash=content_hash(rows), completed_at=START,
    )  # fmt: skip
    place.write(COMPANIES, f"{MARKER_PREFIX}0", marker, IMPORT_COMPLETED)
    place.look()


def events(place: Place, topic: str, model: type[Any]) -> str:
    """The last event of each key of a topic, as a file keeps them."""
    last = {record.key: record.value or b"" for record in place.log.records if record.topic == topic}
    return "".join(
        model.model_validate_json(value).model_dump_json(exclude_none=True) + "\n" for value in last.values()
    )


@pytest.mark.parametrize("change", ["nothing", "another register", "another case", "no decisions"])
def test_a_round_is_computed_again_from_kept_files_with_the_same_hashes_and_another_input_shows(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], change: str
) -> None:
    files = {name: tmp_path / f"{name}.jsonl" for name in ("cases", "subscriptions", "dialogues", "rounds")}
    register = tmp_path / "register.csv"
    rows = [f"W{m},O{m},Bageri {m},{18.03 + m * METRE:.7f},59.4,56.110,2025,0162\n" for m in range(0, 300, 20)]
    register.write_text(HEADER + "".join(rows), encoding="utf-8")
    place = Place()
    imported(place, register)
    place.subscribe("s1")
    place.case(1)
    place.decide("remove", place.round(), reason="riven", workplaces=["W20"])
    published = place.round()
    assert published.counts.invitations == 8, "W0 to W140 less W20, and one subscriber"

    cases = events(place, "cases", Case)
    files["cases"].write_text(cases.replace("18.03,", "18.031,") if change == "another case" else cases)
    files["subscriptions"].write_text(events(place, SUBSCRIPTIONS.name, Subscription))
    files["dialogues"].write_text("" if change == "no decisions" else events(place, "dialogues", Dialogue))
    if change == "another register":
        register.write_text(HEADER + "".join(rows[1:]), encoding="utf-8")
    day = f"{START:%Y-%m-%d}"
    kept = {name: files[name] for name in ("cases", "subscriptions", "dialogues", "rounds")}
    assert match(register=register, day=day, **kept) == 0  # type: ignore[arg-type]
    invited = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    (again,) = [Round.model_validate_json(line) for line in files["rounds"].read_text().splitlines()]
    assert len(invited) == again.counts.invitations
    hashes = [(r.round_id, r.model_hash, r.register_version, r.set_hash) for r in (published, again)]
    assert (hashes[0] == hashes[1]) == (change == "nothing")


def test_a_day_that_is_none_is_a_usage_error(tmp_path: Path) -> None:
    cases, register = tmp_path / "c", tmp_path / "r.csv"
    cases.write_text(json.dumps(content()))
    register.write_text(HEADER)
    assert match(register=register, cases=cases, day="i går") == 2


def replayed(place: Place, **changes: Any) -> Replay:
    """The place's one round, computed again from what its topics say."""
    process, round_ = place.process, place.round(**changes)
    versions = [Case.model_validate_json(r.value or b"") for r in place.log.records if r.topic == "cases"]
    case, register = case_of(round_, versions), process.register.snapshot()
    assert case is not None
    assert register is not None
    return replay(
        round_, case, register, MODEL, key=DEMO_RECIPIENT_KEY, dialogue=process.dialogues.get(case.key),
        subscribers=process.subscriptions.snapshot(), members=process.members.of_rounds([round_.round_id]),
    )  # fmt: skip


def test_a_round_with_late_comers_decisions_and_a_corrected_case_comes_out_the_same() -> None:
    place = Place(0, 20, 900)
    place.case(1)
    place.decide("remove", place.round(), reason="riven", workplaces=["W20"])
    place.subscribe("s1")
    place.wait_until(START + timedelta(days=26))
    place.register(10)
    place.case(2, title="Rättad titel")
    place.decide("add", place.round(), reason="granne", workplaces=["W900"])
    assert place.round().counts.excluded == {"late": 1, "removed": 1}
    found = replayed(place)
    assert (found.same, found.missing, found.new) == (True, (), ())


def test_a_round_that_a_newer_stage_closed_is_computed_from_the_version_of_its_own_stage() -> None:
    place = Place(0, 20)
    place.case(1)
    place.case(2, stage="ta_plan")
    assert place.round(stage="projektering").basis.case_version == 2
    assert replayed(place, stage="projektering").same


def test_a_difference_says_who_is_on_which_side() -> None:
    place = Place(0, 20)
    place.case(1)
    published = place.process.members
    place.subscribe("s1")
    before = place.round()
    members = list(published.of_rounds([before.round_id]))
    case = Case.model_validate(content("road", respond_by=RESPOND_BY))
    gone = snapshot(company(metres, 1) for metres in (0, 30))
    found = replay(
        before, case, gone, MODEL, key=DEMO_RECIPIENT_KEY, dialogue=None,
        subscribers=place.process.subscriptions.snapshot(), members=members,
    )  # fmt: skip
    names = {str(recipient_id(name, DEMO_RECIPIENT_KEY)): name for name in ("W0", "W20", "W30")}
    assert (found.same, [names[one] for one in found.missing], [names[one] for one in found.new]) == (
        False, ["W20"], ["W30"],
    )  # fmt: skip
