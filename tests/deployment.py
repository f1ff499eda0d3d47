"""What deploy/ says, read as a container engine and systemd read it: commands, environment, limits of time."""

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from services.runtime.topic_admin import TopicAdmin

ROOT: Final = Path(__file__).resolve().parents[1]
DEPLOY: Final = ROOT / "deploy"
ACTIVE: Final = re.compile(r"^([A-Z_a-z]\w*)=(.*)$", re.MULTILINE)
UNITS: Final = {"s": 1, "min": 60, "": 1}


@dataclass(frozen=True)
class Program:
    """One service's process: its arguments after `nardialog`, its own environment, how long it may take to stop."""

    arguments: tuple[str, ...]
    environment: Mapping[str, str]
    patience: float
    """Seconds from SIGTERM to SIGKILL."""
    files: tuple[str, ...] = ()
    """Environment files, under deploy/ or /etc/nardialog."""


def compose() -> Mapping[str, Any]:
    """The compose file, with its aliases and merges resolved."""
    found: Mapping[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    return found


def composed() -> dict[str, Program]:
    """The services of ours in the compose file. Their entry point, `nardialog`, is the Containerfile's."""
    return {
        name: Program(
            tuple(service["command"]),
            service.get("environment", {}),
            _seconds(service["stop_grace_period"]),
            tuple(service.get("env_file", ())),
        )
        for name, service in compose()["services"].items()
        if "build" in service
    }


def units() -> dict[str, Program]:
    """The units, by the name of their service."""
    return {path.stem.removeprefix("nardialog-"): _unit(path) for path in sorted(DEPLOY.glob("systemd/*.service"))}


def directives(path: Path) -> list[tuple[str, str]]:
    """A unit's `Name=value` lines in their order."""
    lines = path.read_text().splitlines()
    return [(name, value) for name, sign, value in (line.partition("=") for line in lines) if sign and name[0] != "#"]


def _unit(path: Path) -> Program:
    found = directives(path)
    (command,) = (value for name, value in found if name == "ExecStart")
    program, *arguments = shlex.split(command)
    assert program == "/opt/nardialog/.venv/bin/nardialog"
    (patience,) = (value for name, value in found if name == "TimeoutStopSec")
    set_here = dict(shlex.split(value)[0].split("=", 1) for name, value in found if name == "Environment")
    files = tuple(value for name, value in found if name == "EnvironmentFile")
    return Program(tuple(arguments), set_here, _seconds(patience), files)


def environment_file(text: str) -> dict[str, str]:
    """An environment file in the part of the syntax that a shell, systemd and compose all read alike."""
    return {name: shlex.split(value)[0] if value else "" for name, value in ACTIVE.findall(text)}


def kafka_settings() -> dict[str, str]:
    """The compose file's settings of the broker, as its image makes them a properties file, but for addresses."""
    found = compose()["services"]["kafka"]["environment"].items()
    named = {
        name.removeprefix("KAFKA_").lower().replace("_", "."): value for name, value in found if name[:6] == "KAFKA_"
    }
    return {name: value for name, value in named.items() if "listener" not in name and name[:4] not in ("cont", "log.")}


@dataclass(frozen=True)
class Right:
    """One line of kafka-acls.txt, taken apart."""

    user: str
    operation: str
    kind: str
    """`topic`, `group` or `cluster`."""
    name: str


def rights() -> list[Right]:
    """Everything that kafka-acls.txt allows."""
    found = []
    for line in (DEPLOY / "kafka-acls.txt").read_text().splitlines():
        if not line.startswith("--add"):
            continue
        user, operations, places = "", [], []
        words = iter(shlex.split(line))
        for word in words:
            if word == "--allow-principal":
                user = next(words).removeprefix("User:")
            elif word == "--operation":
                operations.append(next(words))
            elif word in ("--topic", "--group"):
                places.append((word.removeprefix("--"), next(words)))
            elif word == "--cluster":
                places.append(("cluster", "kafka-cluster"))
            else:
                assert word == "--add", word
        found += [Right(user, operation, *place) for operation in operations for place in places]
    return found


def grant(admin: TopicAdmin, wanted: list[Right]) -> None:
    """Gives the rights, as kafka-acls would."""
    from kafka.admin import ACL, ACLOperation, ACLPermissionType, ResourcePattern, ResourceType

    made = [
        ACL(
            f"User:{right.user}",
            "*",
            ACLOperation[re.sub(r"(?<!^)(?=[A-Z])", "_", right.operation).upper()],
            ACLPermissionType.ALLOW,
            ResourcePattern(ResourceType[right.kind.upper()], right.name),
        )
        for right in wanted
    ]
    done = admin._client.create_acls(made)
    assert not done["failed"], done["failed"]


def _seconds(text: str) -> float:
    match = re.fullmatch(r"(\d+)(s|min|)", text)
    assert match, text
    return int(match[1]) * UNITS[match[2]]
