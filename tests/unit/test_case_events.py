"""Some of the generated case events, valid and broken; `python -m tests.fuzz_cases` takes 100,000."""

from tests.everything import EVERYTHING
from tests.fuzz_cases import run


def test_every_event_ends_as_a_round_in_some_state_or_among_the_dead_letters_with_a_reason() -> None:
    tally = run(20_000 if EVERYTHING else 250, number=7)
    assert tally.defects == {}, tally.shown
    assert sum(tally.outcomes.values()) == tally.events
    assert {"whole", "misplaced", "mutated", "garbled", "envelope", "large"} <= tally.kinds.keys()
    assert {
        "open",
        "held: outside_municipality",
        "dead letter: wrong_shape",
        "dead letter: broken_json",
    } <= tally.outcomes.keys()
