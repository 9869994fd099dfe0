"""The types of a catalogue entry."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final


class Kind(StrEnum):
    """Type of a parameter's value."""

    TEXT = "text"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    CHOICE = "choice"
    ASPECT_RATIO = "aspect_ratio"
    IMAGE = "image"  # base64, or a URL if `urls` is set
    IMAGES = "images"  # one image, or a list of them
    KEYFRAMES = "keyframes"  # one image, a list of them, or a list of [seconds, image]
    VIDEO = "video"  # an mp4 as base64, or a URL
    BUNDLE = "bundle"  # a draft's cache as base64, or a URL


#: Kinds whose values are files, and may be long: base64 goes to S3 while it arrives. Each with the
#: number of arrays that may be around a file.
FILES: Final[Mapping[Kind, int]] = {
    Kind.IMAGE: 0,
    Kind.IMAGES: 1,
    Kind.KEYFRAMES: 2,
    Kind.VIDEO: 0,
    Kind.BUNDLE: 0,
}

#: The provider's limits of an input image (BFL API guide).
LARGEST_IMAGE_BYTES: Final = 20 * 1024 * 1024
LARGEST_IMAGE_PIXELS: Final = 20_000_000
#: The same of a video (BFL API guide), and a bound of ours for a bundle, whose limit is not known.
_LARGEST_VIDEO_BYTES: Final = 50 * 1024 * 1024
_LARGEST_BUNDLE_BYTES: Final = 128 * 1024 * 1024
_LARGEST_BYTES: Final[Mapping[Kind, int]] = {
    Kind.VIDEO: _LARGEST_VIDEO_BYTES,
    Kind.BUNDLE: _LARGEST_BUNDLE_BYTES,
}


#: Role of a draft's bundle, which is needed to render the full video.
BUNDLE_ROLE: Final = "draft_cache"


class Media(StrEnum):
    """What a model makes; decides which formats are stored, and which worker places it uses."""

    IMAGE = "image"
    VIDEO = "video"


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
    #: Most items of a list of images or keyframes.
    most: int = 1
    #: The parameter with a video's seconds, which three or more keyframes without seconds need.
    duration: str = ""
    #: While a switch is on: the values that other parameters may have, if they are sent.
    only_with: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    #: While a switch is on: the role of a further file that the result then has.
    adds: str = ""
    #: A word that may be sent instead of a number, such as `auto`.
    word: str = ""
    #: Shortest side of an image in pixels; None: no documented limit.
    shortest_side: int | None = None
    #: Most pixels of an image; None: `LARGEST_IMAGE_PIXELS`.
    most_pixels: int | None = None
    #: Largest file in bytes; None: the provider's usual limit.
    most_bytes: int | None = None
    #: Longest video in seconds; None: no documented limit.
    most_seconds: float | None = None
    #: How the provider's documents contradict each other, if they do. The widest bounds are used,
    #: unless narrower ones were seen to be enforced.
    disagreement: str = ""

    @property
    def largest_file(self) -> int:
        """Most bytes of a file that the parameter holds."""
        return self.most_bytes or _LARGEST_BYTES.get(self.kind, LARGEST_IMAGE_BYTES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """What a model takes if its `variant_field` has one of these values."""

    #: The field's value, then its aliases.
    names: tuple[str, ...]
    parameters: Mapping[str, Parameter]


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """One endpoint of the provider."""

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
    #: The required field that selects a variant (`mode`); empty: there are no variants. A body may
    #: hold that field and the parameters of its variant; the model's own are empty.
    variant_field: str = ""
    variants: tuple[Variant, ...] = ()
    #: What its result is.
    media: Media = Media.IMAGE
    #: Seconds for which a link to its result lives, if the link does not say so itself; None: the
    #: setting `result_lifetime_seconds`.
    link_seconds: float | None = None
    #: Seconds from submit to the first poll, and then between polls; None: the settings' own.
    first_poll_seconds: float | None = None
    poll_seconds: float | None = None
    #: Seconds after which a job of it times out; None: the setting `job_deadline_seconds`.
    deadline_seconds: float | None = None
    #: Active tasks that an account allows of it (and of the models that share its lane), if the
    #: account's setting names no number; None: no limit of its own.
    active_limit: int | None = None

    @property
    def path(self) -> str:
        """The endpoint's path below the provider's base URL."""
        return f"/v1/{self.name}"

    @property
    def forms(self) -> tuple[Mapping[str, Parameter], ...]:
        """The parameters of each variant; its own if there are no variants."""
        return tuple(one.parameters for one in self.variants) or (self.parameters,)

    def variant_of(self, given: Any) -> Variant | None:
        """Return the variant that an input selects; None if it selects none."""
        name = given.get(self.variant_field) if isinstance(given, dict) else None
        return next((one for one in self.variants if name in one.names), None)

    def parameters_of(self, given: Any) -> Mapping[str, Parameter]:
        """Return the parameters that an input may have, apart from the variant's field."""
        variant = self.variant_of(given)
        return variant.parameters if variant else self.parameters

    def further_roles(self, given: Any) -> tuple[str, ...]:
        """Return the roles of the files that the result of an input has beside its sample."""
        parameters = self.parameters_of(given).items()
        return tuple(one.adds for name, one in parameters if one.adds and given.get(name) is True)


#: Widest and tallest aspect ratio (BFL OpenAPI, aspect_ratio: "between 21:9 and 9:21").
WIDEST_RATIO: Final = 21 / 9
