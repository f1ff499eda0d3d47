"""The arithmetic of the benches, and the machine that a figure was taken on. A figure without its machine says little.

Percentiles are by nearest rank: each is a duration that was really seen. A rate counts from the first event that went
in to the last that came out, so that a stage that waits for the one before it is not called fast.
"""

import math
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

SHARES: Final = {"p50": 0.50, "p95": 0.95, "p99": 0.99}


@dataclass(frozen=True)
class Span:
    """One event in one stage: when it went in and when it came out, in seconds."""

    begin: float
    end: float


def percentile(values: Sequence[float], share: float) -> float:
    """The least value that at least that share of the values does not exceed."""
    if not values:
        raise ValueError("no values: nothing came through this stage")
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def rate(spans: Sequence[Span]) -> float:
    """Events a second, over the time in which they were in the stage."""
    seconds = max(span.end for span in spans) - min(span.begin for span in spans)
    return len(spans) / seconds if seconds > 0 else math.inf


def stage(spans: Sequence[Span]) -> dict[str, float]:
    """How many a second, and how long each took, in milliseconds."""
    took = [(span.end - span.begin) * 1000 for span in spans]
    return {
        "events": len(spans),
        "per_s": round(rate(spans), 1),
        **{name: round(percentile(took, share), 1) for name, share in SHARES.items()},
    }


def ratio(value: float, reference: float) -> float:
    """How many times the reference, to three significant digits."""
    if reference <= 0:
        raise ValueError("the reference did nothing: there is nothing to compare with")
    return float(f"{value / reference:.3g}")


def machine() -> dict[str, Any]:
    """What it ran on, and how busy that was before: other work on the machine makes every figure worse."""
    return {
        "cpu": _cpu(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "load_before": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
    }


def peak_rss_mb(processes: Mapping[str, int]) -> dict[str, float]:
    """The most memory that each process ever held; only where the system tells (Linux)."""
    found = {}
    for name, pid in processes.items():
        status = Path(f"/proc/{pid}/status")
        lines = status.read_text().splitlines() if status.exists() else []
        for line in lines:
            if line.startswith("VmHWM:"):
                found[name] = round(int(line.split()[1]) / 1024, 1)
    return found


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    if not info.exists():
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in info.read_text().splitlines() if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
