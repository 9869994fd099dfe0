"""How long another side asks to be left alone, by `Retry-After`."""

import pytest

from core.provider.retry_after import retry_after_seconds

#: Sun, 06 Nov 1994 08:49:37 GMT, the date of RFC 9110's examples.
_MOMENT = 784_111_777.0


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("120", 120.0), (" 7 ", 7.0), ("0", 0.0), ("9" * 5000, 999_999_999_999.0)],
)
def test_a_number_is_seconds(text: str, seconds: float) -> None:
    """Whole seconds are taken as they stand, however many digits come."""
    assert retry_after_seconds(text, _MOMENT) == seconds


@pytest.mark.parametrize(
    "text",
    [
        "Sun, 06 Nov 1994 08:49:37 GMT",
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994",
        "Sun, 06 Nov 1994 09:49:37 +0100",
        "sun, 06 nov 1994 08:49:37 gmt",
        "Sun, 06 Nov 1994 08:49:37 -0000",
    ],
)
def test_a_date_is_held_against_our_clock(text: str) -> None:
    """Each form that RFC 9110 names is a moment, and what is left until then is returned."""
    assert retry_after_seconds(text, _MOMENT - 90.5) == 90.5


def test_a_date_in_the_past_asks_for_no_wait() -> None:
    """What is over is over: 0, never less."""
    assert retry_after_seconds("Sun, 06 Nov 1994 08:49:37 GMT", _MOMENT + 10) == 0.0


@pytest.mark.parametrize(
    "text",
    [
        "", "soon", "-5", "1.5", "1e3", "٣", "12 s", "nan", "Sun, 99 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 99:49:37 GMT", "Sun, 06 Nov 99999 08:49:37 GMT", ",", "GMT",
        "Sun, 06 Nov 1994 08:49:37 +99999999999", "\x00", "9" * 5000 + " Nov 1994 08:49:37",
    ],
)  # fmt: skip
def test_anything_else_says_nothing(text: str) -> None:
    """What is no number and no date is None, and breaks nothing."""
    assert retry_after_seconds(text, _MOMENT) is None
