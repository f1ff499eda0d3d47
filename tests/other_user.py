"""Our program as another user runs it: straight from here, or where that user may not come, from a copy.

A checkout or a Python under a home folder that only its owner may enter is common (and root's is such a one); a
deployment's is not, and what is tested is the program and not this machine's rights. The copy is made of hard links
where the file system allows, so it takes a second or two.
"""

import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.postgres_server import AS_NOBODY

ROOT: Final = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Nardialog:
    """What to begin a command with, and what its environment needs for it."""

    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)


def nardialog(folder: Path) -> Nardialog:
    """The command line for another user; what it needs may be copied into `folder`."""
    here = Nardialog((str(Path(sys.executable).with_name("nardialog")),))
    return here if _works(here) else _copied(folder)


def _works(program: Nardialog) -> bool:
    try:
        done = subprocess.run([*program.command, "--version"], cwd="/", capture_output=True, **AS_NOBODY)
    except PermissionError:
        return False
    return done.returncode == 0


def _copied(folder: Path) -> Nardialog:
    python, packages = folder / "python", folder / "packages"
    base = Path(sys.base_prefix)
    _copy(base / "bin", python / "bin")
    _copy(base / "lib", python / "lib", "site-packages", "test", "tests")
    _copy(Path(sysconfig.get_path("purelib")), packages)
    for room in ("schemas", "services"):
        _copy(ROOT / room, packages / room)
    interpreter = python / "bin" / Path(os.path.realpath(sys.executable)).name
    libraries = str(python / "lib")
    return Nardialog(
        (str(interpreter), "-m", "services.cli"),
        {"PYTHONHOME": str(python), "PYTHONPATH": str(packages), "LD_LIBRARY_PATH": libraries},
    )


def _copy(source: Path, target: Path, *without: str) -> None:
    shutil.copytree(source, target, symlinks=True, copy_function=_link, ignore=shutil.ignore_patterns(*without))


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:  # another file system
        shutil.copy2(source, target, follow_symlinks=False)
