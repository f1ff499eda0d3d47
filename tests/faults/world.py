"""A whole installation as separate processes, to be killed: Kafka, PostgreSQL, a mail sink, matcher, notifier."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType

from schemas.case import CASE_CHANGED, Case
from schemas.topics import ALL_TOPICS, CASES, DELIVERIES, INVITATIONS
from services.runtime.broker import Broker
from services.runtime.child_process import spawn
from services.runtime.local_kafka import LocalKafka
from services.runtime.parsing import outgoing
from services.runtime.settings import KafkaSettings
from services.runtime.tables import TableReader
from services.runtime.topic_admin import TopicAdmin
from tests.faults.accounts import Accounts
from tests.postgres_server import PostgresServer
from tests.unbounded import model_file

MUNICIPALITY = "0162"
SERVICES = ("matcher", "notifier")


class World:
    """Use as a context manager. `kill` and `revive` take `matcher`, `notifier`, `kafka` or `postgresql`. Nothing
    outlives us; the folder stays when an error ended it.
    """

    def __init__(self, *, database: str = "postgresql", delay: float = 0.0, durable: bool = False) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="faults-"))
        self.kafka = LocalKafka(self.folder / "kafka")
        self.postgres = PostgresServer(durable=durable) if database == "postgresql" else None
        self.log = self.folder / "accepted.jsonl"
        self._delay = delay
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.environment: dict[str, str] = {}
        self.kills: Counter[str] = Counter()

    def __enter__(self) -> "World":
        self.kafka.start()
        self.settings = KafkaSettings(bootstrap=(self.kafka.bootstrap,), session_timeout_ms=3000)
        with TopicAdmin(self.kafka.bootstrap) as admin:
            admin.create(ALL_TOPICS, partitions=6, replication=1)
        database = f"sqlite+aiosqlite:///{self.folder}/ledger.db"
        if self.postgres is not None:
            self.postgres.start()
            database = self.postgres.create_database("ledger")
        self.environment = {
            **os.environ,
            **self._keys(),
            **self._settings(self._start_sink(), database),
        }
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for process in self.processes.values():
            process.kill()
            process.wait()
        self.kafka.stop()
        if self.postgres is not None:
            self.postgres.stop()
        if error is None:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _keys(self) -> dict[str, str]:
        made = subprocess.run(
            [sys.executable, "-m", "services.cli", "keys", "new"],
            capture_output=True,
            check=True,
        )
        lines = [line for line in made.stdout.decode().splitlines() if line.startswith("NARDIALOG_")]
        return {name: value.strip("'\"") for name, _, value in (line.partition("=") for line in lines)}

    def _start_sink(self) -> int:
        said = self.folder / "sink.log"
        command = [sys.executable, "-m", "services.notifier.channels.sinks", "--smtp", "0", "--log", str(self.log)]
        self.log.touch()
        self.processes["sink"] = spawn([*command, "--delay", str(self._delay)], log=said)
        while not (lines := said.read_text().splitlines() if said.exists() else []):
            if self.processes["sink"].poll() is not None:
                raise RuntimeError("the mail sink did not start")
            time.sleep(0.02)
        port: int = json.loads(lines[0])["smtp"]
        return port

    def _settings(self, smtp_port: int, database: str) -> dict[str, str]:
        return {
            "NARDIALOG_KAFKA__BOOTSTRAP": json.dumps([self.kafka.bootstrap]),
            "NARDIALOG_KAFKA__SESSION_TIMEOUT_MS": "3000",
            "NARDIALOG_MODEL__FILE": str(model_file(self.folder)),
            "NARDIALOG_NOTIFIER__DATABASE": database,
            "NARDIALOG_NOTIFIER__WINDOWS": "always",
            "NARDIALOG_NOTIFIER__HOLD_SECONDS": "0",
            "NARDIALOG_NOTIFIER__LEASE_SECONDS": "3",
            "NARDIALOG_NOTIFIER__SMTP__HOST": "127.0.0.1",
            "NARDIALOG_NOTIFIER__SMTP__PORT": str(smtp_port),
            "NARDIALOG_NOTIFIER__SMTP__TLS": "none",
            "NARDIALOG_LOG__LEVEL": "warning",
        }

    def command(self, *arguments: str) -> str:
        """Runs the command line in this installation; returns its standard output."""
        done = subprocess.run(
            [sys.executable, "-m", "services.cli", *arguments],
            env=self.environment,
            capture_output=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"nardialog {' '.join(arguments)}: {done.returncode}\n{done.stderr.decode()}")
        return done.stdout.decode()

    def start(self, service: str) -> None:
        """Starts a service as a process of its own. `matcher-2` is another matcher."""
        command = [sys.executable, "-m", "services.cli", "run", service.partition("-")[0]]
        self.processes[service] = spawn(command, log=self.folder / f"{service}.log", env=self.environment)

    def end(self, service: str) -> None:
        """SIGTERM: what is under way is finished."""
        process = self.processes.pop(service)
        process.terminate()
        process.wait(30)

    def kill(self, what: str) -> None:
        """SIGKILL, at once."""
        self.kills[what] += 1
        if what == "kafka":
            self.kafka.kill()
        elif what == "postgresql" and self.postgres is not None:
            self.postgres.kill()
        else:
            self.processes[what].kill()
            self.processes[what].wait()

    def freeze(self, what: str, frozen: bool) -> None:
        """SIGSTOP or SIGCONT: a machine that hangs for a while, and does not know that it did."""
        self.processes[what].send_signal(signal.SIGSTOP if frozen else signal.SIGCONT)

    def revive(self, what: str) -> None:
        """Starts again what was killed, on the same data."""
        if what == "kafka":
            self.kafka.start()
        elif what == "postgresql" and self.postgres is not None:
            self.postgres.start()
        else:
            self.start(what)

    def register(self, recipients: int) -> Path:
        """A register of that many organisations, one workplace and one address each."""
        path = self.folder / "register.csv"
        header = "workplace_id,organisation,name,lon,lat,sni,sni_version,status,municipality,email"
        rows = [
            f"EX-{i:05},EXO-{i:05},Exempel {i},18.05,59.40,56110,2025,active,{MUNICIPALITY},info{i}@foretag{i}.example"
            for i in range(recipients)
        ]
        path.write_text("\n".join([header, *rows]) + "\n")
        return path

    def cases(self, count: int) -> list[Case]:
        """Cases that each reach every organisation: a fee for all restaurants of the municipality."""
        return [
            Case.model_validate(
                {
                    "municipality": MUNICIPALITY,
                    "source": "faults",
                    "case_id": f"EX-{i}",
                    "version": 1,
                    "title": f"Ny taxa {i}",
                    "case_type": "taxa",
                    "stage": "forslag",
                    "area": "municipality",
                    "industries": [{"code": "56", "version": "2025"}],
                    "respond_by": (datetime.now(UTC) + timedelta(days=60)).date(),
                    "synthetic": True,
                }
            )
            for i in range(count)
        ]

    async def publish(self, cases: Sequence[Case]) -> None:
        """Case events, acknowledged."""
        broker = Broker(self.settings, service="case-system")
        await broker.start()
        await broker.publish(
            [
                outgoing(
                    CASES.name, case.key, case, type=CASE_CHANGED, id=f"{case.key}-{case.version}",
                    source="/faults", time=datetime.now(UTC),
                )
                for case in cases
            ]
        )  # fmt: skip
        await broker.stop()

    @property
    def ledger(self) -> str:
        """The notifier's database."""
        return self.environment["NARDIALOG_NOTIFIER__DATABASE"]

    def taken(self) -> int:
        """How many messages the sink took until now."""
        return self.log.read_bytes().count(b"\n")

    def accepted(self) -> Counter[str]:
        """Message id → how often the sink took it."""
        return Counter(message_id for message_id, _ in self.acceptances())

    def acceptances(self) -> list[tuple[str, float]]:
        """Message id and second, in the order in which the sink took them."""
        lines = [json.loads(line) for line in self.log.read_text().splitlines()]
        return [(line["id"].strip("<>").partition("@")[0], line["at"]) for line in lines]


class Books(Accounts):
    """What the topics say was invited and what became of it, read as it comes."""

    def __init__(self, settings: KafkaSettings) -> None:
        super().__init__()
        self._reader = TableReader(settings, [INVITATIONS.name, DELIVERIES.name], self.take)

    async def start(self) -> None:
        await self._reader.start()

    async def stop(self) -> None:
        await self._reader.stop()

    async def caught_up(self) -> None:
        await self._reader.caught_up()
