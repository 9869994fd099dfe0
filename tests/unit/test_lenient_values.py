"""The drop-in API reads numbers and booleans as the provider reads them."""

from typing import Any

import pytest

from core.provider.catalogue import MODELS
from service.intake.lenient_values import converted, with_whole_numbers

PARAMETERS = MODELS["flux-2-flex"].parameters  # steps: whole, guidance: a number


@pytest.mark.parametrize(
    ("name", "value", "read"),
    [
        ("width", "1024", 1024),
        ("width", " 1024 ", 1024),
        ("width", "1024.0", 1024),
        ("width", 1024.0, 1024),
        ("seed", "-7", -7),
        ("seed", "+7", 7),
        ("seed", True, 1),
        ("guidance", "4.5", 4.5),
        ("guidance", "4", 4.0),
        ("guidance", "45e-1", 4.5),
        ("guidance", 4, 4),
        ("prompt_upsampling", "true", True),
        ("prompt_upsampling", "No", False),
        ("prompt_upsampling", "1", True),
        ("prompt_upsampling", 0, False),
        ("prompt_upsampling", 1.0, True),
    ],
)
def test_what_the_provider_reads(name: str, value: Any, read: Any) -> None:
    """A text or a number that stands for the right type becomes one."""
    found = converted(PARAMETERS, {name: value})[name]

    assert (found, type(found)) == (read, type(read))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("width", "1024.5"),
        ("width", 1024.5),
        ("width", ""),
        ("width", "0x400"),
        ("width", "1" * 65),
        ("width", "\u0661"),
        ("width", []),
        ("width", None),
        ("guidance", "inf"),
        ("guidance", "1e999"),
        ("guidance", "nan"),
        ("guidance", {}),
        ("prompt_upsampling", "maybe"),
        ("prompt_upsampling", 2),
        ("prompt_upsampling", []),
        ("prompt", 5),
        ("output_format", "PNG"),
        ("unknown", "1"),
    ],
)
def test_what_it_does_not_read(name: str, value: Any) -> None:
    """All else is left as it is, for the usual checks to refuse."""
    assert converted(PARAMETERS, {name: value}) == {name: value}


def test_whole_numbers_of_the_native_api() -> None:
    """A whole number written with a fraction is an integer, and nothing else is changed."""
    given = {"width": 1024.0, "height": 64.5, "seed": "7", "guidance": 4.0, "x": 1.0}
    read = with_whole_numbers(PARAMETERS, given)

    assert read == given
    assert [type(value) for value in read.values()] == [int, float, str, float, float]
    assert with_whole_numbers(PARAMETERS, [1.0]) == [1.0]
