"""A letter on paper: the words, and a PDF that a screen reader can follow."""

import io
import json
from dataclasses import asdict, replace
from typing import Any

import pikepdf
import pypdfium2  # type: ignore[import-untyped]
import pytest
import segno
from hypothesis import given, settings
from hypothesis import strategies as st

from services.rendering.paper import Postal, Way, again, kept, paper
from services.rendering.printing import pdf, qr
from tests.everything import EVERYTHING
from tests.unit.test_rendering_mail import AT, LETTER, MEETING, letter

WAY = Way("https://dialog.example/i/7Kq2mX9vTfA4bWzR7Kq2mX", "7KQ2-MX9V-TFA4", "https://dialog.example/kod")
TO = Postal("Exempelbageriet AB", "Stockholmsvägen 40", "182 30", "Danderyd")
SCALE = 4
"""Dots of the picture per point of the page."""
MM = SCALE * 72 / 25.4
PLAIN = paper(LETTER, TO, WAY)


def text_of(made: bytes) -> str:
    return "\n".join(page.get_textpage().get_text_range() for page in pypdfium2.PdfDocument(made))


def tags(made: bytes) -> list[tuple[str, Any]]:
    """The structure in reading order: each element with its alternative text."""
    found: list[tuple[str, Any]] = []

    def walk(node: Any) -> None:
        if isinstance(node, pikepdf.Array):
            for child in node:
                walk(child)
        elif isinstance(node, pikepdf.Dictionary):
            if "/S" in node:
                found.append((str(node.S), str(node.get("/Alt", ""))))
            if "/K" in node:
                walk(node.K)

    with pikepdf.open(io.BytesIO(made)) as opened:
        walk(opened.Root.StructTreeRoot)
    return found


def test_swedish_comes_first_and_the_code_and_the_last_day_stand_in_both_halves() -> None:
    swedish, english = PLAIN.halves
    assert (swedish.lang, english.lang) == ("sv", "en")
    assert swedish.deadline == "Svara senast fredag 5 december 2025"
    assert english.deadline == "Reply by Friday 5 December 2025"
    read = text_of(pdf(PLAIN, AT))
    order = [
        "Exempelbageriet AB", "Stockholmsvägen 40", "182 30 Danderyd", swedish.heading, swedish.deadline,
        "dialog.example/kod", "7KQ2-MX9V-TFA4", "Varför får ni detta?", english.heading, english.deadline,
        "7KQ2-MX9V-TFA4", "Why are you receiving this?",
    ]  # fmt: skip
    place = -1
    for words in order:
        place = read.index(words, place + 1)


def test_whoever_doubts_a_letter_is_not_told_of_a_mail() -> None:
    said = json.dumps(asdict(PLAIN), ensure_ascii=False)
    assert "Osäker på brevet?" in said
    assert "Osäker på mejlet?" not in said


def test_the_letter_tells_where_the_address_is_from_and_how_to_stop() -> None:
    said = json.dumps(asdict(PLAIN), ensure_ascii=False)
    assert "Bolagsverket/SCB" in said
    assert "Vill ni inte ha fler inbjudningar? Säg det på dialog.example/kod med koden 7KQ2-MX9V-TFA4." in said


def test_a_kept_letter_is_the_same_letter_and_prints_to_the_same_bytes() -> None:
    assert again(kept(PLAIN)) == PLAIN
    assert pdf(again(kept(PLAIN)), AT) == pdf(PLAIN, AT)


def test_the_pdf_has_language_title_headings_lists_and_a_described_picture() -> None:
    made = pdf(PLAIN, AT)
    opened = pikepdf.open(io.BytesIO(made))
    assert str(opened.Root.Lang) == "sv-SE"
    assert bool(opened.Root.MarkInfo.Marked)
    assert opened.open_metadata()["dc:title"] == PLAIN.title
    assert opened.open_metadata()["pdfuaid:part"] == "1"
    elements = tags(made)
    kinds = [kind for kind, _ in elements]
    assert kinds.count("/H1") == 2
    assert {"/H2", "/P", "/L", "/LI", "/LBody"} <= set(kinds)
    assert [alt for kind, alt in elements if kind == "/Figure"] == [half.qr_alt for half in PLAIN.halves]


def test_the_qr_on_the_page_holds_the_link() -> None:
    """The printed page, looked at module by module, against the modules of the link."""
    modules = [[bool(dark) for dark in row] for row in segno.make(WAY.url, error="q", micro=False).matrix]
    page = pypdfium2.PdfDocument(pdf(PLAIN, AT))[0]
    picture = page.render(scale=SCALE, grayscale=True).to_pil()
    right = picture.width - 29 * MM
    columns = range(round(right - 30 * MM), round(right))

    def dark(x: float, y: float) -> bool:
        return bool(picture.getpixel((int(x), int(y))) < 128)

    frame = [y for y in range(picture.height) if all(dark(x, y) for x in columns)]
    inside = range(max(y for y in frame if y - 10 < frame[0]) + 1, min(y for y in frame if y + 10 > frame[-1]))
    drawn = [(x, y) for y in inside for x in columns if dark(x, y)]
    left, above = min(x for x, _ in drawn), min(y for _, y in drawn)
    step = (max(x for x, _ in drawn) + 1 - left) / len(modules)
    seen = [
        [dark(left + (x + 0.5) * step, above + (y + 0.5) * step) for x in range(len(modules))]
        for y in range(len(modules))
    ]
    assert seen == modules


def test_a_qr_of_a_link_is_as_large_as_its_edge_demands() -> None:
    assert "<svg" in qr(WAY.url)
    assert "<?xml" not in qr(WAY.url)


@pytest.mark.parametrize(
    "given_",
    [letter({"asks": False}), letter(texts={"meeting": MEETING}), letter(texts={"question": ""}), LETTER],
    ids=["information", "meeting", "no question", "question"],
)
def test_every_kind_of_round_gives_a_page(given_: Any) -> None:
    made = paper(given_, TO, WAY)
    assert made.halves[0].heading in text_of(pdf(made, AT)).replace("\r\n", " ")


@settings(max_examples=200 if EVERYTHING else 10)
@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc", "Co", "Cn"]), min_size=1, max_size=80))
def test_what_a_case_says_is_set_as_text_and_never_read_as_markup(title: str) -> None:
    made = paper(letter(texts={"summary": f"#panic() {title} $x$ @none <a>"}), TO, WAY)
    read = text_of(pdf(made, AT))
    assert "#panic()" in read
    assert "@none <a>" in read


def test_a_sign_that_the_font_lacks_does_not_keep_the_letter_from_being_printed() -> None:
    made = pdf(paper(letter(texts={"summary": "Torget 𓀀 byggs om"}), TO, WAY), AT)
    assert "byggs om" in text_of(made)
    assert "/H1" in [kind for kind, _ in tags(made)]


def test_a_rehearsal_says_so_on_the_page() -> None:
    made = paper(replace(LETTER, rehearsal=True), TO, WAY)
    assert "ÖVNING." in text_of(pdf(made, AT))
