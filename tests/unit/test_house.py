"""The house rules that no linter knows, held by machines (STYLE, habit 12)."""

import ast
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from schemas.topics import ALL_TOPICS, TOPICS

ROOT = Path(__file__).resolve().parents[2]
PURE = (
    "schemas", "services/rendering", "services/matcher/dialogue", "services/matcher/audience.py",
    "services/matcher/geometry.py", "services/matcher/grid.py", "services/matcher/holds.py",
    "services/matcher/industry.py", "services/matcher/ranges.py", "services/matcher/texts.py",
    "services/matcher/invitations.py", "services/matcher/rounds.py", "services/matcher/workplaces.py",
    "services/matcher/register/checks.py", "services/matcher/register/packed.py", "services/matcher/register/places.py",
    "services/runtime/mapping.py", "services/notifier/policy", "services/ops/dead_letters.py",
    "services/ops/lag.py", "services/ops/outcomes.py", "services/ops/editing.py",
)  # fmt: skip
EDGES = {"schemas/export.py"}
"""Writes the generated schemas: a tool in a pure room."""
CLOCKS = {"now", "today", "utcnow", "time", "time_ns", "monotonic", "perf_counter", "sleep", "getenv"}
WORLD = {"random", "secrets", "socket", "logging", "structlog", "faststream", "aiokafka", "kafka", "sqlalchemy"}
REGISTRIES = re.compile(
    r"registry\.npmjs" r"\.org|files\.pythonhosted" r"\.org|pypi\.org" r"/simple|repo1?\.maven(\.apache)?" r"\.org"
    r"|deb\.debian" r"\.org|--(?:extra-)?index-url"
)  # fmt: skip


def files(*places: str) -> Iterator[Path]:
    for place in places:
        path = ROOT / place
        assert path.exists(), f"{place} has moved: correct PURE"
        yield from [path] if path.is_file() else sorted(path.rglob("*.py"))


def pure() -> list[Path]:
    return [path for path in files(*PURE) if str(path.relative_to(ROOT)) not in EDGES]


def tracked() -> list[Path]:
    """What git knows; a copy without git (an sdist) is not judged."""
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        pytest.skip("not a git checkout")
    return [path for name in done.stdout.split("\0") if name and (path := ROOT / name).is_file()]


@pytest.mark.parametrize("path", pure(), ids=lambda path: str(path.relative_to(ROOT)))
def test_the_pure_core_knows_no_clock_environment_chance_or_network(path: Path) -> None:
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in CLOCKS:
            owner = ast.unparse(node.func.value)
            if owner in {"datetime", "date", "time", "dt", "os", "asyncio", "datetime.datetime", "datetime.date"}:
                found.append(f"{owner}.{node.func.attr}() in line {node.lineno}")
        elif isinstance(node, ast.Attribute) and node.attr == "environ":
            found.append(f"environment in line {node.lineno}")
        elif isinstance(node, ast.Import):
            found += [name.name for name in node.names if name.name.partition(".")[0] in WORLD]
        elif isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in WORLD:
            found.append(str(node.module))
    assert found == []


def test_every_topic_has_its_own_dead_letters_among_the_topics_we_create() -> None:
    names = [topic.name for topic in ALL_TOPICS]
    assert len(set(names)) == len(names)
    assert {f"{topic.name}.dlq" for topic in TOPICS} <= set(names)


def test_no_file_names_a_registry_or_a_path_of_a_machine() -> None:
    machine = re.compile(r"/(?:work|home|Users)/(?:main|shared|steering|[a-z]+/)")
    found = []
    for path in tracked():
        try:
            text = path.read_text()
        except UnicodeDecodeError:
            continue
        found += [f"{path.relative_to(ROOT)}: {m[0]}" for rule in (REGISTRIES, machine) if (m := rule.search(text))]
    assert found == []


def test_the_import_contract_holds() -> None:
    done = subprocess.run(
        [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout


def test_the_import_contract_names_every_service_there_is() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    independent = next(set(c["modules"]) for c in contracts if c["type"] == "independence")
    shared = {"services.rendering", "services.runtime", "services.demo"}
    there = {f"services.{path.parent.name}" for path in (ROOT / "services").glob("*/__init__.py")}
    assert there - shared == independent


def test_the_pins_of_the_project_and_of_the_lock_agree() -> None:
    done = subprocess.run([sys.executable, "deploy/pins.py", "--check"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_a_pin_that_differs_is_named_and_filling_in_mends_it(tmp_path: Path) -> None:
    for name in ("pyproject.toml", "requirements.lock", "deploy/pins.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    lock = tmp_path / "requirements.lock"
    lock.write_text(re.sub(r"(?m)^aiohttp==\S+", "aiohttp==0.0.1", lock.read_text()))

    def pins(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "deploy/pins.py", *arguments]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)

    assert "aiohttp==0.0.1" in pins("--check").stdout
    assert [pins("--check").returncode, pins().returncode, pins("--check").returncode] == [1, 0, 0]


def test_every_line_of_the_lock_is_a_pin_with_its_hash() -> None:
    """A pin that the pattern of deploy/pins.py does not know would silently be no constraint."""
    entries = re.split(r"\n(?=\S)", (ROOT / "requirements.lock").read_text().strip())
    assert [entry for entry in entries if "--hash=sha256:" not in entry or "==" not in entry.split()[0]] == []
    stated = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["uv"]["constraint-dependencies"]
    assert len(stated) == len(entries)


def test_the_test_command_of_the_readme_is_the_one_that_ci_runs_last() -> None:
    command = "uv run --group dev pytest -n 3"
    assert command in (ROOT / "README.md").read_text()
    assert (ROOT / ".ci/run").read_text().rstrip().endswith(command)
