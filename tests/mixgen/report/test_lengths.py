"""Lengths have a unit in which a short one is not zero."""

import pytest

from mixgen.report.findings import by_the_clock, in_words


@pytest.mark.parametrize(
    ("hours", "text"),
    [
        (0.0, "0:00 min"),
        (0.0006, "0:02 min"),  # 2 s
        (0.0333, "2:00 min"),
        (0.0999, "6:00 min"),
        (0.1, "0.10 h"),
        (1234.5, "1,234.50 h"),
    ],
)
def test_short_lengths_are_in_minutes_and_long_ones_in_hours(hours: float, text: str) -> None:
    assert in_words(hours) == text


def test_minutes_go_on_after_an_hour() -> None:
    assert by_the_clock(1.5) == "90:00"
