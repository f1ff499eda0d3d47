"""How long to wait before a failed batch is tried again: longer each time, so that what is down is not made worse."""

from typing import Final

FIRST_WAIT: Final = 0.5
LONGEST_WAIT: Final = 30.0


def wait_after(failures: int) -> float:
    """Seconds after that many failures in a row: doubling from the first wait to the longest."""
    doublings = min(failures - 1, 10)  # beyond the limit anyway; uncapped, a long outage overflows the float
    return min(LONGEST_WAIT, FIRST_WAIT * 2.0**doublings)
