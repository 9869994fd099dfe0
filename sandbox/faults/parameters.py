"""Parameters of faults: their types, bounds and descriptions."""

from dataclasses import dataclass
from typing import Final

#: Maximum of a fault's time, in seconds.
SECONDS_MAX: Final = 3600


@dataclass(frozen=True)
class Parameter:
    """One parameter of a fault: its type, and its bounds or options."""

    kind: type
    least: float = 0
    most: float = 0
    default: object = None
    required: bool = False
    options: tuple[str, ...] = ()

    def accepts(self, value: object) -> bool:
        """Whether the value has the type and is within the bounds."""
        if self.kind is object:
            return True
        if self.kind is str:
            return isinstance(value, str) and (not self.options or value in self.options)
        number = isinstance(value, int if self.kind is int else int | float)
        return (
            number and not isinstance(value, bool) and self.least <= float(str(value)) <= self.most
        )

    def describe(self) -> str:
        """Describe the valid values."""
        if self.options:
            return f"one of {', '.join(self.options)}"
        names: dict[type, str] = {object: "any JSON", str: "text", int: "whole number"}
        name = names.get(self.kind, "number")
        return name if self.kind in {object, str} else f"{name} {self.least} to {self.most}"


#: A required time in seconds.
SECONDS: Final = Parameter(float, 0, SECONDS_MAX, required=True)
#: A required HTTP status.
STATUS: Final = Parameter(int, 400, 599, required=True)


def share(most: float) -> Parameter:
    """Return an optional fraction, one half by default."""
    return Parameter(float, 0, most, default=0.5)


def text(default: str) -> Parameter:
    """Return an optional text."""
    return Parameter(str, default=default)
