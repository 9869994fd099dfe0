"""What an entry of the catalogue holds."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Kind(StrEnum):
    """What a parameter's value may be."""

    TEXT = "text"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    CHOICE = "choice"
    ASPECT_RATIO = "aspect_ratio"
    IMAGE = "image"  # base64, or a URL where `urls` says so


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One parameter of a model and its bounds."""

    kind: Kind
    required: bool = False
    #: Of a number its least value, of a text its fewest characters.
    minimum: float | None = None
    maximum: float | None = None
    multiple_of: int | None = None
    choices: tuple[str, ...] = ()
    #: An image may also be given as an http(s) URL, which the provider fetches.
    urls: bool = True
    #: Longest text in characters; None: the provider states no limit.
    longest: int | None = None
    #: Where the provider's documents say different things: what they say. The widest stands here,
    #: unless a narrower one was seen to be enforced.
    disagreement: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """One endpoint of the provider that makes an image."""

    name: str
    #: Which document states these facts.
    source: str
    parameters: Mapping[str, Parameter]
    #: Takes `webhook_url` and `webhook_secret`; where it does not, its result is polled.
    webhook: bool = True
    #: The answer to a submit tells the cost; else it is told with the result, or not at all.
    cost_on_submit: bool = False
    #: Most pixels of the image that is asked for by `width` and `height`; None: no limit is known.
    most_pixels: int | None = None
    #: The model whose limit of active tasks it shares; empty: its own, where it has one.
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
