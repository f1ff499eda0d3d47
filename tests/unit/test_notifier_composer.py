"""What is written: the same bytes for the same values, nothing that breaks a header, an SMS in one part."""

from datetime import datetime
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default

import pytest

from schemas.company import EXAMPLE as COMPANY
from schemas.company import Company
from schemas.invitation import EXAMPLE as INVITATION
from schemas.invitation import Invitation
from schemas.round import EXAMPLE as ROUND
from schemas.round import Round
from services.notifier.composer import RenderingComposer
from services.notifier.composing import Asked, Draft
from services.runtime.link_tokens import Purpose, mint

AT = datetime.fromisoformat("2025-11-10T09:00:00+01:00")
COMPOSER = RenderingComposer(
    portal_url="https://dialog.example", sender_name="Danderyd", sender_email="d@dialog.example", token_key=b"k" * 32
)


def compose(channel: str, **texts: object) -> bytes:
    draft = Draft("m1", 7, channel, "sv", "anna@exempel.test", AT)
    round_ = Round.model_validate({**ROUND, "texts": {**ROUND["texts"], **texts}})  # type: ignore[dict-item]
    company = Company.model_validate(COMPANY)
    return COMPOSER.compose(draft, round_, [Invitation.model_validate(INVITATION)], {company.workplace_id: company})


def test_composing_twice_gives_the_same_bytes() -> None:
    assert compose("email") == compose("email")


def test_a_mail_says_why_and_has_one_link_and_one_click_to_stop() -> None:
    mail = message_from_bytes(compose("email"), policy=default)
    plain = mail.get_body(("plain",))
    assert plain is not None
    text = " ".join(plain.get_content().split())
    token = mint(7, b"k" * 32, Purpose.ANSWER)
    assert "Ert arbetsställe Stockholmsvägen 40 ligger 12 meter från vägen." in text
    assert "Stämmer uppgifterna inte? Hör av er till oss, så rättar vi dem." in text
    assert f"https://dialog.example/i/{token}" in text
    assert mail["Message-ID"] == "<m1@dialog.example>"
    stop = mint(7, b"k" * 32, Purpose.STOP)
    assert stop != token
    assert mail["List-Unsubscribe"] == f"<https://dialog.example/avsluta/{stop}>"
    assert mail["To"] == "anna@exempel.test"


def test_a_mailbox_to_unsubscribe_at_is_named_beside_the_one_click_link_and_the_link_comes_first() -> None:
    composer = RenderingComposer(
        portal_url="https://dialog.example",
        sender_name="Danderyd",
        sender_email="d@dialog.example",
        token_key=b"k" * 32,
        unsubscribe_mailto="avsluta@dialog.example",
    )
    draft = Draft("m1", 7, "email", "sv", "anna@exempel.test", AT)
    invitation = Invitation.model_validate(INVITATION)
    mail = message_from_bytes(composer.compose(draft, Round.model_validate(ROUND), [invitation], {}), policy=default)
    stop = mint(7, b"k" * 32, Purpose.STOP)
    assert "".join(str(mail["List-Unsubscribe"]).split()) == (
        f"<https://dialog.example/avsluta/{stop}>,<mailto:avsluta@dialog.example?subject=avsluta%20{stop}>"
    )
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"


def test_a_subscriber_without_a_company_is_addressed_and_told_why_without_one() -> None:
    reason = {"kind": "subscription", "subscription_id": "s1", "area": "800 m runt Mörby centrum"}
    invitation = Invitation.model_validate({**INVITATION, "workplaces": [{"workplace_id": "s1", "reasons": [reason]}]})
    draft = Draft("m1", 7, "email", "sv", "anna@exempel.test", AT)
    mail = message_from_bytes(COMPOSER.compose(draft, Round.model_validate(ROUND), [invitation], {}), policy=default)
    plain = mail.get_body(("plain",))
    assert plain is not None
    text = " ".join(plain.get_content().split())
    assert "Danderyd frågar er [In English below]" in text
    assert "Danderyd asks you" in text
    assert "Ni bevakar 800 m runt Mörby centrum." in text
    assert "Ni lämnade själva uppgifterna när ni började bevaka." in text
    assert "Bolagsverket" not in text
    assert "Stämmer uppgifterna inte?" not in text


def notice(kind: str, path: str | None, about: int | None) -> EmailMessage:
    asked = Asked(kind, {"title": "T"}, path, about, None, AT)
    mail = COMPOSER.notice(Draft("m1", 9, "email", "sv", "anna@exempel.test", AT), asked)
    return message_from_bytes(mail, policy=default)


@pytest.mark.parametrize(
    ("kind", "path", "about", "link"),
    [
        ("confirm", "/bekrafta/abc", None, "/bekrafta/abc"),
        ("receipt", None, 7, f"/i/{mint(7, b'k' * 32, Purpose.ANSWER)}"),
        ("stopped", None, 7, f"/avsluta/{mint(7, b'k' * 32, Purpose.STOP)}"),
    ],
)
def test_a_notice_leads_to_its_own_link_or_to_the_page_of_the_message_that_it_is_about(
    kind: str, path: str | None, about: int | None, link: str
) -> None:
    mail = notice(kind, path, about)
    assert mail["List-Unsubscribe"] is None
    assert mail["List-Id"] is None
    assert mail["Message-ID"] == "<m1@dialog.example>"
    plain, html = (mail.get_body((kind,)) for kind in ("plain", "html"))
    assert plain is not None
    assert html is not None
    assert f"https://dialog.example{link}" in plain.get_content().split()
    assert f'href="https://dialog.example{link}"' in html.get_content()


@pytest.mark.parametrize("title", ["Kort", "Mycket lång rubrik om gatuarbeten " * 4])
def test_an_sms_is_one_part_with_its_link_whole(title: str) -> None:
    text = compose("sms", title=title.strip()).decode()
    assert len(text) <= 160
    assert text.endswith(f"https://dialog.example/i/{mint(7, b'k' * 32, Purpose.ANSWER)}")
    assert "5/12" in text
