"""Envelope senders that name a message: found again whatever a relay did to their case, and made by nobody else."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.notifier.outcomes.return_path import ReturnPaths

KEY, OLD, OTHER = b"k" * 32, b"o" * 32, b"x" * 32
PATHS = ReturnPaths("studs@kommun.example", [KEY])
NUMBERS = st.integers(0, 2**64 - 1)


@given(NUMBERS)
def test_a_return_path_leads_back_to_its_message(number: int) -> None:
    path = PATHS.of(number)
    assert PATHS.number_in(path) == number
    assert PATHS.number_in(f"Studs <{path.upper()}>") == number


@given(NUMBERS)
def test_it_is_an_address_that_every_relay_takes(number: int) -> None:
    assert re.fullmatch(r"studs\+[a-z2-7.]{27}@kommun\.example", PATHS.of(number))  # RFC 5321 §4.5.3.1.1: 64 octets


@given(NUMBERS)
def test_what_an_older_key_made_is_known_and_what_a_strangers_made_is_not(number: int) -> None:
    turned = ReturnPaths("studs@kommun.example", [KEY, OLD])
    assert turned.number_in(ReturnPaths("studs@kommun.example", [OLD]).of(number)) == number
    assert turned.of(number) == PATHS.of(number)
    assert turned.number_in(ReturnPaths("studs@kommun.example", [OTHER]).of(number)) is None


@given(NUMBERS, st.integers(0, 24), st.sampled_from("abcdefghijklmnopqrstuvwxyz234567"))
def test_no_character_of_the_number_or_the_proof_can_be_changed(number: int, place: int, letter: str) -> None:
    path = PATHS.of(number)
    at = len("studs+") + place + (1 if place >= 13 else 0)
    if place == 12 or path[at] == letter:  # the thirteenth has one spare bit
        return
    assert PATHS.number_in(path[:at] + letter + path[at + 1 :]) is None


@pytest.mark.parametrize("address", ["", "studs@kommun.example", "studs+a.b@kommun.example", "<>", "+" * 400 + "@"])
def test_anything_else_names_no_message(address: str) -> None:
    assert PATHS.number_in(address) is None
