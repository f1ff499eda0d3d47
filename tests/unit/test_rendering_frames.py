"""A mail that is put into its round's frame is the mail that is written anew, byte for byte."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.invitation import InvitedWorkplace
from schemas.round import Outcome, Purpose
from services.rendering import frames
from services.rendering.frames import Frames
from services.rendering.letter import Letter, Links
from services.rendering.mail import render
from services.rendering.message import compose
from services.rendering.quoted import quoted
from services.rendering.slots import Blank, Slot, wrap
from services.rendering.why import Workplace
from services.rendering.wording import Wording, own_templates
from tests.unit.test_rendering_mail import AT, HEADERS, LETTER, MARKUP, MEETING, letter

WORDS = st.text(max_size=120) | st.sampled_from(
    ["", "<&>\"'", "ö" * 200, "\ue000why_sv\ue002", "rad\r\nrad", ". .", " "]
)
KINDS: dict[str, Letter] = {
    "asks": LETTER,
    "buttons": letter(texts={"question": ""}),
    "markup": letter(texts={"title": MARKUP, "summary": f"{MARKUP}\n. \n.\n{'x' * 300}"}),
    "marks": letter(texts={"title": "\ue000why_sv\ue002 och \ue001"}),
    "meeting": letter(texts={"meeting": MEETING}),
    "information": letter({"asks": False}, purpose=Purpose.INFORM),
    "moved": letter(texts={"meeting": MEETING}, purpose=Purpose.CHANGE, change="moved"),
    "feedback": letter(texts={"outcome": Outcome(said="Ja", taken="Allt")}, purpose=Purpose.FEEDBACK),
    "reminder": replace(letter(), kind="reminder"),
    "rehearsal": replace(letter(), rehearsal=True, introduce=False),
}
REASONS: list[dict[str, Any]] = [
    {"kind": "distance", "role": "road", "distance_m": 12.0},
    {"kind": "industry", "code": "56110", "heading": "56", "version": "2025"},
    {"kind": "subscription", "area": "Mörby & <Enebyberg>"},
    {"kind": "municipality"},
    {"kind": "participant"},
    {"kind": "added"},
]


@st.composite
def readers(draw: st.DrawFn) -> dict[str, Any]:
    """What of a letter differs between readers."""
    ids = draw(st.lists(st.sampled_from([f"EX-{n}" for n in range(20)]), min_size=1, max_size=15, unique=True))
    reasons = st.lists(st.sampled_from(REASONS), min_size=1, max_size=4)
    places = [InvitedWorkplace.model_validate({"workplace_id": key, "reasons": draw(reasons)}) for key in ids]
    facts = {key: Workplace(key, draw(WORDS), draw(WORDS)) for key in ids if draw(st.booleans())}
    number = draw(st.integers(0, 10**12))
    links = replace(
        LETTER.links,
        answer_url=f"https://dialog.example/i/{number}",
        stop_url=f"https://dialog.example/avsluta/{number}",
    )
    told_at = draw(st.none() | st.just(AT) | st.just(AT + timedelta(days=40)))
    return {
        "recipients": tuple(draw(st.lists(WORDS, max_size=5))),
        "workplaces": tuple(places),
        "facts": facts,
        "links": links,
        "more_workplaces": draw(st.integers(0, 3)),
        "told_at": told_at,
        "at": AT + timedelta(hours=draw(st.integers(0, 900))),
    }


@given(st.lists(st.tuples(st.sampled_from(sorted(KINDS)), readers()), min_size=1, max_size=6), st.integers(1, 3))
def test_a_mail_from_a_frame_is_the_mail_that_is_written_anew(
    mails: list[tuple[str, dict[str, Any]]], most: int
) -> None:
    kept = Frames(most)
    for number, (kind, own) in enumerate(mails):
        one = replace(KINDS[kind], **own)
        headers = replace(HEADERS, message_id=f"m{number}@dialog.example", unsubscribe_url=own["links"].stop_url)
        assert kept.write(one, headers) == compose(render(one), headers)


def test_the_same_round_with_other_content_is_another_frame() -> None:
    kept = Frames()
    for title in ("En", "Två", "En"):
        one = letter(texts={"title": title})
        assert kept.write(one, HEADERS) == compose(render(one), HEADERS)


def test_readers_of_one_round_are_written_from_one_frame_and_few_frames_are_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = []
    make = frames._made

    def counted(of: Letter) -> Any:
        made.append(of.round.round_id)
        return make(of)

    monkeypatch.setattr(frames, "_made", counted)
    kept = Frames(2)
    for key in ("a", "a", "b", "a", "c", "a", "b"):
        for _ in range(3):
            kept.write(letter(round_id=key * 32), HEADERS)
    assert [key[0] for key in made] == ["a", "b", "c", "b"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("{{ half.intro }}", "{{ half.intro | upper }}"),
        ("<li>{{ line }}</li>", "<li>{{ line }}</li>{% if loop.last %}<li>!</li>{% endif %}"),
        ("<ul>", "<ul><li>{{ half.why.lines | length }}</li>"),
    ],
)
def test_a_template_that_does_more_with_a_readers_words_than_show_them_is_written_anew(old: str, new: str) -> None:
    changed = own_templates()["mail.html.j2"].replace(old, new)
    assert changed != own_templates()["mail.html.j2"]
    kept, one = Frames(), replace(LETTER, wording=Wording({}, {"mail.html.j2": changed}))
    assert kept.write(one, HEADERS) == compose(render(one), HEADERS)


@given(st.lists(st.text(alphabet=st.characters(codec="utf-8")).map(lambda text: text + "\n"), max_size=5))
def test_whole_lines_are_encoded_one_by_one(lines: list[str]) -> None:
    assert quoted("".join(lines)) == b"".join(quoted(line) for line in lines)
    assert all(len(line) <= 76 for line in quoted("".join(lines)).split(b"\r\n"))


def test_a_slot_that_is_wrapped_is_wrapped_when_it_is_filled() -> None:
    blank = Blank("a " + wrap(Slot("x"), "- ", "  ") + "\nb\n")
    long = "ordet " * 20
    assert blank.filled({"x": long}) == quoted("a " + wrap(long, "- ", "  ") + "\nb\n")
    assert Blank("<" + Slot("y", many=True) + ">\n").filled({"y": ["1", "2"]}) == quoted("<1>\n<2>\n")
    assert Blank("<" + Slot("y", many=True) + ">\n").filled({"y": []}) == b""


def test_links_of_a_frame_are_not_kept_for_the_next_reader() -> None:
    kept = Frames()
    first = kept.write(LETTER, HEADERS)
    other = Links("https://dialog.example/i/B", "https://dialog.example/avsluta/B", *frames._shared(LETTER.links))
    second = kept.write(replace(LETTER, links=other), replace(HEADERS, unsubscribe_url=other.stop_url))
    assert b"7Kq2" in first
    assert b"7Kq2" not in second
