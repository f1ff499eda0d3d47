"""Link tokens: short, ours alone, for one purpose."""

from hypothesis import given
from hypothesis import strategies as st

from services.runtime.link_tokens import Purpose, mint, verify

KEY, OLD = b"k" * 32, b"o" * 32
ANSWER = Purpose.ANSWER


@given(st.integers(0, 2**63 - 1))
def test_a_token_is_22_characters_and_gives_its_number_back(number: int) -> None:
    token = mint(number, KEY, ANSWER)
    assert len(token) == 22
    assert verify(token, [KEY], ANSWER) == number


def test_an_old_key_still_verifies_and_another_does_not() -> None:
    assert verify(mint(7, OLD, ANSWER), [KEY, OLD], ANSWER) == 7
    assert verify(mint(7, OLD, ANSWER), [KEY], ANSWER) is None


@given(st.text(max_size=30))
def test_no_other_text_is_a_token(text: str) -> None:
    assert verify(text, [KEY], ANSWER) is None


@given(st.integers(0, 21), st.sampled_from("ABCxyz019-_"))
def test_no_character_of_a_token_can_be_changed(place: int, character: str) -> None:
    token = mint(123456789, KEY, ANSWER)
    changed = token[:place] + character + token[place + 1 :]
    assert verify(changed, [KEY], ANSWER) == (123456789 if changed == token else None)


def test_an_answer_link_does_not_open_the_stop_page_nor_the_other_way() -> None:
    assert verify(mint(7, KEY, Purpose.ANSWER), [KEY], Purpose.STOP) is None
    assert verify(mint(7, KEY, Purpose.STOP), [KEY], Purpose.ANSWER) is None
