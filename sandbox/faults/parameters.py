"""Parameters of faults: what each may be, and how that is said."""

from dataclasses import dataclass
from typing import Final

#: Longest time in seconds that a fault may ask for.
SECONDS_MAX: Final = 3600


@dataclass(frozen=True)
class Parameter:
    """One parameter of a fault: its type, and the least and most it may be, or its options."""

    kind: type
    least: float = 0
    most: float = 0
    default: object = None
    required: bool = False
    options: tuple[str, ...] = ()

    def accepts(self, value: object) -> bool:
        """Whether the value is of the type and within the bounds."""
        if self.kind is object:
            return True
        if self.kind is str:
            return isinstance(value, str) and (not self.options or value in self.options)
        number = isinstance(value, int if self.kind is int else int | float)
        return (
            number and not isinstance(value, bool) and self.least <= float(str(value)) <= self.most
        )

    def describe(self) -> str:
        """Say what the parameter may be."""
        if self.options:
            return f"one of {', '.join(self.options)}"
        names: dict[type, str] = {object: "any JSON", str: "text", int: "whole number"}
        name = names.get(self.kind, "number")
        return name if self.kind in {object, str} else f"{name} {self.least} to {self.most}"


#: A time that must be given.
SECONDS: Final = Parameter(float, 0, SECONDS_MAX, required=True)
#: An HTTP status that must be given.
STATUS: Final = Parameter(int, 400, 599, required=True)


def share(most: float) -> Parameter:
    """Return a share of the whole, a half where none is given."""
    return Parameter(float, 0, most, default=0.5)


def text(default: str) -> Parameter:
    """Return a text that need not be given."""
    return Parameter(str, default=default)
