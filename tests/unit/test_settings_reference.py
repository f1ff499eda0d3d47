"""docs/settings.md and deploy/env.example say what the code reads: all of it, and nothing else."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from services.matcher.settings import MatcherSettings
from services.notifier.settings import NotifierSettings
from services.ops.settings import OpsSettings
from services.portal.settings import PortalSettings
from services.runtime.settings import ServiceSettings, load

ROOT = Path(__file__).resolve().parents[2]
LINE = re.compile(r"^#?(NARDIALOG_\w+)=(.*)$", re.MULTILINE)
SECRET = "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2U="
FILLED = {
    "OTHER_VAULT_KEYS": f'["{SECRET}"]',
    "OTHER_TOKEN_KEYS": f'["{SECRET}"]',
    "_KEY": SECRET,
    "_KEYS": '{"k1": "x"}',
    "SMS__USERNAME": "u",
    "SMS__PASSWORD": "p",
    "SMS__SENDER": "Exempel",
}
FILLED |= {"TWILIO__ACCOUNT_SID": "AC" + "0" * 32, "TWILIO__AUTH_TOKEN": "t", "TWILIO__SENDER": "Exempel"}
"""Values for what has no default, by the end of the name."""


def lines() -> dict[str, str]:
    return {name: value.strip("'") for name, value in LINE.findall((ROOT / "deploy/env.example").read_text())}


def test_the_settings_page_and_the_example_are_current() -> None:
    script = str(ROOT / "deploy/settings_reference.py")
    done = subprocess.run([sys.executable, script, "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("model", [MatcherSettings, NotifierSettings, PortalSettings, OpsSettings])
def test_the_example_with_nothing_commented_out_is_what_the_services_take(
    monkeypatch: pytest.MonkeyPatch, model: type[ServiceSettings]
) -> None:
    found = lines()
    for end, value in FILLED.items():
        found |= {name: value for name, given in found.items() if name.endswith(end) and not given}
    for name, value in found.items():
        monkeypatch.setenv(name, value)
    load(model)


def test_what_is_commented_out_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    text = (ROOT / "deploy/env.example").read_text()
    plain = load(NotifierSettings).model_dump()
    for name, value in re.findall(
        r"^#(NARDIALOG_(?:NOTIFIER__(?!SMS__|TWILIO__)|KAFKA|LOG|HEALTH)\w*)=(.+)$", text, re.MULTILINE
    ):
        monkeypatch.setenv(name, value.strip("'"))
    assert load(NotifierSettings).model_dump() == plain
