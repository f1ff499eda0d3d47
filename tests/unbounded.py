"""A dialogue model by which nobody can be asked too much, for tests of what has nothing to do with it."""

import json
from pathlib import Path
from typing import Any, Final

from schemas.model import BurdenPolicy, default_file

MOST: Final = 4000
LIMITS: Final[dict[str, Any]] = {
    "max_asks_per_person_per_30_days": MOST,
    "max_minutes_per_person_per_90_days": MOST,
    "max_sms_per_person_per_case_stage": MOST,
    "merge_window_hours": 0,
}
BURDEN: Final = BurdenPolicy(**LIMITS)


def model_file(folder: Path) -> Path:
    """The product's model with these limits, as a file for `NARDIALOG_MODEL__FILE`."""
    model = json.loads(default_file())
    model["burden_policy"] |= LIMITS
    for form in model["forms"].values():
        form["minutes"] = 0  # a hundred rounds of three quarters of an hour are more than the policy can allow
    path = folder / "unbounded-model.json"
    path.write_text(json.dumps(model))
    return path
