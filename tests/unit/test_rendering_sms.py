"""The SMS: one part, always; the title yields, never the date or the link."""

from datetime import date, timedelta

import pytest
import smsutil
from hypothesis import example, given
from hypothesis import strategies as st
from smsutil.codecs import GSM_CHARSET, is_valid_gsm

from schemas.case import Meeting
from schemas.round import EXAMPLE, Plan, Purpose, Round
from schemas.types import moment
from services.rendering.sms import Terms, digest_sms, fold, remind_sms, render_sms, septets

LINK = "https://dialog.example/i/7Kq2mX9vTfA4bWzR7Kq2mX"
ASK = Round.model_validate({**EXAMPLE, "respond_by": date(2025, 12, 5)})
INFORM = ASK.model_copy(update={"plan": Plan(primary="x", forms=[], asks=False, influence="inform", channel="sms")})
MEETING = Meeting(place="Biblioteket", start=moment("2025-11-28T07:00:00+00:00"))


def meeting(round_: Round) -> Round:
    return round_.model_copy(update={"texts": round_.texts.model_copy(update={"meeting": MEETING})})


CHANGES = [
    round_.model_copy(update={"purpose": Purpose.CHANGE, "change": kind})
    for kind in ("withdrawn", "undone", "not_affected", "moved", "cancelled", "corrected", "of_tomorrow")
    for round_ in (ASK, meeting(ASK))
]


def walk(round_: Round) -> Round:
    assert round_.plan is not None
    return round_.model_copy(update={"plan": round_.plan.model_copy(update={"primary": "platsvandring"})})


FEEDBACK = ASK.model_copy(update={"purpose": Purpose.FEEDBACK})


def titled(round_: Round, title: str) -> Round:
    return round_.model_copy(update={"texts": round_.texts.model_copy(update={"title": title, "title_en": ""})})


@given(st.text(st.sampled_from(sorted(set(GSM_CHARSET) - {"\x1b"}))))
@example("€" * 80)
def test_septets_are_counted_as_smsutil_counts_them(text: str) -> None:
    assert septets(text) == sum(part.bytes for part in smsutil.split(text).parts) if text else septets(text) == 0


@pytest.mark.parametrize("sign", ["–", "😀", "ç", "\x1b", "Œ"])
def test_a_sign_outside_the_alphabet_is_not_counted_but_refused(sign: str) -> None:
    with pytest.raises(ValueError, match="fold the text first"):
        septets(sign)


def test_one_sign_of_the_extension_table_takes_the_last_two_septets() -> None:
    assert (septets("a" * 158 + "€"), septets("a" * 159 + "€")) == (160, 161)


@given(st.text())
def test_a_folded_text_is_in_the_alphabet_in_one_line_and_stays_as_it_is(text: str) -> None:
    folded = fold(text)
    assert is_valid_gsm(folded) or folded == ""
    assert "\n" not in folded
    assert "\r" not in folded
    assert fold(folded) == folded


def test_swedish_letters_stay_and_typographic_signs_become_plain() -> None:
    assert fold(
        "Å ä ö É ü § – “så” ’n… 10\u00a0000 Dvořák 😀 ł"
    ) == 'Å ä ö É ü § - "så" \'n... 10 000 Dvorák l'.replace("á", "a")


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("1½ m", "1 1/2 m"),
        ("½ mil", "1/2 mil"),
        ("10³ kg på 100 m²", "10^3 kg på 100 m2"),
        ("≥ 5 ‰, ±2 µg, A → B", ">= 5 o/oo, +/-2 ug, A -> B"),
    ],
)
def test_folding_makes_no_number_of_another(text: str, folded: str) -> None:
    """FC-045."""
    assert fold(text) == folded


def test_letters_of_the_minority_languages_stay_letters() -> None:
    assert fold("Árjepluovve, Ŋiidná, Leŧŧu, STRAẞE") == "Arjepluovve, Niidna, Lettu, STRASSE"


@pytest.mark.parametrize("title", ["Москва", "🚧 🚧", "東京", "…"])
@pytest.mark.parametrize("number", ["KS 2025/0123", ""])
def test_a_title_that_no_sms_can_write_yields_to_the_cases_number(title: str, number: str) -> None:
    """FC-047: a text about nothing is read as a fraud."""
    round_ = titled(ASK, title)
    round_ = round_.model_copy(update={"texts": round_.texts.model_copy(update={"diary_number": number})})
    assert render_sms(round_, sender="Danderyds kommun", link=LINK).startswith(
        f"Danderyds kommun: {number or round_.case_id} kan påverka er."
    )


def test_the_question_names_sender_title_address_date_and_link() -> None:
    text = render_sms(ASK, sender="Danderyds kommun", address="Stockholmsvägen 40", link=LINK)
    assert text == (
        "Danderyds kommun: Stockholmsvägen byggs om kan påverka er på Stockholmsvägen 40. Svara senast 5/12: " + LINK
    )


def test_information_asks_nothing() -> None:
    text = render_sms(INFORM, sender="Danderyds kommun", address="Stockholmsvägen 40", link=LINK)
    assert "Svara" not in text
    assert "Läs mer: " + LINK in text


def test_a_meeting_is_at_swedish_wall_time() -> None:
    text = render_sms(meeting(ASK), sender="Danderyds kommun", link=LINK)
    assert text == (
        f"Danderyds kommun bjuder in till dialogmöte 28/11 kl 08.00: Stockholmsvägen byggs om. Kommer ni? {LINK}"
    )


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("withdrawn", "D: Ärendet är återkallat: Stockholmsvägen byggs om. Ni behöver inte svara. "),
        ("undone", "D: Vi tar tillbaka vårt meddelande om Stockholmsvägen byggs om. Ni behöver inte svara. "),
        ("not_affected", "D: Ni berörs inte längre av Stockholmsvägen byggs om. "),
        ("moved", "D: Ny tid 28/11 kl 08.00. Stockholmsvägen byggs om. "),
        ("cancelled", "D: Mötet 28/11 är inställt. Stockholmsvägen byggs om. "),
        ("corrected", "D: Rättelse om Stockholmsvägen byggs om. Läs vad som gäller: "),
        ("of_tomorrow", "D: Ändrat: Stockholmsvägen byggs om. "),
    ],
)
def test_a_change_says_what_happened_and_asks_nothing(kind: str, text: str) -> None:
    [change] = [round_ for round_ in CHANGES if round_.change == kind and round_.texts.meeting is not None]
    assert render_sms(change, sender="D", address="Vasavägen 4", link=LINK) == text + LINK


def test_a_long_title_is_cut_at_a_word_before_the_address_goes() -> None:
    long = titled(ASK, "Stockholmsvägen byggs om mellan Mörby centrum och Danderyds sjukhus under våren")
    text = render_sms(long, sender="Danderyds kommun", address="Vasavägen 4", link=LINK)
    assert "Stockholmsvägen byggs om mellan Mörby... kan påverka er på Vasavägen 4. Svara senast 5/12: " in text


def test_a_long_address_goes_when_the_title_would_be_too_short() -> None:
    text = render_sms(ASK, sender="Danderyds kommun", address="Enebybergsvägen " * 4, link=LINK)
    assert "Stockholmsvägen byggs om kan påverka er. Svara senast 5/12" in text


@pytest.mark.parametrize("link", ["https://x.example/" + "a" * 53, "https://x.example/\u00e7"])
def test_a_link_that_does_not_fit_is_refused_never_cut(link: str) -> None:
    with pytest.raises(ValueError, match=r"shorter|fold"):
        render_sms(ASK, sender="Danderyds kommun", link=link)


def test_braces_and_markup_in_a_title_are_text() -> None:
    text = render_sms(titled(ASK, "{link} <a>"), sender="D", link=LINK)
    assert "{link} <a> kan" in text


TITLES = st.text(min_size=1, max_size=160).filter(lambda text: bool(text.strip()))


@given(
    title=TITLES,
    address=st.text(max_size=200),
    sender=st.text(max_size=60),
    length=st.integers(20, 70),
    lang=st.sampled_from(["sv", "en"]),
    variant=st.sampled_from([ASK, INFORM, meeting(ASK), walk(meeting(ASK)), FEEDBACK, *CHANGES]),
    parts=st.integers(1, 3),
    takes_answers=st.booleans(),
)
@example("€" * 160, "€" * 22, "M" * 60, 70, "en", meeting(ASK), 1, False)
@example("€" * 160, "€" * 22, "M" * 60, 70, "en", walk(meeting(ASK)), 1, True)
def test_every_sms_has_the_parts_allowed_and_holds_date_and_link_whole(  # type: ignore[no-untyped-def]
    title, address, sender, length, lang, variant, parts, takes_answers
) -> None:
    """FC-045, FC-047: counted by a library that is not ours."""
    link = "https://x.example/".ljust(length, "a")
    terms = Terms(parts, takes_answers)
    text = render_sms(titled(variant, title), sender=sender, address=address, link=link, lang=lang, terms=terms)
    assert_within(text, terms, link)
    if variant is ASK:
        assert ("5/12" if lang == "sv" else "5 Dec") in text


@given(
    title=TITLES,
    sender=st.text(max_size=60),
    length=st.integers(20, 70),
    lang=st.sampled_from(["sv", "en"]),
    day=st.integers(-3, 60),
    count=st.integers(1, 9999),
    takes_answers=st.booleans(),
)
@example("€" * 160, "M" * 60, 70, "en", 0, 9999, True)
def test_every_reminder_and_digest_is_one_part(title, sender, length, lang, day, count, takes_answers) -> None:  # type: ignore[no-untyped-def]
    """FC-045, FC-047."""
    link, terms = "https://x.example/".ljust(length, "a"), Terms(takes_answers=takes_answers)
    on = date(2025, 12, 5) - timedelta(days=day)
    texts = [
        remind_sms(titled(ASK, title), sender=sender, link=link, on=on, lang=lang, terms=terms),
        remind_sms(
            ASK.model_copy(update={"respond_by": None}), sender=sender, link=link, on=on, lang=lang, terms=terms
        ),
        digest_sms(count, sender=sender, link=link, lang=lang, terms=terms),
    ]
    for text in texts:
        assert_within(text, terms, link)


def assert_within(text: str, terms: Terms, link: str) -> None:
    parts = smsutil.split(text)
    assert parts.encoding.upper().startswith("GSM")
    assert len(parts.parts) <= terms.parts
    assert link in text.split()
    assert terms.takes_answers or text.endswith(link)


def test_a_number_that_takes_answers_says_how_to_stop_and_a_name_does_not() -> None:
    link = "https://dialog.danderyd.example/i/7Kq2mX9vTfA4bWzR7Kq2mX"
    ways = {
        takes: render_sms(ASK, sender="Danderyds kommun", link=link, terms=Terms(takes_answers=takes))
        for takes in (False, True)
    }
    assert ways[True] == (
        f"Danderyds kommun: Stockholmsvägen byggs om kan påverka er. Svara senast 5/12: {link} Avsluta: svara STOPP"
    )
    assert "STOPP" not in ways[False]


def test_a_text_of_two_parts_has_room_for_a_longer_title() -> None:
    long = titled(
        ASK, "Stockholmsvägen byggs om mellan Mörby centrum och Danderyds sjukhus under våren och sommaren 2026"
    )
    one, two = (render_sms(long, sender="Danderyds kommun", link=LINK, terms=Terms(parts)) for parts in (1, 2))
    assert "..." in one
    assert long.texts.title in two


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("å" * 40 + "ä" * 40 + "ö" * 40 + "ÉÜ" * 20, 1),  # FC-045
        ("a" * 159 + "–", 1),  # a dash is replaced before it is counted
        ("a" * 159 + "😀", 1),  # a sign without a likeness is left out, by rule
        ("a" * 158 + "€", 1),  # FC-046
        ("a" * 159 + "€", 2),
    ],
)
def test_parts_are_counted_after_folding(text: str, parts: int) -> None:
    folded = fold(text)
    assert len(smsutil.split(folded).parts) == parts
    assert (septets(folded) <= 160) == (parts == 1)


def test_the_english_sms_has_the_english_title() -> None:
    assert "Stockholmsvägen is rebuilt may affect you. Reply by 5 Dec: " in render_sms(
        ASK, sender="D", link=LINK, lang="en"
    )


@given(
    title=st.text(max_size=160),
    address=st.text(max_size=60),
    sender=st.text(min_size=1, max_size=60),
    lang=st.sampled_from(["sv", "en"]),
    length=st.integers(20, 55),
    on=st.sampled_from([date(2025, 11, 20), date(2025, 12, 4), date(2025, 12, 5)]),
    round_=st.sampled_from([ASK, INFORM, meeting(ASK), *CHANGES]),
)
@example(
    title="T" * 99, address="A" * 60, sender="M" * 60, lang="sv", length=55, on=date(2025, 12, 4), round_=CHANGES[-3]
)
@example(
    title="T" * 99, address="A" * 60, sender="M" * 60, lang="en", length=55, on=date(2025, 12, 4), round_=meeting(ASK)
)
def test_with_a_two_way_number_every_sms_says_how_to_stop_and_is_one_part_still(  # type: ignore[no-untyped-def]
    title, address, sender, lang, length, on, round_
) -> None:
    named, link = titled(round_, title), "https://x.example/".ljust(length, "a")
    stop = "svara STOPP" if lang == "sv" else "reply STOPP"
    for text in (
        render_sms(named, sender=sender, link=link, address=address, lang=lang, terms=Terms(takes_answers=True)),
        remind_sms(named, sender=sender, link=link, on=on, lang=lang, terms=Terms(takes_answers=True)),
        digest_sms(3, sender=sender, link=link, lang=lang, terms=Terms(takes_answers=True)),
    ):
        assert text.endswith(stop)
        assert link in text
        assert septets(text) <= 160
    assert stop not in render_sms(named, sender=sender, link=link, address=address, lang=lang)
