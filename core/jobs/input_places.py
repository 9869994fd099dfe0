"""Places of files in a job's input: a parameter's name, then positions in arrays.

`video` is a parameter's value, `images.3` the fourth item of one, `keyframes.1.1` the second item
of the second item.
"""

from collections.abc import Mapping, Sequence
from typing import Any


def with_values(given: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return an input with values put at their places.

    Args:
        given: The input; its arrays are long enough.
        values: What to put, by place.
    """
    whole = dict(given)
    for place, value in values.items():
        name, *positions = place.split(".")
        whole[name] = _with_value(whole.get(name), [int(one) for one in positions], value)
    return whole


def _with_value(outer: Any, positions: Sequence[int], value: Any) -> Any:
    if not positions:
        return value
    first, *others = positions
    return [
        _with_value(inner, others, value) if at == first else inner
        for at, inner in enumerate(outer)
    ]
