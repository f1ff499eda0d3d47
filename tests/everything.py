"""What an ordinary test run leaves out so that it stays short: set TESTS_EVERYTHING=1 to have it.

An ordinary run has each colour scheme and each width once; with everything, each of the four together. Fault tests kill
in the middle of fewer messages; `python -m tests.faults` takes as many as it is told.
"""

import os
from typing import Final, Literal

EVERYTHING: Final = bool(os.environ.get("TESTS_EVERYTHING"))
Scheme = Literal["light", "dark"]
_ONCE: Final[list[tuple[Scheme, int]]] = [("light", 320), ("dark", 1280)]
_REST: Final[list[tuple[Scheme, int]]] = [("light", 1280), ("dark", 320)]
LOOKS: Final = [*_ONCE, *_REST] if EVERYTHING else _ONCE
"""Colour scheme and width of a screen."""
RECIPIENTS: Final = 200 if EVERYTHING else 60
"""Of each case in the fault tests; there are five cases."""
