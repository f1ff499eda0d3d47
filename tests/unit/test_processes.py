"""Services that share a process say which of them speaks, and only the process sets logging up."""

import asyncio
from pathlib import Path

import pytest
import structlog

import services
from services.processes import Serve, named, together
from services.runtime.clock import Clock, SystemClock


@pytest.mark.anyio
async def test_each_service_of_a_shared_process_logs_under_its_own_name() -> None:
    said: list[tuple[str, object]] = []

    def service(name: str) -> Serve:
        async def serve(clock: Clock, stop: asyncio.Event) -> None:
            await asyncio.sleep(0)
            said.append((name, structlog.contextvars.get_contextvars()["service"]))

        return named(name, serve)

    await together([service("matcher"), service("notifier")], SystemClock(), asyncio.Event())
    assert sorted(said) == [("matcher", "matcher"), ("notifier", "notifier")]


def test_nothing_but_a_process_or_a_command_sets_logging_up() -> None:
    root = Path(str(services.__path__[0]))
    sets_up = {str(p.relative_to(root)) for p in root.rglob("*.py") if "logs.configure(" in p.read_text()}
    of_services = {"demo/commands.py", "matcher/explain_command.py", "matcher/replay_command.py", "portal/case_desk.py"}
    assert sets_up == {"processes.py", "case_preview.py", *of_services}
