"""The types of fields in a request body, with their rules and error messages.

The messages read like pydantic's, because the provider is a FastAPI service and clients match on
`type` and `loc`.
"""

import math
import re
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

FieldValue = str | int | float | bool | None

TRUE_WORDS: Final = frozenset({"1", "true", "t", "yes", "y", "on"})
FALSE_WORDS: Final = frozenset({"0", "false", "f", "no", "n", "off"})
#: Maximum length of a webhook URL in characters (BFL OpenAPI, `webhook_url`).
URL_LENGTH_MAX: Final = 2083
#: Widest ratio of the Kontext models; the tallest is its inverse (BFL OpenAPI, `aspect_ratio`).
WIDEST_RATIO: Final = (21, 9)


class InvalidValueError(ValueError):
    """A value breaks its field's rules; the parts are those of a pydantic error."""

    def __init__(self, kind: str, message: str, **context: object) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.context = context


@dataclass(frozen=True, kw_only=True)
class Field(ABC):
    """One field of a request body. `nullable` fields treat null like a missing value."""

    default: FieldValue = None
    required: bool = False
    nullable: bool = True

    @abstractmethod
    def read(self, value: object) -> FieldValue:
        """Return the value as the API understands it.

        Raises:
            InvalidValueError: The value breaks the field's rules.
        """


@dataclass(frozen=True, kw_only=True)
class Text(Field):
    """Any Unicode text, its length in characters."""

    shortest: int = 0
    longest: float = math.inf

    def read(self, value: object) -> str:
        """Return the text unchanged."""
        if not isinstance(value, str):
            raise InvalidValueError("string_type", "Input should be a valid string")
        try:
            value.encode()
        except UnicodeEncodeError:
            message = "Input should be a valid string, unable to parse raw data as a unicode string"
            raise InvalidValueError("string_unicode", message) from None
        if len(value) < self.shortest:
            raise InvalidValueError(
                "string_too_short",
                f"String should have at least {_amount(self.shortest)}",
                min_length=self.shortest,
            )
        if len(value) > self.longest:
            raise InvalidValueError(
                "string_too_long",
                f"String should have at most {_amount(int(self.longest))}",
                max_length=self.longest,
            )
        return value


@dataclass(frozen=True, kw_only=True)
class Integer(Field):
    """A whole number, also as `"42"` or `42.0`."""

    least: float = -math.inf
    most: float = math.inf
    multiple_of: int = 1

    def read(self, value: object) -> int:
        """Return the number."""
        number = _whole(value)
        if number % self.multiple_of:
            raise InvalidValueError(
                "multiple_of",
                f"Input should be a multiple of {self.multiple_of}",
                multiple_of=self.multiple_of,
            )
        if number < self.least:
            message = f"Input should be greater than or equal to {self.least}"
            raise InvalidValueError("greater_than_equal", message, ge=self.least)
        if number > self.most:
            message = f"Input should be less than or equal to {self.most}"
            raise InvalidValueError("less_than_equal", message, le=self.most)
        return number


@dataclass(frozen=True, kw_only=True)
class Number(Field):
    """A number, also as `"2.5"`."""

    least: float = -math.inf
    most: float = math.inf

    def read(self, value: object) -> float:
        """Return the number."""
        number = _float(value)
        # Written so that NaN, which compares false with everything, fails too.
        if not number >= self.least:
            message = f"Input should be greater than or equal to {self.least:g}"
            raise InvalidValueError("greater_than_equal", message, ge=self.least)
        if not number <= self.most:
            message = f"Input should be less than or equal to {self.most:g}"
            raise InvalidValueError("less_than_equal", message, le=self.most)
        return number


@dataclass(frozen=True, kw_only=True)
class Flag(Field):
    """A boolean, also as one of the usual words, 0 or 1."""

    def read(self, value: object) -> bool:
        """Return the boolean."""
        if not isinstance(value, bool | int | float | str):
            raise InvalidValueError("bool_type", "Input should be a valid boolean")
        word = str(value).lower().removesuffix(".0")
        if word not in TRUE_WORDS | FALSE_WORDS:
            message = "Input should be a valid boolean, unable to interpret input"
            raise InvalidValueError("bool_parsing", message)
        return word in TRUE_WORDS


@dataclass(frozen=True, kw_only=True)
class Choice(Field):
    """One of a fixed set of words."""

    options: tuple[str, ...]

    def read(self, value: object) -> str:
        """Return the word."""
        if not isinstance(value, str) or value not in self.options:
            *firsts, last = (repr(option) for option in self.options)
            expected = f"{', '.join(firsts)} or {last}"
            raise InvalidValueError("enum", f"Input should be {expected}", expected=expected)
        return value


@dataclass(frozen=True, kw_only=True)
class WebAddress(Field):
    """An absolute http or https URL."""

    text: Text = field(default_factory=lambda: Text(shortest=1, longest=URL_LENGTH_MAX))

    def read(self, value: object) -> str:
        """Return the URL unchanged."""
        if not isinstance(value, str):
            raise InvalidValueError("url_type", "URL input should be a string or URL")
        text = self.text.read(value)
        try:
            parts = urlsplit(text)
            host = parts.hostname and (parts.port is None or parts.port)
        except ValueError as error:
            message = f"Input should be a valid URL, {error}"
            raise InvalidValueError("url_parsing", message, error=str(error)) from None
        if not parts.scheme:
            reason = "relative URL without a base"
            message = f"Input should be a valid URL, {reason}"
            raise InvalidValueError("url_parsing", message, error=reason)
        if parts.scheme not in {"http", "https"}:
            message = "URL scheme should be 'http' or 'https'"
            raise InvalidValueError("url_scheme", message, expected_schemes="'http' or 'https'")
        if not host:
            message = "Input should be a valid URL, empty host"
            raise InvalidValueError("url_parsing", message, error="empty host")
        return text


@dataclass(frozen=True, kw_only=True)
class Ratio(Field):
    """Width to height as "W:H", between 21:9 and 9:21."""

    def read(self, value: object) -> str:
        """Return the ratio unchanged."""
        text = Text().read(value)
        match = re.fullmatch(r"([0-9]{1,5}):([0-9]{1,5})", text)
        width, height = (int(part) for part in match.groups()) if match else (0, 0)
        wide, narrow = WIDEST_RATIO
        within = width * narrow <= wide * height and height * narrow <= wide * width
        if not (width and height and within):
            raise InvalidValueError(
                "value_error",
                f"Value error, Aspect ratio must be between {wide}:{narrow} and {narrow}:{wide}",
            )
        return text


@dataclass(frozen=True, kw_only=True)
class IntegerOrWord(Field):
    """A whole number, or a word instead of it."""

    number: Integer
    word: str

    def read(self, value: object) -> int | str:
        """Return the number or the word."""
        return self.word if value == self.word else self.number.read(value)


def _whole(value: object) -> int:
    match value:
        case bool() | int():
            return int(value)
        case float() if value.is_integer():
            return int(value)
        case float():
            message = "Input should be a valid integer, got a number with a fractional part"
            raise InvalidValueError("int_from_float", message)
        case str():
            if re.fullmatch(r"\s*[+-]?[0-9]{1,4000}(\.0*)?\s*", value):
                return int(value.partition(".")[0])
            message = "Input should be a valid integer, unable to parse string as an integer"
            raise InvalidValueError("int_parsing", message)
        case _:
            raise InvalidValueError("int_type", "Input should be a valid integer")


def _float(value: object) -> float:
    if not isinstance(value, bool | int | float | str):
        raise InvalidValueError("float_type", "Input should be a valid number")
    try:
        return float(value)
    except OverflowError:
        return math.inf if int(value) > 0 else -math.inf
    except ValueError:
        message = "Input should be a valid number, unable to parse string as a number"
        raise InvalidValueError("float_parsing", message) from None


def _amount(length: int) -> str:
    return f"{length} character{'' if length == 1 else 's'}"
