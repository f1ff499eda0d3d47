"""`nardialog demo`: the whole flow on this machine, with invented companies. Progress on stderr, data on stdout."""

import asyncio
import json as json_text
import shutil
import signal
import sys
import tempfile
import time
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

from cyclopts import Parameter

if TYPE_CHECKING:  # a command's help must not wait for the services
    from rich.console import Console

    from services.demo.settling import Verdict
    from services.demo.world import World
    from services.runtime.kafka_jars import Progress

OK, NOT_MET, TERMINATED = 0, 3, 143
SETTLE_SECONDS: Final = 240

Flag = Annotated[bool, Parameter(negative="")]


def demo(
    *,
    once: Flag = False,
    json: Flag = False,
    keep: Path | None = None,
    port: Annotated[int | None, Parameter(show_default=False)] = None,
    no_open: Flag = False,
    fetch: Flag = False,
    year: Path | None = None,
    speed: float = 60,
) -> int:
    """Start everything embedded, with invented companies and cases; nothing is sent for real.

    Opens the inbox page and runs until Ctrl-C. The clock starts on Monday 10 November 2025 at 08:00.

    Parameters
    ----------
    once
        End when all is settled: exit 0 when nothing was lost or doubled, else 3.
    json
        With --once: print the figures as one JSON object.
    keep
        Keep the register, cases, ledger, broker data and mails in this empty folder.
    port
        The inbox page's port; 8800, or another when that is busy.
    no_open
        Do not open a browser.
    fetch
        Only bring what the first run needs, 45 MB of Apache Kafka.
    year
        Only write a made-up year of cases, the register and two models into this empty folder, for
        `nardialog model backtest`.
    speed
        How many times as fast as yours the demo's clock runs.
    """
    from rich.console import Console

    from services.runtime import logs
    from services.runtime.errors import Fault
    from services.runtime.settings import LogSettings

    console = Console(stderr=True, highlight=False, soft_wrap=True)
    logs.configure(LogSettings(level="error", format="lines"), "demo")
    if fetch:
        return _fetch(console)
    if year is not None:
        return _write_year(console, year)
    if json and not once:
        raise Fault("--json needs --once: without it the demo never ends by itself")
    if not 1 <= speed <= 600:
        raise Fault("--speed must lie between 1 and 600")
    from services.demo.world import Options, refuse_real_providers

    refuse_real_providers()
    with _folder(keep) as folder:
        options = Options(folder, port=port, speed=speed, between_cases=0.2 if once else 3.0)
        run = _Run(console, options, once=once, json=json, open_page=not (no_open or once), keep=keep is not None)
        return asyncio.run(run.main())


def _fetch(console: "Console") -> int:
    from services.runtime.kafka_jars import fetch as bring

    with _download(console) as progress:
        folder = bring(progress)
    console.print(f"Apache Kafka is here: {folder}")
    return OK


def _write_year(console: "Console", folder: Path) -> int:
    from services.demo.year import write

    _must_be_empty(folder, "--year")
    for file in write(folder):
        print(file)
    console.print(f"try: nardialog model backtest --cases {folder}/cases --register {folder}/register.csv", end=" ")
    console.print(f"--model {folder}/model.json --model {folder}/model-tried.json --html {folder}/backtest.html")
    return OK


def _must_be_empty(folder: Path, option: str) -> None:
    from services.runtime.errors import Fault

    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise Fault(f"{folder} is not empty: give {option} an empty folder")


@contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    """A folder that is gone afterwards, or the empty one to keep."""
    from services.runtime.errors import Fault

    if keep is None:
        folder = Path(tempfile.mkdtemp(prefix="nardialog-demo-"))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        return
    keep.mkdir(parents=True, exist_ok=True)
    if any(keep.iterdir()):
        raise Fault(f"{keep} is not empty: give --keep an empty folder, the keys of an earlier run are gone")
    yield keep


@contextmanager
def _download(console: "Console") -> "Iterator[Progress]":
    """A bar for the jars; nothing when all are there."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("fetching Apache Kafka, first time only", total=None, visible=False)
        yield lambda done, total: bar.update(task, completed=done, total=total, visible=done < total)


class _Run:
    """One run of the demo and what it says in the terminal."""

    def __init__(
        self, console: "Console", options: Any, *, once: bool, json: bool, open_page: bool, keep: bool
    ) -> None:
        self._console = console
        self._options = options
        self._once = once
        self._json = json
        self._open = open_page
        self._keep = keep
        self._terminated = False

    async def main(self) -> int:
        from services.demo.world import World

        self._catch_termination()
        world = World(self._options)
        began = time.monotonic()
        try:
            return await self._play(world, began)
        except asyncio.CancelledError:
            if self._terminated:
                return TERMINATED
            raise
        finally:
            await world.stop()
            if self._keep:
                world.write_mails()
                self._console.print(f"kept in {self._options.folder}")

    def _catch_termination(self) -> None:
        task = asyncio.current_task()

        def end() -> None:
            self._terminated = True
            if task is not None:
                task.cancel()

        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, end)

    async def _play(self, world: "World", began: float) -> int:
        say = self._console.print
        say("[bold]Närdialog demo[/bold] – påhittade företag, inga riktiga utskick (invented, nothing is sent)")
        await self._start(world)
        say(f"ready in {time.monotonic() - began:.1f} s; it is Monday 10 November 2025 08:00, × {world.board.speed:g}")
        settling = asyncio.create_task(world.settle(SETTLE_SECONDS * 60 / min(60.0, world.board.speed)))
        try:
            await world.publish()
            for row in _case_lines(world):
                say(row)
            verdict = await settling
        finally:
            settling.cancel()
        seconds = time.monotonic() - began
        self._tell(world, verdict, seconds)
        if self._once:
            return OK if not (verdict.lost or verdict.doubled or verdict.unexpected) else NOT_MET
        _things_to_try(self._console, world)
        await asyncio.get_running_loop().create_future()  # until Ctrl-C
        return OK

    async def _start(self, world: "World") -> None:
        say = self._console.print
        await world.start_inbox()
        if world.inbox.moved_from is not None:
            say(f"port {world.inbox.moved_from} is busy; taking {world.inbox.port}")
        say(f"inbox page: [bold]{world.inbox.url}[/bold]   (Ctrl-C ends)")
        if self._open:
            await asyncio.to_thread(webbrowser.open, world.inbox.url)
        with _download(self._console) as progress:
            await world.start(progress)
        for step in world.board.steps.values():
            say(f"  [green]✓[/green] {step.name:9} {step.detail}")

    def _tell(self, world: "World", verdict: "Verdict", seconds: float) -> None:
        figures = {
            "cases": len(world.board.published),
            "rounds": len(world.board.rounds),
            "invitations": len(world.board.invitations),
            "messages": {"email": len(world.board.mails), "sms": len(world.board.texts)},
            "responses": len(world.board.responses),
            "stops": len(world.board.stops),
            "dead_letters": len(world.board.dead_letters),
            "lost": verdict.lost,
            "doubled": verdict.doubled,
            "unexpected": verdict.unexpected,
            "resent_unknown": verdict.resent_unknown,
            "seconds": round(seconds, 1),
        }
        if self._json:
            sys.stdout.write(json_text.dumps(figures) + "\n")
            sys.stdout.flush()
            return
        messages = figures["messages"]
        self._console.print(
            f"settled after {seconds:.1f} s: {figures['cases']} cases, {figures['invitations']} invitations, "
            f"{messages['email']} mails, {messages['sms']} SMS, {figures['responses']} answers, "  # type: ignore[index]
            f"{figures['stops']} stopped, {figures['dead_letters']} dead letters, "
            f"lost {verdict.lost}, doubled {verdict.doubled}"
        )


def _case_lines(world: "World") -> list[str]:
    """One line per case that was published."""
    return [f"  → {case['case_id']} {case['title']}" for case in world.board.published.values()]


def _things_to_try(console: "Console", world: "World") -> None:
    url = world.inbox.url
    mail = world.board.first_to_read()
    console.print("Three things to try:")
    console.print(f"  1. open the mail to Exempelbageriet, and answer it: {url}/mail/{mail.number if mail else 1}")
    console.print(f"  2. follow an area; the mail to confirm comes into the inbox: {world.board.portal}/prenumerera")
    console.print("  3. mend the dead letter, in another terminal:")
    for line in world.mending():
        console.print(f"       {line}", markup=False)
