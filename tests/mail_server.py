"""A real mail server for tests: a private Postfix with TLS that delivers into a Maildir, refuses, and sends bounces.

`studs@kommun.example`, with anything after a plus sign, has a mailbox. `senare@` is told to come later, everybody else
there is unknown. What is for `nasta.test` is taken, and handed on to whatever listens at `next_hop`: what that refuses
comes back as a bounce.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import pytest
import trustme

from bench.relays import NEEDS, Postfix, program
from services.runtime.local_kafka import free_ports

MAILBOX: Final = "studs@kommun.example"
_NOBODY: Final = 65534
_SETTINGS: Final = """\
smtpd_tls_security_level = may
smtpd_tls_chain_files = {chain}
smtpd_recipient_restrictions =
  check_recipient_access inline:{ { senare@kommun.example = 450 4.7.1 Greylisted } }, reject_unlisted_recipient,
  permit_mynetworks, reject
recipient_delimiter = +
virtual_mailbox_domains = kommun.example
virtual_mailbox_maps = inline:{ studs@kommun.example=mail/ }
virtual_mailbox_base = {base}
virtual_uid_maps = static:65534
virtual_gid_maps = static:65534
transport_maps = inline:{ { nasta.test = smtp:[127.0.0.1]:{next_hop} } }
"""
_SERVICES: Final = """\
127.0.0.1:{implicit} inet n - n - - smtpd -o smtpd_tls_wrappermode=yes
smtp unix - - n - - smtp
virtual unix - n n - - virtual
tlsmgr unix - - n 1000? 1 tlsmgr
"""
needs_postfix: Final = pytest.mark.skipif(
    program("postfix") is None or os.geteuid() != 0, reason=f"{NEEDS}; it wants to be started by root"
)


@dataclass(frozen=True)
class MailServer:
    """Where it listens, whom its certificate is vouched for by, and where the mailbox is."""

    port: int
    implicit_port: int
    next_hop: int
    ca_file: Path
    maildir: Path


@contextmanager
def mail_server() -> Iterator[MailServer]:
    """Starts it with an empty mailbox, and ends it. Its folder is not pytest's: Postfix delivers as nobody, who may not
    go there.
    """
    with TemporaryDirectory(prefix="mail-server-") as name:
        folder = Path(name)
        authority = trustme.CA()
        ca_file, chain, base = folder / "ca.pem", folder / "chain.pem", folder / "boxes"
        authority.cert_pem.write_to_path(str(ca_file))
        authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(chain))
        for part in ("new", "cur", "tmp"):
            (base / "mail" / part).mkdir(parents=True)
        for place in (base, base / "mail", *(base / "mail").iterdir()):
            os.chown(place, _NOBODY, _NOBODY)
        folder.chmod(0o755)
        implicit, next_hop = free_ports(2)
        given = {"{chain}": str(chain), "{base}": str(base), "{next_hop}": str(next_hop), "{implicit}": str(implicit)}
        with Postfix(_filled(_SETTINGS, given), _filled(_SERVICES, given)) as postfix:
            yield MailServer(postfix.port, implicit, next_hop, ca_file, base / "mail")


def _filled(text: str, given: Mapping[str, str]) -> str:
    for place, value in given.items():
        text = text.replace(place, value)
    return text
