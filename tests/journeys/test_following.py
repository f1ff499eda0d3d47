"""From a form to a mail: a business follows an area, confirms, and hears of the next case there, on real Kafka."""

import base64
import re
from email import message_from_bytes, policy

import httpx
import pytest

from schemas.subscription import SUBSCRIPTION_CHANGED
from schemas.topics import CASES, SUBSCRIPTIONS
from services.portal.app import build as build_portal
from services.portal.settings import PortalSettings
from services.runtime.clock import SystemClock
from services.runtime.settings import load
from tests.journeys.installation import PATIENCE, Installation, a_case, row
from tests.portal_world import free_port

pytestmark = pytest.mark.anyio
OWNER = "anna@exempel.test"


async def portal(installation: Installation, set_environment: pytest.MonkeyPatch) -> httpx.AsyncClient:
    """A portal beside the other services; a browser without cookies or scripts."""
    port = free_port()
    for name, value in {
        "PORTAL__DATABASE": f"sqlite+aiosqlite:///{installation.folder / 'portal.db'}",
        "PORTAL__PORT": str(port),
        "PORTAL__BASE_URL": f"http://127.0.0.1:{port}",
        "PORTAL__TOKEN_KEYS": base64.b64encode(b"k" * 32).decode(),
        "NOTIFIER__TOKEN_KEY": base64.b64encode(b"k" * 32).decode(),
        "NOTIFIER__PORTAL_URL": f"http://127.0.0.1:{port}",
    }.items():
        set_environment.setenv(f"NARDIALOG_{name}", value)
    app = build_portal(load(PortalSettings), SystemClock())
    installation._undo.append(app.stop)
    await app.start()
    return httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE)


def mails(installation: Installation, to: str) -> list[str]:
    """The plain words of the mails to somebody, without line breaks."""
    found = []
    for mail in installation.smtp.accepted:
        if to in (address.casefold() for address in mail.recipients):
            body = message_from_bytes(mail.raw, policy=policy.default).get_body(("plain",))
            found.append(" ".join(str(body.get_content()).split()) if body is not None else "")
    return found


async def test_one_mail_with_all_reasons_to_who_is_near_in_the_industry_and_follows(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    await installation.start()
    client = await portal(installation, monkeypatch)
    await installation.import_register([row(1, email=OWNER), row(2, email="bo@exempel.test")])
    await installation.matcher()
    notifier = await installation.notifier()
    async with client:
        fields = {"where": "point", "latitude": "59.4", "longitude": "18.03", "radius": "800", "industries": "café"}
        asked = await client.post("/prenumerera", data=fields | {"email": OWNER.upper()})
        assert asked.status_code == 303
        await installation.until(lambda: mails(installation, OWNER), "the mail")
        (confirm,) = mails(installation, OWNER)
        link = re.search(r"http://\S+(/bekrafta/[\w-]+)", confirm)
        assert link is not None
        assert not installation.records(SUBSCRIPTIONS)
        assert (await client.post(link[1])).status_code == 303
        await installation.until(lambda: installation.records(SUBSCRIPTIONS), "the subscription")
    assert dict(installation.records(SUBSCRIPTIONS)[0].headers)["ce_type"] == SUBSCRIPTION_CHANGED.encode()

    await installation.send_case(a_case("DA-1"), CASES)
    await installation.until(lambda: len(installation.ends()) == 3, "two companies and a subscriber to be told")
    await installation.settled(notifier)

    invited = [mail for mail in mails(installation, OWNER) if "DA-1" in mail]
    assert len(invited) == 1
    for reason in ("Ert arbetsställe", "Er bransch 56.110", "Ni bevakar 800\xa0m runt 59.4000 N 18.0300 Ö."):
        assert " ".join(reason.split()) in invited[0]
    assert sum(times for (to, _), times in installation.accepted().items() if to == "bo@exempel.test") == 1
