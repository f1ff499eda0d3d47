"""What is written: the same bytes for the same values, nothing that breaks a header, an SMS in one part."""

from dataclasses import replace
from datetime import datetime
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default

import pytest
from markupsafe import escape

from schemas.company import EXAMPLE as COMPANY
from schemas.company import Company
from schemas.invitation import EXAMPLE as INVITATION
from schemas.invitation import Invitation
from schemas.round import EXAMPLE as ROUND
from schemas.round import Round
from services.notifier.composer import RenderingComposer
from services.notifier.composing import Asked, DigestItem, Draft
from services.rendering.forwarded import Forward, forwarded
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
    assert mail["Feedback-ID"] == "gatuarbete:ask:first:nardialog", "the kind of mail, and nobody's"


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
    assert mail["Feedback-ID"] is None
    assert mail["Message-ID"] == "<m1@dialog.example>"
    plain, html = (mail.get_body((kind,)) for kind in ("plain", "html"))
    assert plain is not None
    assert html is not None
    assert f"https://dialog.example{link}" in plain.get_content().split()
    assert f'href="https://dialog.example{link}"' in html.get_content()


def test_the_receipt_of_an_answer_to_one_of_several_matters_leads_to_that_one_and_says_who_answers_for_it() -> None:
    round_ = Round.model_validate(ROUND)
    asked = Asked("receipt", {"title": "T", "round": round_.round_id}, None, 7, round_, AT)
    mail = message_from_bytes(
        COMPOSER.notice(Draft("m1", 9, "email", "sv", "anna@exempel.test", AT), asked), policy=default
    )
    plain = mail.get_body(("plain",))
    assert plain is not None
    page = f"https://dialog.example/i/{mint(7, b'k' * 32, Purpose.ANSWER)}/arende/{round_.round_id[:12]}"
    assert page in plain.get_content().split()
    assert "Anna Exempel" in plain.get_content()


@pytest.mark.parametrize("title", ["Kort", "Mycket lång rubrik om gatuarbeten " * 4])
def test_an_sms_is_one_part_with_its_link_whole(title: str) -> None:
    text = compose("sms", title=title.strip()).decode()
    assert len(text) <= 160
    assert text.endswith(f"https://dialog.example/i/{mint(7, b'k' * 32, Purpose.ANSWER)}")
    assert "5/12" in text


FIRST = datetime.fromisoformat("2025-11-11T09:00:00+01:00")


def words_of(mail: bytes, part: str = "plain") -> str:
    body = message_from_bytes(mail, policy=default).get_body((part,))
    assert body is not None
    return " ".join(str(body.get_content()).split())


def subject_of(mail: bytes) -> str:
    return str(message_from_bytes(mail, policy=default)["Subject"])


def of_round(letter: str, title: str, respond_by: str) -> tuple[Round, Invitation]:
    round_ = Round.model_validate(
        {**ROUND, "round_id": letter * 32, "respond_by": respond_by, "texts": {"title": title, "title_en": title}}
    )
    return round_, Invitation.model_validate({**INVITATION, "round_id": letter * 32, "invitation_id": letter * 32})


@pytest.mark.parametrize(
    ("day", "subject"),
    [
        ("2025-12-05", "Sista dagen i dag: Stockholmsvägen byggs om"),
        ("2025-12-04", "Sista dagen i morgon: Stockholmsvägen byggs om"),
        ("2025-11-28", "Svara senast 5 dec: Stockholmsvägen byggs om"),
    ],
)
def test_a_reminder_says_how_long_is_left_and_when_the_first_was_sent_and_asks_what_was_asked(
    day: str, subject: str
) -> None:
    at = datetime.fromisoformat(f"{day}T09:00:00+01:00")
    draft = Draft("m2", 8, "email", "sv", "anna@exempel.test", at, FIRST)
    mail = COMPOSER.remind(draft, Round.model_validate(ROUND), [Invitation.model_validate(INVITATION)], {})
    parsed = message_from_bytes(mail, policy=default)
    assert parsed["Subject"] == subject
    assert parsed["Message-ID"] == "<m2@dialog.example>"
    for part in ("plain", "html"):
        said = words_of(mail, part)
        assert "Vi skrev till er den 11 november och har inte fått något svar än." in said
        assert "This is the only reminder." in said
        assert "vilka tider tar ni emot leveranser?" in said.casefold()


ROAD = "Stockholmsvägen is rebuilt"


ENGLISH: list[tuple[str, str]] = [
    ("first", f"{ROAD} – does it affect you? Reply by 5 Dec"),
    ("reminder", f"The last day is tomorrow: {ROAD}"),
    ("digest", "2 matters that concern you this week"),
    ("change", f"The matter is withdrawn: {ROAD}"),
]


@pytest.mark.parametrize(("kind", "subject"), ENGLISH)
def test_whoever_reads_english_has_an_english_subject_and_the_same_mail(kind: str, subject: str) -> None:
    """The subject has no room for both languages; the mail has both, Swedish first."""
    round_, item = Round.model_validate(ROUND), Invitation.model_validate(INVITATION)
    changed = Round.model_validate({**ROUND, "purpose": "change", "change": "withdrawn"})

    def written(language: str, *, rehearsal: bool = False) -> bytes:
        at = datetime.fromisoformat("2025-12-04T09:00:00+01:00")
        draft = Draft("m1", 7, "email", language, "anna@exempel.test", at, rehearsal=rehearsal)
        if kind == "reminder":
            return COMPOSER.remind(draft, round_, [item], {})
        if kind == "digest":
            return COMPOSER.digest(draft, [DigestItem(round_, [item])], 1, {})
        return COMPOSER.compose(draft, changed if kind == "change" else round_, [item], {})

    mail, swedish = written("en"), written("sv")
    assert subject_of(mail) == subject
    assert subject_of(swedish) != subject
    assert words_of(swedish) == words_of(mail)
    marked = subject_of(written("en", rehearsal=True))
    assert marked.startswith("REHEARSAL: ")
    assert len(marked) <= 65


def test_an_sms_reminder_is_one_part_and_says_that_tomorrow_is_the_last_day() -> None:
    at = datetime.fromisoformat("2025-12-04T09:00:00+01:00")
    draft = Draft("m2", 8, "sms", "sv", "+46701740605", at, FIRST)
    text = COMPOSER.remind(draft, Round.model_validate(ROUND), [Invitation.model_validate(INVITATION)], {}).decode()
    link = f"https://dialog.example/i/{mint(8, b'k' * 32, Purpose.ANSWER)}"
    assert text == f"Danderyd: I morgon är sista dagen att svara om Stockholmsvägen byggs om. {link}"


def at_one_address(count: int, street: str = "Storgatan {n}") -> tuple[list[Invitation], dict[str, Company]]:
    """So many companies that are reached at the same address, each with one workplace."""
    companies = {
        f"W{n:02}": Company.model_validate(
            {
                **COMPANY,
                "workplace_id": f"W{n:02}",
                "recipient_id": f"{n:032}",
                "name": f"Bolag {n:02}",
                "street": street.format(n=n),
            }
        )
        for n in range(1, count + 1)
    }
    near = {"kind": "distance", "role": "road", "distance_m": 12.0}
    invitations = [
        Invitation.model_validate(
            {
                **INVITATION,
                "invitation_id": f"{n:032}",
                "workplaces": [{"workplace_id": key, "distance_m": 12.0, "reasons": [near]}],
            }
        )
        for n, key in enumerate(companies)
    ]
    return invitations, companies


def test_one_address_of_three_workplaces_gets_one_message_that_lists_the_three() -> None:
    """FC-049."""
    invitations, companies = at_one_address(3)
    draft = Draft("m1", 7, "email", "sv", "info@kontorshotell.example", AT)
    for part in ("plain", "html"):
        said = words_of(COMPOSER.compose(draft, Round.model_validate(ROUND), invitations, companies), part)
        assert "Danderyd frågar Bolag 01, Bolag 02 och Bolag 03" in said
        assert "Danderyd asks Bolag 01, Bolag 02 and Bolag 03" in said
        for n in (1, 2, 3):
            assert f"Ert arbetsställe Storgatan {n} ligger 12 meter från vägen." in said


@pytest.mark.parametrize(("street", "left"), [("Storgatan {n}", "… och 31 till."), ("Storgatan 1", "")])
def test_one_address_of_forty_companies_gets_one_short_message_that_counts_the_rest(street: str, left: str) -> None:
    """FC-050: the link leads to the page that has them all."""
    invitations, companies = at_one_address(40, street)
    draft = Draft("m1", 7, "email", "sv", "info@kontorshotell.example", AT)
    for part, point in (("plain", "- "), ("html", "<li>")):
        said = words_of(COMPOSER.compose(draft, Round.model_validate(ROUND), invitations, companies), part)
        assert "Danderyd frågar Bolag 01, Bolag 02, Bolag 03 och 37 till" in said
        assert left in said
        assert said.count(f"{point}Ert arbetsställe") == (9 if left else 1)
        assert f"https://dialog.example/i/{mint(7, b'k' * 32, Purpose.ANSWER)}" in said


MARKUP = ['<a href="https://ond.example">Betala</a>', "[Betala](https://ond.example)"]


@pytest.mark.parametrize("markup", MARKUP)
def test_markup_in_a_case_is_text_in_every_kind_of_message(markup: str) -> None:
    """FC-041."""
    texts = dict.fromkeys(("title", "title_en", "summary", "question", "stage", "unit"), markup)
    outcome = dict.fromkeys(("said", "taken", "not_taken"), markup)
    company = Company.model_validate({**COMPANY, "name": markup, "street": markup})
    invitation = Invitation.model_validate(INVITATION)
    draft = Draft("m1", 7, "email", "sv", "anna@exempel.test", AT)
    for change in ({}, {"purpose": "feedback"}, {"purpose": "change", "change": "withdrawn"}):
        round_ = Round.model_validate({**ROUND, **change, "texts": {**texts, "outcome": outcome}})
        companies = {company.workplace_id: company}
        mails = [
            COMPOSER.compose(draft, round_, [invitation], companies),
            COMPOSER.remind(draft, round_, [invitation], companies),
            COMPOSER.digest(draft, [DigestItem(round_, [invitation])], 0, companies),
        ]
        for mail in mails:
            assert markup in words_of(mail)
            html = words_of(mail, "html")
            assert 'href="https://ond.example"' not in html
            assert "<a href=&#34;https://ond.example&#34;" not in html
            assert str(escape(markup)) in html
        sms = COMPOSER.compose(replace(draft, channel="sms"), round_, [invitation], companies).decode()
        assert sms.endswith(f"https://dialog.example/i/{mint(7, b'k' * 32, Purpose.ANSWER)}")


BREAKS = [
    "Mörby\r\nBcc: alla@exempel.example",
    "Mörby\x0bBcc: alla@exempel.example",
    "Mörby\u2028Bcc: alla@exempel.example",
    "Mörby\x85Bcc: alla@exempel.example",
]


@pytest.mark.parametrize("bad", BREAKS)
def test_no_line_break_in_a_case_or_a_name_reaches_a_header_of_any_kind_of_message(bad: str) -> None:
    """FC-039: what a schema lets through is put in one line; what it does not, is cleaned at the door."""
    good = message_from_bytes(compose("email"), policy=default)
    texts = {**ROUND["texts"], "title": bad, "title_en": bad}  # type: ignore[dict-item]
    round_, invitation = Round.model_validate({**ROUND, "texts": texts}), Invitation.model_validate(INVITATION)
    draft = Draft("m1", 7, "email", "sv", "anna@exempel.test", AT)
    for mail in (
        COMPOSER.compose(draft, round_, [invitation], {}),
        COMPOSER.remind(draft, round_, [invitation], {}),
        COMPOSER.digest(draft, [DigestItem(round_, [invitation])], 0, {}),
    ):
        parsed = message_from_bytes(mail, policy=default)
        assert parsed["Bcc"] is None
        assert set(parsed.keys()) == set(good.keys())
        assert parsed["Subject"].startswith(("Mörby Bcc", "Svara senast 5 dec: Mörby", "Ett ärende"))


@pytest.mark.parametrize("title", ["=?utf-8?q?=0ABcc:_alla=40x.example?=", "=?utf-8?b?CkJjYzogYUB4?= å", "=?x?q?a?="])
def test_a_title_that_reads_as_an_encoded_word_is_text_and_hides_no_header(title: str) -> None:
    """FC-039: such a word (RFC 2047) may hold a line break, and a library may decode it when it writes."""
    mail = compose("email", title=title)
    good, parsed = (message_from_bytes(raw, policy=default) for raw in (compose("email"), mail))
    assert set(parsed.keys()) == set(good.keys())
    assert parsed["Subject"].startswith(title[:20])
    about = Forward("m", AT, "Danderyd", "d@dialog.example", "bo@dialog.example", cases=((title, ""),))
    passed_on = message_from_bytes(forwarded(b"Subject: x\r\n\r\n", about, "X-Mark"), policy=default)
    assert (passed_on["Subject"], passed_on["Bcc"]) == (f"Svar från ett företag: {title}", None)


@pytest.mark.parametrize(
    "words", ["x" * 4000, "https://a.example/" + "b" * 3900, "ö" * 4000, "<b>" * 1300, "a\n" * 2000]
)
def test_no_text_whatever_it_is_makes_a_line_too_long_for_a_relay(words: str) -> None:
    """FC-044."""
    mail = compose("email", summary=words)
    assert max(len(line) for line in mail.split(b"\r\n")) <= 78
    assert all(len(line) <= 78 or "https://" in line for line in words_of_lines(mail))


def words_of_lines(mail: bytes) -> list[str]:
    body = message_from_bytes(mail, policy=default).get_body(("plain",))
    assert body is not None
    return str(body.get_content()).splitlines()


def test_a_long_paragraph_and_a_long_link_leave_no_long_line_and_the_link_whole() -> None:
    """FC-044."""
    link = "https://dialog.example/" + "a" * 400
    texts = {**ROUND["texts"], "summary": "ord " * 1000, "documents": [{"title": "Karta", "url": link}]}  # type: ignore[dict-item]
    round_, invitation = Round.model_validate({**ROUND, "texts": texts}), Invitation.model_validate(INVITATION)
    draft = Draft("m1", 7, "email", "sv", "anna@exempel.test", AT)
    mail = COMPOSER.compose(draft, round_, [invitation], {})
    assert max(len(line) for line in mail.split(b"\r\n")) <= 78
    assert link in words_of(mail).split()
    assert link in words_of(mail, "html")


def digest(channel: str, *rounds: tuple[Round, Invitation], more: int = 0, **about: str) -> bytes:
    draft = Draft("m3", 9, channel, "sv", "anna@exempel.test", AT, **about)  # type: ignore[arg-type]
    company = Company.model_validate(COMPANY)
    items = [DigestItem(round_, [invitation]) for round_, invitation in rounds]
    return COMPOSER.digest(draft, items, more, {company.workplace_id: company})


def test_a_digest_lists_its_matters_by_last_day_each_with_reason_and_link_and_says_why_it_is_one() -> None:
    late, soon = of_round("a", "Ny taxa", "2025-12-20"), of_round("b", "Gatan byggs om", "2025-12-05")
    mail = digest("email", late, soon, more=1)
    assert message_from_bytes(mail, policy=default)["Subject"] == "3 ärenden som rör er den här veckan"
    text, page = words_of(mail), f"https://dialog.example/i/{mint(9, b'k' * 32, Purpose.ANSWER)}"
    assert "Ni har valt att få ärenden samlade, en gång i veckan." in text
    assert text.index("Påverkas ni? Gatan byggs om") < text.index("Påverkas ni? Ny taxa")
    assert text.count("Varför får ni detta? Ert arbetsställe Stockholmsvägen 40 ligger 12 meter från vägen.") == 2
    for letter in "ab":
        assert f"{page}/arende/{letter * 12}" in text.split()
        assert f'href="{page}/arende/{letter * 12}"' in words_of(mail, "html")
    assert f"… och 1 till. Ni ser alla på er sida: {page}" in text


def test_a_digest_is_never_empty() -> None:
    for channel in ("email", "sms"):
        with pytest.raises(ValueError, match="without items"):
            digest(channel)


def test_a_digest_that_spares_its_reader_says_so_and_one_of_the_day_is_of_the_day() -> None:
    one, two = of_round("a", "Ny taxa", "2025-12-20"), of_round("b", "Gatan byggs om", "2025-12-05")
    assert "för att inte fråga er för ofta" in words_of(digest("email", one, two, gathered="budget"))
    assert "Ärenden som rör många företag samlar vi" in words_of(digest("email", one, two, gathered="ring"))
    assert subject_of(digest("email", one, two, gathered="daily")) == "2 ärenden som rör er i dag"
    assert subject_of(digest("email", one, gathered="daily")) == "Ett ärende som rör er: Ny taxa"


def test_a_rehearsal_says_so_first_in_every_message() -> None:
    draft = Draft("m1", 7, "email", "sv", "anna@exempel.test", AT, rehearsal=True)
    round_, item = of_round("a", "Ny taxa", "2025-12-20")
    mails = [
        COMPOSER.compose(draft, round_, [item], {}),
        COMPOSER.remind(draft, round_, [item], {}),
        COMPOSER.digest(draft, [DigestItem(round_, [item])], 0, {}),
    ]
    for mail in mails:
        assert str(message_from_bytes(mail, policy=default)["Subject"]).startswith("ÖVNING: ")
        assert words_of(mail).startswith("ÖVNING. Det här är ett prov")
        assert "REHEARSAL. This is a test" in words_of(mail, "html")
    sms = COMPOSER.compose(replace(draft, channel="sms"), round_, [item], {}).decode()
    assert sms.startswith("ÖVNING. Danderyd: ")


LAW = [
    "Danderyd är personuppgiftsansvarig.",  # art. 14.1 a: the controller
    "Frågor om personuppgifter och dataskyddsombud: dso@danderyd.example.",  # 14.1 b
    "för att bjuda in företag till dialog",  # 14.1 c: the purpose
    "uppgift av allmänt intresse, artikel 6.1 e",  # and the legal basis
    "företagets namn, adress och bransch",  # 14.1 d: the categories
    "De som förmedlar mejl och sms åt oss får adressen.",  # 14.1 e: the recipients
    "så länge företaget finns i registret",  # 14.2 a: how long
    "rätta, begränsa, radera och invända",  # 14.2 c
    "klaga hos Integritetsskyddsmyndigheten",  # 14.2 e
    "Uppgifterna kommer från Bolagsverket/SCB.",  # 14.2 f: the source
]


def test_what_article_14_requires_is_told_where_it_is_owed_and_else_where_it_stands() -> None:
    composer = RenderingComposer(
        portal_url="https://dialog.example",
        sender_name="Danderyd",
        sender_email="d@dialog.example",
        token_key=b"k" * 32,
        privacy_contact="dso@danderyd.example",
    )
    draft = Draft("m1", 7, "email", "sv", "anna@exempel.test", AT)
    round_, item = of_round("a", "Ny taxa", "2025-12-20")
    for part in ("plain", "html"):
        owed, told = (
            words_of(composer.compose(replace(draft, introduce=introduce), round_, [item], {}), part)
            for introduce in (True, False)
        )
        assert [words for words in LAW if words not in owed] == []
        assert [words for words in LAW[:-1] if words in told] == []
        assert "Så hanterar vi era uppgifter: https://dialog.example/personuppgifter" in told
        for legal in ("berättigat intresse", "legitimate interest"):  # authorities may not rest on it
            assert legal not in owed


OUTCOME = {
    "said": "Leveranser före kl. 7 är viktigast.",
    "said_en": "Deliveries before 7 matter most.",
    "taken": "Lastplatserna flyttas inte.",
    "not_taken": "Arbetet kan inte göras på natten, för bullrets skull.",
}


def test_a_feedback_says_what_was_said_what_came_of_it_and_what_could_not_be_met_and_why() -> None:
    texts = {**ROUND["texts"], "outcome": OUTCOME}  # type: ignore[dict-item]
    round_ = Round.model_validate({**ROUND, "purpose": "feedback", "texts": texts})
    draft = Draft("m4", 10, "email", "sv", "anna@exempel.test", AT)
    mail = COMPOSER.compose(draft, round_, [Invitation.model_validate(INVITATION)], {})
    assert message_from_bytes(mail, policy=default)["Subject"] == "Så påverkade svaren: Stockholmsvägen byggs om"
    for part in ("plain", "html"):
        said = words_of(mail, part)
        order = [OUTCOME["said"], OUTCOME["taken"], OUTCOME["not_taken"], OUTCOME["said_en"]]
        assert sorted(order, key=said.index) == order
        assert said.count(OUTCOME["taken"]) == 2  # English readers get the Swedish words where there are no others
        assert "svar=" not in said
        assert "Svara senast" not in said
    link = f"https://dialog.example/i/{mint(10, b'k' * 32, Purpose.ANSWER)}"
    sms = COMPOSER.compose(replace(draft, channel="sms"), round_, [Invitation.model_validate(INVITATION)], {}).decode()
    assert sms == f"Danderyd: Så togs svaren om hand. Stockholmsvägen byggs om. {link}"
