"""Probes how an S3-like server handles a PUT that S3 would reject: some store it anyway."""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import sha256
from typing import Final

from core.errors import StorageUnavailable
from core.storage.object_keys import PROBE_PREFIX
from core.storage.s3_errors import (
    ConditionConflict,
    ConditionFailed,
    Feature,
    HeaderRefused,
    Refused,
)

#: Redis key of the problems that a collect worker found last, in words; empty if there are none.
CAPABILITIES_KEY: Final = "storage:habits"
#: Seconds after which they are forgotten, if no worker tries again.
CAPABILITIES_LIFE: Final = 3600
_PROBE: Final = b"Put by FluxRelay to see what this bucket checks; see docs/operations.md, S3.\n"
_PUTS: Final = 2
_MOST_CONFLICTS: Final = 4
_BAD_REQUEST: Final = 400

#: Puts one probe: key, bytes, stated checksum, and requested features.
Send = Callable[[str, bytes, bytes, frozenset[Feature]], object]


class Condition(StrEnum):
    """How a server handles `If-None-Match: *`."""

    KEPT = "kept"
    IGNORED = "ignored"
    REFUSED = "refused"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a server supports; before a probe, it is assumed to behave like S3."""

    condition: Condition = Condition.KEPT
    #: Whether it rejects bytes that do not match their checksum; None if unknown.
    strict: bool | None = None
    #: Whether it rejects the checksum header.
    checksum_refused: bool = False
    #: Why the capabilities are unknown.
    reason: str = field(default="", compare=False)

    @property
    def problems(self) -> str:
        """The S3 guarantees that this server lacks, in words; empty if none."""
        looks = "each key is checked before and after its PUT"
        words = {
            Condition.KEPT: [],
            Condition.IGNORED: [f"it overwrites despite If-None-Match: {looks}"],
            Condition.REFUSED: [f"it rejects If-None-Match: {looks}"],
            Condition.UNKNOWN: [f"it could not be probed ({self.reason}): {looks}"],
        }[self.condition]
        if self.checksum_refused:
            words = [*words, "it rejects x-amz-checksum-sha256: Content-MD5 is sent instead"]
        elif self.strict is False:
            words = [*words, "it does not check x-amz-checksum-sha256: sizes are compared"]
        return "; ".join(words)


def probe_capabilities(send: Send) -> Capabilities:
    """Probe the server with two small objects, which stay in the bucket.

    The first is put until its key is reported as taken, at most twice: then the condition works.
    The second states a wrong checksum.
    """
    try:
        features, condition = _try_condition(send)
    except StorageUnavailable as error:
        return Capabilities(Condition.UNKNOWN, reason=str(error))
    refused = Feature.CHECKSUM not in features
    strict = None if refused else _is_strict(send)
    return Capabilities(condition, strict=strict, checksum_refused=refused)


def _try_condition(send: Send) -> tuple[frozenset[Feature], Condition]:
    """Return the features that the server accepts, and how it handles the condition."""
    features, puts, conflicts = frozenset(Feature), 0, 0
    while puts < _PUTS:
        try:
            send(PROBE_PREFIX + "condition", _PROBE, sha256(_PROBE).digest(), features)
            puts += 1
        except ConditionFailed:
            return features, Condition.KEPT
        except ConditionConflict:  # another process runs the same probe
            conflicts += 1
            if conflicts == _MOST_CONFLICTS:
                raise
        except HeaderRefused as error:
            refused = error.one_of(features)
            features -= {refused}
    kept = Feature.CONDITION in features
    return features, Condition.IGNORED if kept else Condition.REFUSED


def _is_strict(send: Send) -> bool | None:
    """Return whether bytes with a wrong checksum are rejected; None if unknown."""
    try:
        send(PROBE_PREFIX + "checksum", _PROBE, bytes(32), frozenset({Feature.CHECKSUM}))
    except Refused as error:
        return True if error.status == _BAD_REQUEST else None
    except StorageUnavailable:
        return None
    return False
