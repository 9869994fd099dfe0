"""Classifies S3 errors by their consequence; messages are bounded and contain no secrets."""

import contextlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Self
from xml.etree.ElementTree import ParseError, XMLPullParser

from botocore.exceptions import BotoCoreError, ClientError
from urllib3.exceptions import HTTPError

from core.errors import StorageUnavailable

#: Codes about the key alone (S3 error responses, and MinIO's for keys that its file system cannot
#: hold).
_OF_THE_KEY: Final = {
    *("KeyTooLongError", "InvalidURI"),
    *("XMinioInvalidObjectName", "XMinioParentIsObject", "XMinioObjectExistsAsDirectory"),
}
#: Codes about any part of the request; the named argument decides.
_OF_ANYTHING: Final = {"InvalidArgument", "InvalidRequest", "NotImplemented", "501"}
_NAMES_THE_KEY: Final = re.compile(
    r"\b(object|file)[ -]?(key|name|path)|\bkey (name|length|is too long|too long)", re.IGNORECASE
)
_CONFLICT, _PRECONDITION_FAILED, _NOT_IMPLEMENTED = 409, 412, 501
_LONGEST_MESSAGE: Final = 200  # characters
_LONGEST_CODE: Final = 60  # characters
#: Patterns that may grant access: URLs, access keys and signatures.
_HIDDEN: Final = re.compile(
    r"\w+://\S+|\b[A-Z]{4}[0-9A-Z]{16}\b|\b[0-9a-fA-F]{64}\b|\b(x-amz-\w+|signature|credential)=\S+"
    r"|\b\d{1,3}(\.\d{1,3}){3}(:\d+)?\b|\[[0-9a-f:.]+\](:\d+)?|\baccess ?key( ?id)?\W{1,3}\w{8,}",
    re.IGNORECASE,
)


class Feature(StrEnum):
    """Features of a PUT that some S3-like servers reject or ignore."""

    CONDITION = "If-None-Match"
    CHECKSUM = "x-amz-checksum-sha256"


class Refused(StorageUnavailable):
    """S3 rejected a request.

    Args:
        message: S3's message.
        status: The HTTP status.
    """

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class RequestRefused(Refused):
    """S3 rejects the key, always; other keys are not affected."""


class ConditionFailed(Refused):
    """The key is taken."""


class ConditionConflict(Refused):
    """There are concurrent writes to the key; our object was not stored."""


class ObjectNotFound(Refused):
    """There is no such object."""


class Archived(Refused):
    """The object is in an archive storage class such as Glacier and cannot be read."""


class HeaderRefused(Refused):
    """The server does not support a requested feature.

    Args:
        message: S3's message.
        status: The HTTP status.
        features: The features it may mean, the likeliest first.
    """

    def __init__(self, message: str, status: int, features: tuple[Feature, ...]) -> None:
        super().__init__(message, status)
        self.features = features

    def one_of(self, asked: frozenset[Feature]) -> Feature:
        """Return which requested feature to drop; raise itself if none matches."""
        for feature in self.features:
            if feature in asked:
                return feature
        raise self


#: Unambiguous codes (S3 error responses). A response to HEAD has no body, so its status is the
#: code.
_NAMED: Final[Mapping[str, type[Refused]]] = {
    "PreconditionFailed": ConditionFailed,
    "412": ConditionFailed,
    "NoSuchKey": ObjectNotFound,
    "NotFound": ObjectNotFound,
    "404": ObjectNotFound,
    "InvalidObjectState": Archived,
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """A rejecting response."""

    status: int
    code: str
    message: str = ""
    argument: str = ""

    @classmethod
    def read(cls, status: int, body: bytes) -> Self:
        """Parse a response body; without a code, the status is the code."""
        found = _elements(body)
        code = found.get("Code") or str(status)
        argument = found.get("ArgumentName") or found.get("Header") or ""
        return cls(status, code, found.get("Message", ""), argument)

    @classmethod
    def of(cls, error: ClientError) -> Self:
        """Parse the SDK's error."""
        details: Any = error.response.get("Error", {})
        answer: Any = error.response.get("ResponseMetadata", {})
        argument = details.get("ArgumentName") or details.get("Header") or ""
        status = int(answer.get("HTTPStatusCode", 0))
        code = str(details.get("Code") or status)
        return cls(status, code, str(details.get("Message") or ""), str(argument))

    def error(self, action: str) -> Refused:
        """Return the exception for a rejected `action`."""
        message = f"S3 refused to {action}: {self._words()}"
        if self.status == _PRECONDITION_FAILED:
            return ConditionFailed(message, self.status)
        if named := _NAMED.get(self.code):
            return named(message, self.status)
        if self.code in _OF_THE_KEY or (self.code in _OF_ANYTHING and self._names_the_key()):
            return RequestRefused(message, self.status)
        if self.status == _CONFLICT:
            return ConditionConflict(message, self.status)
        if self.code in _OF_ANYTHING and (features := self._features()):
            return HeaderRefused(message, self.status, features)
        return Refused(message, self.status)

    def _words(self) -> str:
        """Return code and message, fit for logs and callers."""
        code = self.code[:_LONGEST_CODE]
        text = " ".join(_HIDDEN.sub("…", self.message).split())
        if len(text) > _LONGEST_MESSAGE:
            text = text[:_LONGEST_MESSAGE] + "…"
        return f"{code}: {text}" if text else code

    def _names_the_key(self) -> bool:
        if self.argument:
            return self.argument.lower() in {"key", "object", "objectname", "name"}
        return bool(_NAMES_THE_KEY.search(self.message))

    def _features(self) -> tuple[Feature, ...]:
        text = f"{self.argument} {self.message}".lower()
        if "checksum" in text:
            return (Feature.CHECKSUM,)
        if "if-none-match" in text or "condition" in text:
            return (Feature.CONDITION,)
        # Something is not implemented, but the response does not say what.
        return tuple(Feature) if self.status == _NOT_IMPLEMENTED else ()


@contextlib.contextmanager
def translated(action: str) -> Iterator[None]:
    """Translate the SDK's errors into ours."""
    try:
        yield
    except ClientError as error:
        raise Refusal.of(error).error(action) from error
    except (BotoCoreError, HTTPError, OSError, ValueError, LookupError) as error:
        # The last two: a response lacks what S3 sends, or has a number or date nobody can read.
        raise StorageUnavailable(f"S3 could not {action}: {type(error).__name__}") from error


def _elements(body: bytes) -> dict[str, str]:
    """Return the texts of an XML body by element name, as far as the body can be read."""
    # The second way is for bytes that are not in the encoding that the body states.
    return max(_parsed(body), _parsed(body.decode(errors="replace")), key=len)


def _parsed(body: bytes | str) -> dict[str, str]:
    # The body is bounded by its reader, and expat bounds what entities may grow to.
    parser: XMLPullParser[Any] = XMLPullParser(("end",))
    found: dict[str, str] = {}
    # ParseError: no XML, or cut off. The others: an encoding that is unknown.
    with contextlib.suppress(ParseError, ValueError, LookupError):
        parser.feed(body)
        events: Iterator[Any] = parser.read_events()
        for _event, element in events:
            name = element.tag.rpartition("}")[2]
            found.setdefault(name, "".join(element.itertext()).strip())
    return found
