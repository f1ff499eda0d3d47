"""A real IMAP server (pymap) with a certificate, for as long as a test lasts."""

import imaplib
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep

import trustme

USER, PASSWORD = "studs", "hemlig"
_STARTS_WITHIN = 60.0


@dataclass(frozen=True)
class ImapServer:
    """Where it is, and whom its certificate is vouched for by."""

    port: int
    ca_file: Path

    @contextmanager
    def mailbox(self) -> Iterator[imaplib.IMAP4]:
        """The user's mailbox, as another mail program would see it."""
        with imaplib.IMAP4("127.0.0.1", self.port, timeout=30) as program:
            program.starttls(ssl.create_default_context(cafile=self.ca_file))
            program.login(USER, PASSWORD)
            yield program


@contextmanager
def imap_server(folder: Path) -> Iterator[ImapServer]:
    """Starts it with an empty inbox, and ends it."""
    authority = trustme.CA()
    ca_file, certificate = folder / "ca.pem", folder / "server.pem"
    authority.cert_pem.write_to_path(str(ca_file))
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(certificate))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    program = [sys.executable, "-c", "from pymap.main import main; main()", "--host", "127.0.0.1", "--port", str(port)]
    program += ["--cert", str(certificate), "--key", str(certificate)]
    program += ["dict", "--demo-data", "--demo-user", USER, "--demo-password", PASSWORD]
    process = subprocess.Popen(program, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _listens(port, process)
        server = ImapServer(port, ca_file)
        with server.mailbox() as box:
            box.select("INBOX")
            box.store("1:*", "+FLAGS", r"(\Deleted)")
            box.expunge()
        yield server
    finally:
        process.terminate()
        process.wait(30)


def _listens(port: int, process: "subprocess.Popen[bytes]") -> None:
    until = monotonic() + _STARTS_WITHIN
    while monotonic() < until and process.poll() is None:
        with socket.socket() as asking:
            if asking.connect_ex(("127.0.0.1", port)) == 0:
                return
        sleep(0.05)
    raise AssertionError("the IMAP server did not start")
