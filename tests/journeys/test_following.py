"""From a form to a mail: a business follows an area, confirms, and hears of the next case there, on real Kafka."""

import re
from email import message_from_bytes, policy

import httpx
import pytest

from schemas.subscription import SUBSCRIPTION_CHANGED
from schemas.topics import CASES, SUBSCRIPTIONS
from tests.journeys.installation import PATIENCE, Installation, a_case, row

pytestmark = pytest.mark.anyio
OWNER = "anna@exempel.test"


def mails(installation: Installation, to: str) -> list[str]:
    """The plain words of the mails to somebody, without line breaks."""
    found = []
    for mail in installation.smtp.accepted:
        if to in (address.casefold() for address in mail.recipients):
            body = message_from_bytes(mail.raw, policy=policy.default).get_body(("plain",))
            found.append(" ".join(str(body.get_content()).split()) if body is not None else "")
    return found


async def test_one_mail_with_all_reasons_to_who_is_near_in_the_industry_and_follows(
    installation: Installation,
) -> None:
    await installation.start()
    await installation.portal()
    await installation.import_register([row(1, email=OWNER), row(2, email="bo@exempel.test")])
    await installation.matcher()
    notifier = await installation.notifier()
    async with httpx.AsyncClient(base_url=installation.url, timeout=PATIENCE) as client:
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
