"""What an ordinary test run leaves out so that it stays short: set TESTS_EVERYTHING=1 to have it.

An ordinary run has each colour scheme, width and language once; with everything, all eight together. Fault tests kill
in the middle of fewer messages; `python -m tests.faults` takes as many as it is told.
"""

import os
from typing import Final, Literal

EVERYTHING: Final = bool(os.environ.get("TESTS_EVERYTHING"))
Scheme = Literal["light", "dark"]
_ONCE: Final[list[tuple[Scheme, int, str]]] = [("light", 320, "sv"), ("dark", 1280, "en")]
_ALL: Final[list[tuple[Scheme, int, str]]] = [
    (scheme, width, lang) for scheme in ("light", "dark") for width in (1280, 320) for lang in ("sv", "en")
]
LOOKS: Final = _ALL if EVERYTHING else _ONCE
"""Colour scheme, width of a screen, language."""
RECIPIENTS: Final = 200 if EVERYTHING else 40
"""Of each case in the fault tests; there are five cases."""
