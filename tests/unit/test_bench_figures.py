"""The arithmetic behind the benches' figures. Nothing is timed here."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.figures import Span, percentile, rate, ratio, stage

VALUES = st.lists(st.floats(0, 1e6), min_size=1, max_size=200)


def test_a_percentile_is_by_nearest_rank() -> None:
    hundred = [float(i) for i in range(100, 0, -1)]
    assert [percentile(hundred, share) for share in (0.5, 0.95, 0.99, 1.0)] == [50, 95, 99, 100]
    assert [percentile([15.0, 20.0, 35.0, 40.0, 50.0], share) for share in (0.05, 0.3, 0.4, 0.5)] == [15, 20, 20, 35]


@given(VALUES, st.sampled_from([0.5, 0.95, 0.99]))
def test_a_percentile_was_really_seen_and_the_share_does_not_exceed_it(values: list[float], share: float) -> None:
    found = percentile(values, share)
    assert found in values
    assert sum(value <= found for value in values) >= share * len(values)
    assert sum(value < found for value in values) < share * len(values)


def test_a_rate_counts_from_the_first_in_to_the_last_out() -> None:
    assert rate([Span(10.0, 11.0), Span(10.5, 14.0), Span(12.0, 13.0)]) == 0.75
    assert rate([Span(1.0, 1.0)]) == math.inf


def test_a_stage_counts_its_events_and_tells_milliseconds() -> None:
    told = stage([Span(0.0, 0.010), Span(0.0, 0.020), Span(0.1, 0.130), Span(0.1, 2.0)])
    assert told == {"events": 4, "per_s": 2.0, "p50": 20.0, "p95": 1900.0, "p99": 1900.0}


def test_a_ratio_is_the_value_over_the_reference_to_three_digits_and_never_over_nothing() -> None:
    assert (ratio(50, 200), ratio(1, 3), ratio(123456, 1)) == (0.25, 0.333, 123000)
    with pytest.raises(ValueError, match="nothing to compare"):
        ratio(1, 0)


def test_a_stage_that_nothing_came_through_is_no_zero_but_an_error() -> None:
    with pytest.raises(ValueError, match="nothing came through"):
        percentile([], 0.5)
