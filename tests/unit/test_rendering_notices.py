"""The mails that somebody asked for: short, in both languages, one link, one part as an SMS."""

import re
from dataclasses import replace
from typing import Any

import pytest
import smsutil
from hypothesis import given
from hypothesis import strategies as st

from schemas.notice import CONFIRM, MAGIC_LINK, RECEIPT, STOPPED
from schemas.round import EXAMPLE, Round
from schemas.types import moment
from services.rendering.letter import Brand
from services.rendering.notices import NoticeLetter, notice_sms, render_notice
from tests.unit.test_rendering_mail import Reader

URL = "https://dialog.example/i/7Kq2mX9vTfA4bWzR7Kq2mX"
ROUND = Round.model_validate(EXAMPLE)
MEETING = {"meeting": {"place": "Biblioteket", "start": "2025-11-28T08:00:00+01:00"}}
TITLE = "Stockholmsvägen byggs om"


def letter(kind: str, round_: Round | None = None, **parameters: str) -> NoticeLetter:
    expires = moment("2025-11-13T09:00:00+00:00")
    return NoticeLetter(Brand("Danderyds kommun", "Danderyds kommun"), kind, parameters, URL, expires, round_)


def words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text.casefold()))


def read(given: NoticeLetter) -> tuple[str, str]:
    """Subject and text in one line."""
    mail = render_notice(given)
    html = Reader(mail.html)
    assert html.links.count(URL) == 4
    assert words(mail.text) <= words(" ".join(html.words))
    return mail.subject, re.sub(r"\s+", " ", mail.text)


def test_a_confirmation_says_what_is_followed_and_how_long_its_link_works() -> None:
    subject, text = read(letter(CONFIRM, area="800 m runt Mörby centrum", industries="56 Restauranger"))
    assert subject == "Bekräfta er bevakning av 800 m runt Mörby centrum"
    assert "något som rör 800 m runt Mörby centrum. Branscher: 56 Restauranger." in text
    assert "Länken gäller till torsdag 13 november 2025 kl. 10.00." in text
    assert "The link works until Thursday 13 November 2025 at 10:00." in text
    assert "Var det inte ni? Gör ingenting." in text


def test_a_confirmation_without_industries_is_for_all_of_them() -> None:
    assert "Det gäller alla branscher." in read(letter(CONFIRM, area="hela kommunen"))[1]


def test_a_magic_link_says_what_it_opens() -> None:
    subject, text = read(letter(MAGIC_LINK))
    assert subject == "Länken till era bevakningar"
    assert "Ni bad om en länk till sidan med era bevakningar." in text


def test_a_receipt_has_reference_case_answer_public_record_and_the_last_day_to_change_it() -> None:
    subject, text = read(letter(RECEIPT, ROUND, reference="7F3-K2Q", title=TITLE, answer="ja", answers="3"))
    assert subject == "Vi har fått ert svar: Stockholmsvägen byggs om"
    for said in (
        "Danderyds kommun har fått ert svar om Stockholmsvägen byggs om.",
        "Referens: 7F3-K2Q.",
        "Ärendets diarienummer: KS 2025/0123.",
        "Ert svar: Ja, vi påverkas.",
        "Ni svarade samtidigt för 2 till.",
        "Svaret är nu en allmän handling.",
        "Ni kan ändra svaret till och med fredag 5 december 2025.",
        "Frågor: Anna Exempel, 08-465 004 00.",
        "has your reply on Stockholmsvägen is rebuilt.",
        "Your reply: Yes, we are affected.",
    ):
        assert said in text


@pytest.mark.parametrize(
    ("answer", "meets", "said"),
    [
        ("vet_inte", False, "Ert svar: Vet inte."),
        ("ej_relevant", False, "Ert svar: Inte relevant för oss."),
        ("kanske", True, "Ert svar: Kanske."),
        ("ja", True, "Ert svar: Ja, vi kommer."),
    ],
)
def test_a_receipt_says_the_answer_as_its_button_did(answer: str, meets: bool, said: str) -> None:
    texts: dict[str, Any] = {**EXAMPLE["texts"], **(MEETING if meets else {})}  # type: ignore[dict-item]
    round_ = Round.model_validate({**EXAMPLE, "texts": texts})
    assert said in read(letter(RECEIPT, round_, title=TITLE, answer=answer))[1]


def test_a_receipt_without_a_known_round_says_what_it_was_given_and_no_more() -> None:
    _, text = read(letter(RECEIPT, None, reference="7F3-K2Q", title=TITLE, answer="nytt_svar"))
    assert "Referens: 7F3-K2Q." in text
    assert "Ert svar:" not in text
    assert "Ni kan ändra svaret till" not in text


@pytest.mark.parametrize(
    ("scope", "title", "subject"),
    [
        ("all", "", "Ni är avanmälda från företagsdialogen"),
        ("area", "", "Ni är avanmälda från företagsdialogen"),
        ("area", "Mörby", "Ni får inget mer för att ni bevakar Mörby"),
        ("case", TITLE, "Ni får inget mer om Stockholmsvägen byggs om"),
        ("kind", "Gatuarbete", "Ni får inget mer av slaget Gatuarbete"),
    ],
)
def test_a_stop_says_what_was_stopped_and_that_it_can_be_undone(scope: str, title: str, subject: str) -> None:
    given = letter(STOPPED, None, scope=scope, title=title)
    assert read(given)[0] == subject
    assert "Det gäller från nu." in read(given)[1]
    assert f"Ångra: {URL}" in read(given)[1]


def test_text_of_a_case_is_text() -> None:
    mail = render_notice(letter(RECEIPT, None, title='<a href="https://ond.example">{reference}</a>'))
    assert "https://ond.example" not in Reader(mail.html).links
    assert "{reference}" in mail.text


def test_a_kind_without_words_is_refused() -> None:
    with pytest.raises(ValueError, match="no words"):
        render_notice(letter("of_tomorrow"))
    with pytest.raises(ValueError, match="no SMS"):
        notice_sms(letter(CONFIRM), "sv")


@given(
    st.sampled_from([(RECEIPT, ""), (STOPPED, "all"), (STOPPED, "case"), (STOPPED, "kind")]),
    st.text(max_size=200),
    st.text(max_size=200),
    st.sampled_from(["sv", "en"]),
)
def test_a_notice_as_sms_is_one_part_with_its_link_whole(kind, title, reference, lang) -> None:  # type: ignore[no-untyped-def]
    text = notice_sms(letter(kind[0], None, scope=kind[1], title=title, reference=reference), lang)
    assert len(smsutil.split(text).parts) == 1
    assert text.endswith(URL)


@given(st.text(max_size=200))
def test_a_notices_subject_is_one_short_line(title: str) -> None:
    for kind in (CONFIRM, RECEIPT):
        assert len(render_notice(letter(kind, None, title=title)).subject) <= 65


@pytest.mark.parametrize("kind", ["confirm", "magic_link", "receipt", "stopped"])
def test_a_rehearsals_notice_says_so_in_subject_and_text(kind: str) -> None:
    made = render_notice(replace(letter(kind, title="Mörby"), rehearsal=True))
    assert made.subject.startswith("ÖVNING: ")
    assert len(made.subject) <= 65
    for text in (made.text, made.html):
        assert "ÖVNING." in text
        assert "REHEARSAL." in text
    assert "ÖVNING" not in render_notice(letter(kind, title="Mörby")).text
