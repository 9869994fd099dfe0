"""The types of a catalogue entry."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Kind(StrEnum):
    """Type of a parameter's value."""

    TEXT = "text"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    CHOICE = "choice"
    ASPECT_RATIO = "aspect_ratio"
    IMAGE = "image"  # base64, or a URL if `urls` is set


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One parameter of a model and its bounds."""

    kind: Kind
    required: bool = False
    #: Smallest number, or fewest characters of a text.
    minimum: float | None = None
    maximum: float | None = None
    multiple_of: int | None = None
    choices: tuple[str, ...] = ()
    #: Whether an image may also be an http(s) URL, which the provider fetches.
    urls: bool = True
    #: Longest text in characters; None: no documented limit.
    longest: int | None = None
    #: How the provider's documents contradict each other, if they do. The widest bounds are used,
    #: unless narrower ones were seen to be enforced.
    disagreement: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """One image endpoint of the provider."""

    name: str
    #: The document these facts come from.
    source: str
    parameters: Mapping[str, Parameter]
    #: Whether it accepts `webhook_url` and `webhook_secret`; otherwise its result is polled.
    webhook: bool = True
    #: Whether the submit response states the cost; otherwise the result does, or nothing.
    cost_on_submit: bool = False
    #: Most pixels of `width` times `height`; None: no known limit.
    most_pixels: int | None = None
    #: The model whose limit of active tasks it shares; empty: its own limit, if any.
    lane: str = ""

    @property
    def path(self) -> str:
        """The endpoint's path below the provider's base URL."""
        return f"/v1/{self.name}"


#: Widest and tallest aspect ratio (BFL OpenAPI, aspect_ratio: "between 21:9 and 9:21").
WIDEST_RATIO: Final = 21 / 9

#: The provider's limits of an input image (BFL API guide).
LARGEST_IMAGE_BYTES: Final = 20 * 1024 * 1024
LARGEST_IMAGE_PIXELS: Final = 20_000_000
