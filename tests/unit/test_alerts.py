"""The rules in deploy/alerts.yaml ask for what the services tell, and ring where they say."""

import re
from typing import Any

import pytest
import yaml
from prometheus_client import REGISTRY

import services.runtime.metrics as told
from services.ops.lag import SEVERITY, Verdict
from tests.deployment import DEPLOY

RULES: list[dict[str, Any]] = [
    rule for group in yaml.safe_load((DEPLOY / "alerts.yaml").read_text())["groups"] for rule in group["rules"]
]
BY_NAME = {rule["alert"]: rule for rule in RULES}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: str(rule["alert"]))
def test_every_metric_and_label_in_a_rule_is_one_that_is_told(rule: dict[str, Any]) -> None:
    known = {name: metric for metric in REGISTRY.collect() for name in (metric.name, f"{metric.name}_total")}
    asked = re.findall(r"nardialog_\w+", rule["expr"])
    assert asked or "up{" in rule["expr"]
    assert [name for name in asked if name not in known] == []
    labels = set(re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"]))
    given = {label for name in asked for label in _labels(name)} | {"instance"}
    assert labels <= given


def _labels(name: str) -> tuple[str, ...]:
    made = [metric for metric in vars(told).values() if getattr(metric, "_name", "") == name.removesuffix("_total")]
    return tuple(made[0]._labelnames)


@pytest.mark.parametrize(
    ("name", "verdict"),
    [("NardialogFallsBehind", Verdict.FALLS_BEHIND), ("NardialogStandsStill", Verdict.STANDS_STILL)],
)
def test_a_rule_about_lag_rings_from_the_verdict_that_it_is_named_after(name: str, verdict: Verdict) -> None:
    assert BY_NAME[name]["expr"] == f"nardialog_lag_verdict >= {SEVERITY[verdict]}"
