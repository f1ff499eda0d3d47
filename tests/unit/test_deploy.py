"""What deploy/ promises without being run: the same services everywhere, time to stop, settings that exist."""

import re
from pathlib import Path

import pytest

from schemas.topics import ALL_TOPICS
from services.processes import PREPARE
from services.runtime.broker import GRACE
from tests.deployment import DEPLOY, Program, composed, directives, environment_file, rights, units

PROGRAMS = [*((f"compose {name}", p) for name, p in composed().items()), *units().items()]
SETTINGS = set(re.findall(r"^#?(NARDIALOG_\w+)=", (DEPLOY / "env.example").read_text(), re.MULTILINE))


def test_every_service_has_a_unit_and_a_place_in_the_compose_file() -> None:
    assert PREPARE.keys() <= units().keys()
    assert PREPARE.keys() <= composed().keys()
    (wants,) = (value for name, value in directives(DEPLOY / "systemd/nardialog.target") if name == "Wants")
    assert wants.split() == [f"nardialog-{name}.service" for name in units()]


@pytest.mark.parametrize(("name", "program"), PROGRAMS)
def test_a_batch_in_flight_has_time_to_finish(name: str, program: Program) -> None:
    assert program.patience > GRACE


@pytest.mark.parametrize(("name", "program"), PROGRAMS)
def test_only_settings_that_exist_are_set(name: str, program: Program) -> None:
    assert program.environment.keys() <= SETTINGS


@pytest.mark.parametrize("path", sorted(DEPLOY.glob("systemd/*.service")), ids=lambda path: path.stem)
def test_a_unit_may_write_its_own_state_and_nothing_else(path: Path) -> None:
    said = directives(path)
    for wanted in [
        ("DynamicUser", "yes"),
        ("NoNewPrivileges", "yes"),
        ("ProtectSystem", "strict"),
        ("ProtectHome", "yes"),
    ]:
        assert wanted in said
    assert [value for name, value in said if name == "StateDirectory"] == [path.stem]
    assert not {"ReadWritePaths", "User"} & {name for name, _ in said}


def test_no_file_in_deploy_holds_a_secret() -> None:
    secret = re.compile(r"^\W*(\w*(?:KEY|KEYS|PASSWORD))\s*[=:]\s*\S", re.MULTILINE)
    assert secret.search("#NARDIALOG_X__VAULT_KEY=abc")
    for path in [*DEPLOY.rglob("*.yaml"), *DEPLOY.rglob("*.service"), DEPLOY / "env.example", DEPLOY / "Containerfile"]:
        assert secret.findall(path.read_text()) == [], path.name


def test_an_environment_file_is_read_as_a_shell_would() -> None:
    assert environment_file("# A=0\nA='x y'\n#B=1\nC=\n") == {"A": "x y", "C": ""}


def test_rights_are_given_on_topics_that_exist_and_nobody_but_the_notifier_and_the_register_reads_contacts() -> None:
    topics = {topic.name for topic in ALL_TOPICS}
    assert {right.name for right in rights() if right.kind == "topic"} - topics == {"*"}
    readers = {r.user for r in rights() if r.kind == "topic" and r.operation == "Read" and r.name == "contacts"}
    assert readers == {"notifier", "register"}
