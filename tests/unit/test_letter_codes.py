"""The code in a letter: short to type, forgiving to read, and not to be guessed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.runtime.letter_codes import NUMBER_BITS, code, opened

KEY, OLD = b"k" * 32, b"o" * 32
numbers = st.integers(0, 2**NUMBER_BITS - 1)


@given(numbers)
def test_a_code_opens_its_number_however_it_is_typed(number: int) -> None:
    made = code(number, KEY)
    assert len(made) == 14
    for typed in (made, made.lower(), made.replace("-", ""), f"  {made.replace('-', ' ')} ", made.replace("0", "o")):
        assert opened(typed, [KEY]) == (number, KEY)
    assert opened(made.replace("1", "l"), [KEY]) == (number, KEY)


@given(numbers, st.integers(0, 11), st.sampled_from("0123456789ABCDEFGHJKMNPQRSTVWXYZ"))
def test_a_code_with_one_other_sign_opens_nothing(number: int, place: int, sign: str) -> None:
    signs = code(number, KEY).replace("-", "")
    typed = signs[:place] + sign + signs[place + 1 :]
    assert opened(typed, [KEY]) in ((number, KEY) if typed == signs else None, None)


@given(numbers)
def test_an_old_key_still_opens_and_a_strange_one_does_not(number: int) -> None:
    assert opened(code(number, OLD), [KEY, OLD]) == (number, OLD)
    assert opened(code(number, OLD), [KEY]) is None


@pytest.mark.parametrize("typed", ["", "7KQ2-MX9V", "7KQ2-MX9V-TFA4-AAAA", "åäö!-MX9V-TFA4", "U" * 12, "1" * 4000])
def test_what_is_no_code_opens_nothing(typed: str) -> None:
    assert opened(typed, [KEY]) is None


def test_a_number_that_is_no_letters_has_no_code() -> None:
    with pytest.raises(ValueError, match="32 bits"):
        code(2**NUMBER_BITS, KEY)
