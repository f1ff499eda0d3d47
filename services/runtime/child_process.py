"""Child processes that never outlive us, even when we are killed with -9.

Linux sends a child its parent-death signal when the *thread* that forked it ends, not when the process does. A pool's
worker thread ends after some idle seconds and would take the child with it, so each child gets a thread of its own
that forks it and then waits for it. Elsewhere the kernel has no such signal: there a caller must stop its children.
"""

import ctypes
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

PR_SET_PDEATHSIG = 1


def spawn(
    command: Sequence[str | Path], *, log: Path, death_signal: int | None = None, **options: Any
) -> subprocess.Popen[bytes]:
    """Start `command` with its output appended to `log`, in a session of its own: a terminal's Ctrl-C is ours alone.

    `death_signal` is what it gets when we die, SIGKILL unless told; `options` go to `subprocess.Popen`.
    """
    started: Future[subprocess.Popen[bytes]] = Future()

    def keep() -> None:
        try:
            with log.open("ab") as output:
                process = subprocess.Popen(  # noqa: S603 - our callers' own programs, no shell
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    start_new_session=True,
                    preexec_fn=_die_with(os.getpid(), death_signal),
                    **options,
                )
        except Exception as error:
            started.set_exception(error)
            return
        started.set_result(process)
        process.wait()

    threading.Thread(target=keep, daemon=True, name=f"keeps {Path(command[0]).name}").start()
    return started.result()


def _die_with(parent: int, death_signal: int | None) -> Callable[[], None] | None:
    """What the child runs between fork and exec, after its user has changed: the kernel clears the wish at that."""
    if not sys.platform.startswith("linux"):
        return None
    wish = signal.SIGKILL if death_signal is None else death_signal
    prctl = ctypes.CDLL(None).prctl  # looked up here: after a fork among threads nothing may be imported or allocated

    def ask() -> None:
        prctl(PR_SET_PDEATHSIG, wish)
        if os.getppid() != parent:  # killed before we could ask
            os._exit(1)

    return ask
