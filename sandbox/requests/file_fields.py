"""Fields whose values are files: images, videos and draft bundles, as base64 or a URL."""

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from sandbox.requests.fields import Field, InvalidValueError, Number, Text

Place = tuple[str | int, ...]

#: Maximum second of a keyframe: the length of the longest video.
SECOND_MAX: Final = 20


@dataclass(frozen=True)
class InputFile:
    """One file of a request."""

    #: Where it stands in the body, such as `("images", 3)`.
    place: Place
    #: Its base64 or URL.
    text: str
    field: "FileField"
    #: The second of the video at which a keyframe is shown, if it was sent.
    second: float | None = None

    @property
    def name(self) -> str:
        """Its place as text, such as `images.3`."""
        return ".".join(str(part) for part in self.place)

    @property
    def is_url(self) -> bool:
        """Whether it is a URL rather than base64."""
        return self.text.startswith(("http://", "https://"))


@dataclass(frozen=True, kw_only=True)
class FileField(Field):
    """A field that holds files, whose content is checked later. Its value is their number."""

    #: Whether a file may also be an http(s) URL.
    urls: bool = True

    def read(self, value: object) -> int:
        """Return the number of files.

        Raises:
            InvalidValueError: The value does not hold files as it should.
        """
        return len(list(self.files((), value)))

    @abstractmethod
    def files(self, place: Place, value: object) -> Iterator[InputFile]:
        """Yield the files of a value that stands at this place.

        Raises:
            InvalidValueError: The value does not hold files as it should.
        """


@dataclass(frozen=True, kw_only=True)
class OneFile(FileField):
    """A field that holds one file."""

    def files(self, place: Place, value: object) -> Iterator[InputFile]:
        """Yield the file."""
        yield InputFile(place, Text().read(value), self)


@dataclass(frozen=True, kw_only=True)
class Video(OneFile):
    """One mp4."""


@dataclass(frozen=True, kw_only=True)
class Bundle(OneFile):
    """The bundle of a draft."""


@dataclass(frozen=True, kw_only=True)
class Picture(OneFile):
    """One image."""

    #: Minimum of its sides, and maximum of their product, in pixels.
    shortest_side: int = 1
    most_pixels: int = 20_000_000


@dataclass(frozen=True, kw_only=True)
class Pictures(Picture):
    """One image, or a list of at most `most`."""

    most: int

    def files(self, place: Place, value: object) -> Iterator[InputFile]:
        """Yield the images in their order."""
        if not isinstance(value, list):
            yield from super().files(place, value)
            return
        self.check_length(value)
        for number, item in enumerate(value):
            yield from super().files((*place, number), item)

    def check_length(self, items: list[object]) -> None:
        """Check the number of images.

        Raises:
            InvalidValueError: There are none, or too many.
        """
        if not items:
            message = "List should have at least 1 item after validation, not 0"
            raise InvalidValueError("too_short", message, min_length=1, actual_length=0)
        if (count := len(items)) > self.most:
            message = f"List should have at most {self.most} items after validation, not {count}"
            raise InvalidValueError("too_long", message, max_length=self.most, actual_length=count)


@dataclass(frozen=True, kw_only=True)
class Keyframes(Pictures):
    """One image, a list of images, or a list of `[second, image]` in ascending order."""

    def read(self, value: object) -> int:
        """Return the number of images.

        Raises:
            InvalidValueError: As `files`, or if the seconds do not ascend.
        """
        frames = list(self.files((), value))
        for earlier, later in pairwise(frame.second for frame in frames):
            if earlier is not None and later is not None and later <= earlier:
                message = "Value error, Keyframe seconds must be in ascending order"
                raise InvalidValueError("value_error", message)
        return len(frames)

    def files(self, place: Place, value: object) -> Iterator[InputFile]:
        """Yield the images in their order."""
        if not isinstance(value, list) or not any(isinstance(item, list) for item in value):
            yield from super().files(place, value)
            return
        self.check_length(value)
        for number, item in enumerate(value):
            if not isinstance(item, list) or len(item) != 2:  # noqa: PLR2004 - a pair
                message = "Value error, Keyframes must be images, or all [second, image] pairs"
                raise InvalidValueError("value_error", message)
            second = Number(least=0, most=SECOND_MAX).read(item[0])
            yield InputFile((*place, number, 1), Text().read(item[1]), self, second)
