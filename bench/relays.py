"""Mail relays for the benches: postfix's own test programs, and a Postfix of the bench's own that delivers nothing.

All come with Debian's package `postfix` (`apt install postfix`); no system service is needed or touched. `smtp-sink`
answers yes at once and keeps nothing. A real Postfix queues each mail on the disk before it answers, then discards it.
`smtp-source` sends the same few bytes again and again over kept connections: it is what a relay can take at most.
"""

import re
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any, Final, Protocol

from services.runtime.child_process import spawn
from services.runtime.errors import Fault
from services.runtime.local_kafka import free_ports

NEEDS: Final = "postfix is not there; on Debian, `apt install postfix`"
_SYSTEM: Final = ("/usr/sbin", "/usr/local/sbin")
_MAIN: Final = """\
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
maillog_file = {folder}/log
maillog_file_prefixes = {folder}
myhostname = relay.example
mydestination =
alias_maps =
mynetworks = 127.0.0.0/8
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
default_transport = discard:
smtpd_relay_restrictions = permit_mynetworks, reject
smtpd_tls_security_level = none
"""
_MASTER: Final = """\
127.0.0.1:{port} inet n - n - 100 smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
proxymap unix - - n - - proxymap
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
"""


class Relay(Protocol):
    """A relay that is started and stopped with a `with` block."""

    port: int

    def __enter__(self) -> "Relay": ...

    def __exit__(self, *error: object) -> None: ...


def program(name: str) -> str | None:
    """Where one of postfix's programs is."""
    return shutil.which(name) or shutil.which(name, path=":".join(_SYSTEM))


class SmtpSink:
    """`smtp-sink`, which takes everything and keeps nothing."""

    def __enter__(self) -> "SmtpSink":
        (self.port,) = free_ports(1)
        self._folder = tempfile.TemporaryDirectory(prefix="smtp-sink-")
        command = [_needed("smtp-sink"), "-u", "nobody", f"127.0.0.1:{self.port}", "1000"]
        self._process = spawn(command, log=Path(self._folder.name) / "log")
        _listening(self.port)
        return self

    def __exit__(self, *error: object) -> None:
        self._process.kill()
        self._process.wait()
        self._folder.cleanup()


class Postfix:
    """A real Postfix with folders, port and settings of its own. It needs root, as Postfix does. More settings and
    services may be given: lines of main.cf and master.cf, in which `{folder}` is filled.
    """

    def __init__(self, settings: str = "", services: str = "") -> None:
        self._main, self._master = _MAIN + settings, _MASTER + services

    def __enter__(self) -> "Postfix":
        (self.port,) = free_ports(1)
        self._folder = Path(tempfile.mkdtemp(prefix="postfix-"))
        self._folder.chmod(0o755)
        self._settings = self._folder / "etc"
        for name in ("etc", "queue", "data"):
            (self._folder / name).mkdir()
        shutil.chown(self._folder / "data", "postfix")
        (self._settings / "main.cf").write_text(self._main.replace("{folder}", str(self._folder)))
        (self._settings / "master.cf").write_text(self._master.replace("{port}", str(self.port)))
        self._command("start")
        _listening(self.port)
        return self

    def __exit__(self, *error: object) -> None:
        self._command("stop")
        shutil.rmtree(self._folder, ignore_errors=True)

    def _command(self, what: str) -> None:
        command = [_needed("postfix"), "-c", str(self._settings), what]
        done = subprocess.run(command, capture_output=True, check=False)
        if done.returncode:
            raise Fault(f"postfix {what} failed: {done.stderr.decode()[-300:]}")


def smtp_source(port: int, count: int, *, connections: int, size: int) -> float:
    """Mails a second that `smtp-source` sends there, `size` bytes of body each, over kept connections."""
    envelope = ["-f", "bench@relay.example", "-t", "to@relay.example"]
    command = [_needed("smtp-source"), "-d", "-s", str(connections), "-l", str(size), "-m", str(count), *envelope]
    begin = time.perf_counter()
    done = subprocess.run([*command, f"127.0.0.1:{port}"], capture_output=True, check=False)
    if done.returncode:
        raise Fault(f"smtp-source failed: {done.stderr.decode()[-300:]}")
    return count / (time.perf_counter() - begin)


def version() -> str:
    """The version of postfix that is there."""
    said: Any = subprocess.run([_needed("postconf"), "-d", "mail_version"], capture_output=True, check=False)
    found = re.search(r"= (\S+)", said.stdout.decode())
    return found[1] if found else "unknown"


def _needed(name: str) -> str:
    found = program(name)
    if found is None:
        raise Fault(NEEDS)
    return found


def _listening(port: int, timeout: float = 10) -> None:
    until = time.monotonic() + timeout
    while time.monotonic() < until:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
                connection.recv(100)
                return
        except OSError:
            time.sleep(0.02)
    raise Fault(f"nothing listens on port {port} after {timeout:.0f} s")
