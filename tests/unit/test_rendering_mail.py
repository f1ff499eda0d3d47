"""The mail: the words, and the exact bytes."""

import re
from dataclasses import replace
from datetime import date
from email import message_from_bytes
from email.header import decode_header, make_header
from email.message import EmailMessage
from email.policy import default
from email.utils import parseaddr
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from schemas.case import Document, Meeting
from schemas.invitation import EXAMPLE as INVITATION
from schemas.invitation import InvitedWorkplace
from schemas.round import EXAMPLE, Outcome, Purpose, Round
from schemas.types import moment
from services.rendering.letter import Brand, Letter, Links
from services.rendering.mail import half, personal, render
from services.rendering.message import MailHeaders, RenderedMail, compose
from services.rendering.plaintext import wrap
from services.rendering.why import Workplace, why_block
from services.rendering.wording import LANGUAGES

ROUND = Round.model_validate(EXAMPLE)
LINKS = Links(
    "https://dialog.example/i/7Kq2mX9v",
    "https://dialog.example/avsluta/7Kq2",
    "https://dialog.example/mina",
    "https://dialog.example/personuppgifter",
    "https://dialog.example/arenden",
)
AT = moment("2025-11-10T09:00:00+01:00")
WORKPLACES = tuple(InvitedWorkplace.model_validate(item) for item in INVITATION["workplaces"])  # type: ignore[attr-defined]
FACTS = {"EX-0001": Workplace("EX-0001", "Exempelbageriet", "Stockholmsvägen 40")}
LETTER = Letter(
    Brand("Danderyds kommun", "Danderyds kommun, Näringsliv"),
    ("Exempelbageriet AB",),
    ROUND,
    WORKPLACES,
    FACTS,
    LINKS,
    AT,
)
HEADERS = MailHeaders(
    message_id="0123456789abcdef@dialog.example",
    date=AT,
    from_name="Danderyds kommun, Näringsliv",
    from_address="dialog@danderyd.example",
    to_address="info@exempel.example",
    list_id="dialog.danderyd.example",
    unsubscribe_url="https://dialog.example/avsluta/7Kq2",
    reply_to="anna@danderyd.example",
)
MEETING = Meeting(place="Biblioteket", start=moment("2025-11-28T07:00:00+00:00"))
MARKUP = '<a href="https://ond.example">Betala</a>'


def letter(plan: dict[str, Any] | None = None, texts: dict[str, Any] | None = None, **changes: Any) -> Letter:
    assert ROUND.plan is not None
    changes["plan"] = ROUND.plan.model_copy(update=plan or {})
    changes["texts"] = ROUND.texts.model_copy(update=texts or {})
    return replace(LETTER, round=ROUND.model_copy(update=changes))


class Reader(HTMLParser):
    """What a person sees and where links go."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.tags: set[str] = set()
        self.words: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.links += [value or "" for name, value in attrs if name in ("href", "src")]

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def parsed(mail: bytes) -> EmailMessage:
    message = message_from_bytes(mail, policy=default)
    assert isinstance(message, EmailMessage)
    return message


@pytest.mark.parametrize(
    ("given", "subject"),
    [
        (letter(), "Stockholmsvägen byggs om – påverkas ni? Svara senast 5 dec"),
        (letter(respond_by=None), "Stockholmsvägen byggs om – påverkas ni?"),
        (letter(texts={"meeting": MEETING}), "Dialogmöte 28 nov om Stockholmsvägen byggs om – kommer ni?"),
        (letter(plan={"asks": False}, purpose=Purpose.INFORM), "Information: Stockholmsvägen byggs om"),
        (letter(plan={"asks": False}, purpose=Purpose.FEEDBACK), "Så påverkade svaren: Stockholmsvägen byggs om"),
        (
            letter({"primary": "platsvandring"}, {"meeting": MEETING}),
            "Platsvandring 28 nov om Stockholmsvägen byggs om – kommer ni?",
        ),
        (
            letter(texts={"title": "Stockholmsvägen byggs om mellan Mörby centrum och sjukhuset"}),
            "Stockholmsvägen byggs om… – påverkas ni? Svara senast 5 dec",
        ),
    ],
)
def test_the_subject_says_place_question_and_date(given: Letter, subject: str) -> None:
    assert render(given).subject == subject


def change(kind: str, told_at: str | None = "2025-11-10T23:30:00+00:00", **texts: Any) -> Letter:
    return replace(
        letter(texts=texts, purpose=Purpose.CHANGE, change=kind), told_at=moment(told_at) if told_at else None
    )


@pytest.mark.parametrize(
    ("given", "subject", "said"),
    [
        (change("withdrawn"), "Ärendet är återkallat: Stockholmsvägen byggs om", "Kommunen har återkallat ärendet."),
        (change("undone"), "Vi tar tillbaka vårt meddelande: Stockholmsvägen byggs om", "hör vi av oss"),
        (change("not_affected"), "Ni berörs inte längre: Stockholmsvägen byggs om", "inte längre rör er"),
        (
            change("moved", meeting=MEETING),
            "Ny tid 28 nov: dialogmöte om Stockholmsvägen byggs om",
            "Mötet har en ny tid: fredag 28 november 2025 kl. 08.00, Biblioteket.",
        ),
        (change("moved"), "Ny tid: Stockholmsvägen byggs om", "Den nya tiden står på ärendets sida."),
        (
            change("cancelled", meeting=MEETING),
            "Inställt: Stockholmsvägen byggs om",
            "Mötet fredag 28 november 2025 är inställt.",
        ),
        (change("of_tomorrow"), "Ändrat: Stockholmsvägen byggs om", "Något i ärendet är ändrat."),
    ],
)
def test_a_change_says_what_happened_why_this_reader_gets_it_and_asks_nothing(
    given: Letter, subject: str, said: str
) -> None:
    mail = render(given)
    text = re.sub(r"\s+", " ", mail.text)
    assert mail.subject == subject
    assert said in text
    assert "Vi skrev till er om ärendet den 11 november." in text
    assert "We wrote to you about the matter on 11 November." in text
    assert "Nej, ni behöver inte svara på det här. Har ni redan svarat" in text
    assert "svar=" not in mail.text + mail.html
    assert "Svara senast" not in mail.text
    assert said in mail.preheader


def test_a_change_whose_first_message_has_no_known_day_still_says_why() -> None:
    assert "Vi har skrivit till er om ärendet tidigare." in render(change("withdrawn", None)).text


def test_a_correction_says_what_an_official_wrote_and_that_the_rest_holds() -> None:
    mail = render(
        change("corrected", correction="Dagen är den {9} december,\ninte den 5.", correction_en="It is the 9th.")
    )
    text = re.sub(r"\s+", " ", mail.text)
    assert mail.subject == "Rättelse: Stockholmsvägen byggs om"
    assert "Dagen är den {9} december, inte den 5." in text
    assert "It is the 9th." in text
    assert "Det andra som vi skrev gäller fortfarande." in text
    assert "Nej, ni behöver inte svara" not in text


@given(st.text(min_size=1, max_size=160), st.booleans())
@example("A" * 160, True)
def test_a_subject_is_short_and_keeps_its_date(title: str, meets: bool) -> None:
    mail = render(letter(texts={"title": title, "meeting": MEETING if meets else None}))
    assert len(mail.subject) <= 65
    assert ("28 nov" if meets else "5 dec") in mail.subject


def test_the_why_block_is_the_same_in_text_and_html_and_stands_before_the_rest() -> None:
    mail = render(LETTER)
    unwrapped = re.sub(r"\s+", " ", mail.text)
    for lang in ("sv", "en"):
        for line in why_block(ROUND, WORKPLACES, FACTS, lang):
            assert line in unwrapped
            assert f"<li>{line}</li>" in mail.html
    assert mail.text.index("VARFÖR FÅR NI DETTA?") < mail.text.index("VEM")
    assert mail.text.index("VARFÖR FÅR NI DETTA?") < 700


def test_swedish_comes_first_and_each_half_says_its_language() -> None:
    mail = render(LETTER)
    assert mail.text.index("frågar Exempelbageriet AB") < mail.text.index("-- English --") < mail.text.index("asks")
    assert mail.html.index('lang="sv"') < mail.html.index('<td class="sheet half-en" lang="en"')


def test_markup_in_a_case_is_shown_as_text() -> None:
    texts = dict.fromkeys(("title", "summary", "question", "stage", "unit"), MARKUP)
    mail = render(replace(letter(texts=texts), recipients=(MARKUP,)))
    reader = Reader(mail.html)
    assert all("ond.example" not in link for link in reader.links)
    assert MARKUP in reader.words
    assert MARKUP in " ".join(mail.text.split())


def test_nothing_is_fetched_and_every_link_is_the_recipients_own_and_visible() -> None:
    mail = render(LETTER)
    reader = Reader(mail.html)
    assert not reader.tags & {"img", "script", "link", "iframe", "form", "svg", "object"}
    assert "url(" not in mail.html
    assert "@import" not in mail.html
    assert {link.split("?")[0] for link in reader.links} == {
        LINKS.answer_url,
        LINKS.stop_url,
        LINKS.manage_url,
        "#english",
    }
    assert LINKS.answer_url in reader.words
    for link in (LINKS.answer_url, LINKS.stop_url, LINKS.manage_url):
        assert link in mail.text.splitlines()


def test_a_case_without_a_question_of_its_own_gets_three_answers() -> None:
    mail = render(letter(texts={"question": ""}))
    assert "Påverkas ni? Stockholmsvägen byggs om" in mail.html
    for answer in ("ja", "nej", "vet-inte"):
        assert f'href="{LINKS.answer_url}?svar={answer}"' in mail.html


def test_a_question_in_words_is_not_offered_yes_and_no() -> None:
    mail = render(LETTER)
    assert "svar=" not in mail.html
    assert "Svara på frågan" in mail.html


def test_information_says_that_it_is_and_asks_nothing() -> None:
    mail = render(letter(plan={"asks": False}, purpose=Purpose.INFORM))
    assert "Det här är information. Ni behöver inte svara." in mail.text
    assert "This is information. You need not reply." in mail.html
    for word in ("Svara", "Påverkas", "Vilka tider", "svar="):
        assert word not in mail.text
        assert word not in mail.html


def test_a_click_is_said_not_to_be_a_formal_comment_where_a_right_hangs_on_it() -> None:
    unwrapped = " ".join(render(letter(plan={"statutory": True})).text.split())
    assert "Ett svar med ett klick är inte ett formellt yttrande." in unwrapped
    assert "anger dnr KS 2025/0123" in unwrapped
    assert "formellt" not in render(LETTER).text


def test_a_meeting_says_when_and_where() -> None:
    mail = render(letter(texts={"meeting": MEETING}))
    assert "Möte fredag 28 november 2025 kl. 08.00, Biblioteket." in mail.html
    assert "Ja, vi kommer" in mail.html


def test_the_mail_names_official_phone_and_diary_number_controller_and_rights() -> None:
    unwrapped = " ".join(render(LETTER).text.split())
    for words in ("Anna Exempel", "Dnr KS 2025/0123.", "Danderyds kommun är personuppgiftsansvarig", "imy.se"):
        assert words in unwrapped


@given(
    st.text(min_size=1, max_size=160), st.text(max_size=300), st.text(max_size=4000), st.lists(st.text(), max_size=3)
)
@example("Å" * 160, "x" * 300, "y" * 4000, ["\u00a0" * 100])
def test_text_lines_are_narrow_whatever_the_case_says(
    title: str, question: str, summary: str, opens: list[str]
) -> None:
    texts = {"title": title, "question": question, "summary": summary, "open_questions": opens}
    for line in render(letter(texts=texts)).text.split("\n"):
        assert len(line) <= 78 or re.match(r"https?://", line)


def test_a_long_link_in_a_text_stays_whole() -> None:
    link = "https://dialog.example/" + "a" * 400
    assert link in wrap(f"Läs {link} i dag").split("\n")


@given(st.text())
def test_wrapping_loses_no_sign_but_blanks(text: str) -> None:
    def bare(value: str) -> str:
        return re.sub(r"\s+", "", value)

    assert bare(wrap(text)) == bare(text)


def test_the_same_values_give_the_same_bytes() -> None:
    assert compose(render(LETTER), HEADERS) == compose(render(LETTER), HEADERS)


def test_the_headers_are_those_of_automatic_mail_with_one_click_unsubscription() -> None:
    message = parsed(compose(render(LETTER), HEADERS))
    assert {name: str(message[name]) for name in message if name not in ("Content-Type", "MIME-Version")} == {
        "From": '"Danderyds kommun, Näringsliv" <dialog@danderyd.example>',
        "To": "info@exempel.example",
        "Subject": "Stockholmsvägen byggs om – påverkas ni? Svara senast 5 dec",
        "Reply-To": "anna@danderyd.example",
        "Message-ID": "<0123456789abcdef@dialog.example>",
        "Date": "Mon, 10 Nov 2025 09:00:00 +0100",
        "List-Id": "<dialog.danderyd.example>",
        "List-Unsubscribe": "<https://dialog.example/avsluta/7Kq2>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
        "Auto-Submitted": "auto-generated",
        "X-Auto-Response-Suppress": "All",
        "Content-Language": "sv, en",
    }


def test_both_parts_come_back_as_they_were_rendered() -> None:
    mail = render(LETTER)
    message = parsed(compose(mail, HEADERS))
    plain, html = message.get_body(("plain",)), message.get_body(("html",))
    assert plain is not None
    assert html is not None
    assert plain.get_content().replace("\r\n", "\n") == mail.text
    assert html.get_content().replace("\r\n", "\n") == mail.html
    assert message.defects == []


def test_a_long_link_is_not_encoded_in_its_header() -> None:
    link = "https://dialog.example/avsluta/" + "a" * 400
    mail = compose(render(LETTER), replace(HEADERS, unsubscribe_url=link))
    assert f" <{link}>\r\n".encode() in mail


@pytest.mark.parametrize("sign", ["å", "&", "x", "x y "])
def test_the_longest_case_gives_a_small_mail_of_short_lines(sign: str) -> None:
    document = Document(title=sign * 50, url="https://dialog.example/" + "a" * 400)
    texts = {
        "title": (sign * 160)[:160],
        "summary": (sign * 4000)[:4000],
        "open_questions": [(sign * 4000)[:4000]] * 20,
        "already_decided": [(sign * 4000)[:4000]] * 20,
        "documents": [document] * 50,
    }
    mail = render(letter(texts=texts))
    assert len(mail.html.encode()) < 60_000
    assert "… och 16 till på sidan." in mail.html
    assert document.url in mail.text
    composed = compose(mail, HEADERS)
    assert all(len(line) <= 998 for line in composed.split(b"\r\n"))
    assert b"\n" not in composed.replace(b"\r\n", b"")


@given(st.text(max_size=200), st.text(max_size=200))
@example("x", "Danderyds kommun, " * 8)
@example("x", 'a"b\\c, å <x@y.example>, ' * 8)
@example("Mörby\r\nBcc: alla@exempel.example", "Näringsliv\r\nBcc: alla@exempel.example")
def test_no_words_can_add_a_header(subject: str, name: str) -> None:
    mail = compose(RenderedMail(subject, "", "text\n", "<p>"), replace(HEADERS, from_name=name))
    message = parsed(mail)
    assert set(message.keys()) == set(parsed(compose(render(LETTER), HEADERS)).keys())
    assert [address.addr_spec for address in message["To"].addresses] == [HEADERS.to_address]
    assert [address.addr_spec for address in message["From"].addresses] == [HEADERS.from_address]


@pytest.mark.parametrize("name", ["Näringsliv, A, B " * 9, 'Ett "namn" \\', "Danderyds kommun", "Å" * 150, "x, " * 40])
def test_a_senders_name_comes_back_as_it_was(name: str) -> None:
    mail = compose(render(LETTER), replace(HEADERS, from_name=name))
    shown, address = parseaddr(message_from_bytes(mail)["From"])
    assert str(make_header(decode_header(shown))) == name.strip()
    assert address == HEADERS.from_address


@pytest.mark.parametrize("name", ["message_id", "list_id", "unsubscribe_url", "to_address", "from_address", "reply_to"])
@pytest.mark.parametrize("added", ["\r\nBcc: alla@exempel.example", "\nBcc: x", "\r", ", alla@exempel.example"])
def test_an_address_an_id_or_a_link_with_a_line_break_is_refused_without_being_shown(name: str, added: str) -> None:
    if added.startswith(",") and not name.endswith(("address", "reply_to")):
        return
    bad = replace(HEADERS, **{name: getattr(HEADERS, name) + added})
    with pytest.raises(ValueError, match="correct") as caught:
        compose(render(LETTER), bad)
    assert "exempel" not in str(caught.value)


@pytest.mark.parametrize(
    ("address", "header"),
    [
        ("info@ångbåten.example", b"\r\nTo: info@xn--ngbten-huad.example\r\n"),
        ("kontakt+bygg@exempel.example", b"\r\nTo: kontakt+bygg@exempel.example\r\n"),
        ("åsa@exempel.example", "\r\nTo: åsa@exempel.example\r\n".encode()),
    ],
)
def test_an_address_is_never_an_encoded_word(address: str, header: bytes) -> None:
    mail = compose(render(LETTER), replace(HEADERS, to_address=address))
    assert header in mail


def test_secrets_are_not_shown_when_a_letter_is_printed() -> None:
    assert "7Kq2" not in repr(LETTER) + repr(HEADERS)


def test_dates_are_in_the_year_of_the_case() -> None:
    assert "Svara senast fredag 5 december 2025" in render(letter(respond_by=date(2025, 12, 5))).text
    assert "Reply by Friday 5 December 2025" in render(letter(respond_by=date(2025, 12, 5))).html


def test_a_mail_to_a_meeting_carries_it_as_a_calendar_file_and_its_words_are_the_same() -> None:
    mail = render(letter(texts={"meeting": MEETING}))
    composed = compose(mail, HEADERS)
    message = parsed(composed)
    assert message.get_content_type() == "multipart/mixed"
    (file,) = message.iter_attachments()
    assert isinstance(file, EmailMessage)
    assert (file.get_content_type(), file.get_filename()) == ("text/calendar", "invite.ics")
    assert file.get_param("method") == "PUBLISH"
    assert file.get_content().replace("\r\n", "\n") == mail.calendar.replace("\r\n", "\n")
    plain, html = message.get_body(("plain",)), message.get_body(("html",))
    assert plain is not None
    assert html is not None
    assert plain.get_content().replace("\r\n", "\n") == mail.text
    assert message.defects == file.defects == []
    assert composed == compose(mail, HEADERS)
    assert "text/calendar" not in compose(render(LETTER), HEADERS).decode()


KINDS = [
    {},
    {"purpose": Purpose.FEEDBACK},
    {"purpose": Purpose.INFORM},
    {"purpose": Purpose.CHANGE, "change": "moved"},
]


@given(st.text(min_size=1, max_size=150), st.text(max_size=600), st.sampled_from(KINDS), st.booleans(), st.booleans())
@example("Två  blanka", "<b>&amp;</b>\n\n . \n" + "å" * 200, KINDS[1], True, True)
def test_text_and_html_say_the_same_whatever_the_case_says(
    title: str, words: str, changes: dict[str, Any], meets: bool, reminds: bool
) -> None:
    outcome = Outcome(said=words, taken=title, not_taken=words)
    texts = {"title": title, "summary": words, "question": words[:300], "open_questions": [words], "outcome": outcome}
    made = letter(texts={**texts, "meeting": MEETING if meets else None}, **changes)
    made = replace(made, kind="reminder" if reminds else "first", told_at=AT)
    mail = render(made)
    shown = bare(" ".join(Reader(mail.html).words))
    for lang in LANGUAGES:
        one = half(made, personal(made), lang)
        lines = [one.intro, one.heading, one.deadline, *one.lead, one.invitation, *one.why.lines, one.stop, one.manage]
        lines += [line for section in one.sections for line in (section.title, *section.lines)]
        for line in lines:
            assert bare(line) in shown
            assert bare(line).upper() in bare(mail.text).upper()


def bare(text: str) -> str:
    """Without blanks: wrapping moves them, and breaks long words."""
    return re.sub(r"\s+", "", text)
