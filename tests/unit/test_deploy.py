"""What deploy/ promises without being run: the same services everywhere, time to stop, settings that exist."""

import ast
import re
from pathlib import Path

import pytest

import schemas.topics
from schemas.topics import ALL_TOPICS, SEALED, Topic
from services.notifier.admission import GROUP as INVITED
from services.notifier.notices import GROUP as ASKED
from services.portal.views import PUT_ASIDE
from services.processes import PREPARE
from services.runtime.broker import GRACE
from tests.deployment import DEPLOY, ROOT, Program, composed, directives, environment_file, rights, units

PROGRAMS = [*((f"compose {name}", p) for name, p in composed().items()), *units().items()]
NOT_THE_SERVICE = (
    "matcher/register/", "matcher/commands", "matcher/published", "notifier/delivery_commands",
    "notifier/letter_commands", "notifier/sending_commands", "portal/commands", "portal/order", "portal/case_",
)  # fmt: skip
"""What runs at a terminal, as a user of its own."""
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
    secret = re.compile(r"^\W*(\w*(?:KEY|KEYS|PASSWORD))[ \t]*[=:][ \t]*\S", re.MULTILINE)
    assert secret.search("#NARDIALOG_X__VAULT_KEY=abc")
    for path in [*DEPLOY.rglob("*.yaml"), *DEPLOY.rglob("*.service"), DEPLOY / "env.example", DEPLOY / "Containerfile"]:
        assert secret.findall(path.read_text()) == [], path.name


def test_an_environment_file_is_read_as_a_shell_would() -> None:
    assert environment_file("# A=0\nA='x y'\n#B=1\nC=\n") == {"A": "x y", "C": ""}


def test_rights_are_given_on_topics_that_exist_and_hardly_anybody_reads_addresses() -> None:
    topics = {topic.name for topic in ALL_TOPICS}
    assert {right.name for right in rights() if right.kind == "topic"} - topics == {"*"}
    readers = {r.user for r in rights() if r.kind == "topic" and r.operation == "Read" and r.name in SEALED}
    assert readers == {"notifier", "register"}


@pytest.mark.parametrize("service", PREPARE)
def test_a_service_has_rights_on_every_topic_that_it_names(service: str) -> None:
    named = set()
    for path in (ROOT / "services" / service).rglob("*.py"):
        if not path.relative_to(ROOT / "services").as_posix().startswith(NOT_THE_SERVICE):
            found = [n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.ImportFrom)]
            named |= {alias.name for node in found if node.module == "schemas.topics" for alias in node.names}
    topics = {getattr(schemas.topics, name) for name in named}
    wanted = {topic.name for topic in topics if isinstance(topic, Topic)}
    assert wanted
    allowed = {right.name for right in rights() if right.user == service}
    assert "*" in allowed or wanted - allowed == set()


def test_a_service_may_join_its_groups_and_put_aside_what_it_cannot_read() -> None:
    def may(user: str, operation: str, kind: str) -> set[str]:
        return {
            right.name for right in rights() if (right.user, right.operation, right.kind) == (user, operation, kind)
        }

    assert may("notifier", "Read", "group") == {INVITED, ASKED}
    assert may("matcher", "Read", "group") == {"matcher"}
    for topic in PUT_ASIDE | {"cases", "dialogues", "invitations", "notices", "contacts", "responses"}:
        writers = {user for user in PREPARE if f"{topic}.dlq" in may(user, "Write", "topic")}
        readers = {user for user in PREPARE if topic in may(user, "Read", "topic")}
        assert writers
        assert writers <= readers
