"""What S3 refuses, by what follows from it, in S3's own words; bounded, and without secrets."""

import contextlib
import html
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Self

from botocore.exceptions import BotoCoreError, ClientError

from core.errors import StorageUnavailable

#: They speak of the key alone (S3 error responses, and what MinIO answers to keys that its file
#: system cannot hold).
_OF_THE_KEY: Final = {
    *("KeyTooLongError", "InvalidURI"),
    *("XMinioInvalidObjectName", "XMinioParentIsObject", "XMinioObjectExistsAsDirectory"),
}
#: They may speak of anything in the request; what they name decides.
_OF_ANYTHING: Final = {"InvalidArgument", "InvalidRequest", "NotImplemented", "501"}
_NAMES_THE_KEY: Final = re.compile(
    r"\b(object|file)[ -]?(key|name|path)|\bkey (name|length|is too long|too long)", re.IGNORECASE
)
_CONFLICT, _PRECONDITION_FAILED, _NOT_IMPLEMENTED = 409, 412, 501
_LONGEST_MESSAGE: Final = 200  # characters
_LONGEST_CODE: Final = 60  # characters
#: What may give access, or lead to what does: addresses, access keys, and signatures.
_HIDDEN: Final = re.compile(
    r"\w+://\S+|\b[A-Z]{4}[0-9A-Z]{16}\b|\b[0-9a-fA-F]{64}\b|\b(x-amz-\w+|signature|credential)=\S+",
    re.IGNORECASE,
)


class Feature(StrEnum):
    """What we ask of S3 with a PUT, and some S3-like servers refuse or ignore."""

    CONDITION = "If-None-Match"
    CHECKSUM = "x-amz-checksum-sha256"


class Refused(StorageUnavailable):
    """S3 answered, and said no.

    Args:
        message: What it said.
        status: The HTTP status.
    """

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class RequestRefused(Refused):
    """S3 refuses the key, whenever it comes: nobody else's request would fare so."""


class ConditionFailed(Refused):
    """The key is taken."""


class ConditionConflict(Refused):
    """Others write to the key at this moment; nothing was stored by us, perhaps by nobody."""


class NotThere(Refused):
    """There is no such object."""


class Archived(Refused):
    """The object is in an archive storage class, such as Glacier: it cannot be read from there."""


class HeaderRefused(Refused):
    """The server does not know what we ask of it.

    Args:
        message: What it said.
        status: The HTTP status.
        features: What it may mean, the likeliest first.
    """

    def __init__(self, message: str, status: int, features: tuple[Feature, ...]) -> None:
        super().__init__(message, status)
        self.features = features

    def one_of(self, asked: frozenset[Feature]) -> Feature:
        """Return what to leave out of what was asked; raise itself where that is nothing."""
        for feature in self.features:
            if feature in asked:
                return feature
        raise self


#: Codes that have one meaning (S3 error responses). A HEAD has no body, so no code but its status.
_NAMED: Final[Mapping[str, type[Refused]]] = {
    "PreconditionFailed": ConditionFailed,
    "412": ConditionFailed,
    "NoSuchKey": NotThere,
    "NotFound": NotThere,
    "404": NotThere,
    "InvalidObjectState": Archived,
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer that says no."""

    status: int
    code: str
    message: str = ""
    argument: str = ""

    @classmethod
    def read(cls, status: int, body: bytes) -> Self:
        """Read it from an answer's body; one without a code is named by its status."""
        code = _element(body, b"Code") or str(status)
        argument = _element(body, b"ArgumentName") or _element(body, b"Header")
        return cls(status, code, _element(body, b"Message"), argument)

    @classmethod
    def of(cls, error: ClientError) -> Self:
        """Read it from the SDK's error."""
        details: Any = error.response.get("Error", {})
        answer: Any = error.response.get("ResponseMetadata", {})
        argument = details.get("ArgumentName") or details.get("Header") or ""
        status = int(answer.get("HTTPStatusCode", 0))
        code = str(details.get("Code") or status)
        return cls(status, code, str(details.get("Message") or ""), str(argument))

    def error(self, action: str) -> Refused:
        """Return what to raise where S3 would not do `action`."""
        message = f"S3 would not {action}: {self._words()}"
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
        """Return code and message, fit for a log and for the job's caller."""
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
        # It says that something is not implemented, but not what.
        return tuple(Feature) if self.status == _NOT_IMPLEMENTED else ()


@contextlib.contextmanager
def translated(action: str) -> Iterator[None]:
    """Turn the SDK's errors into ours."""
    try:
        yield
    except ClientError as error:
        raise Refusal.of(error).error(action) from error
    except (BotoCoreError, OSError) as error:
        raise StorageUnavailable(f"S3 could not {action}: {type(error).__name__}") from error


def _element(body: bytes, name: bytes) -> str:
    found = re.search(rb"<%b>([^<]{1,2000})</%b>" % (name, name), body)
    return html.unescape(found[1].decode(errors="replace")).strip() if found else ""
