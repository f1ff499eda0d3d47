"""Numbers of many half-open ranges at once, for columns whose entries lie in ranges."""

from typing import Any

import numpy as np
import numpy.typing as npt


def runs(begins: npt.NDArray[np.integer[Any]], ends: npt.NDArray[np.integer[Any]]) -> npt.NDArray[np.int64]:
    """All numbers of several half-open ranges, one range after the other."""
    begins, lengths = begins.astype(np.int64), ends.astype(np.int64) - begins.astype(np.int64)
    full = lengths > 0
    begins, lengths = begins[full], lengths[full]
    steps = np.ones(lengths.sum(), dtype=np.int64)
    if steps.size:
        steps[0] = begins[0]
        steps[np.cumsum(lengths)[:-1]] = begins[1:] - (begins[:-1] + lengths[:-1]) + 1
    return np.cumsum(steps)
