"""Lengths stay above zero in words, however little sound there is."""

import pytest

from mixgen.report.findings import by_the_clock, in_words


@pytest.mark.parametrize(
    ("hours", "words"),
    [
        (0.0, "0:00 min"),
        (0.0006, "0:02 min"),  # 2 s
        (0.0333, "2:00 min"),
        (0.0999, "6:00 min"),
        (0.1, "0.10 h"),
        (1234.5, "1,234.50 h"),
    ],
)
def test_unit_suits_the_length(hours: float, words: str) -> None:
    assert in_words(hours) == words


def test_clock_goes_on_after_an_hour() -> None:
    assert by_the_clock(1.5) == "90:00"
