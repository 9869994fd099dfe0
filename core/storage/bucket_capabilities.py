"""What a server does with a PUT that S3 would refuse: some servers store it all the same."""

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

#: The key in Redis of what the collect workers found last, in words; empty where all is well.
HABITS: Final = "storage:habits"
_PROBE: Final = b"Put by FluxRelay to see what this bucket checks; see docs/operations.md, S3.\n"
_PUTS: Final = 2
_MOST_CONFLICTS: Final = 4
_BAD_REQUEST: Final = 400

#: Puts one probe: its key, its bytes, the checksum to state, and what to ask of the server.
Send = Callable[[str, bytes, bytes, frozenset[Feature]], object]


class Condition(StrEnum):
    """What a server makes of `If-None-Match: *`."""

    KEPT = "kept"
    IGNORED = "ignored"
    REFUSED = "refused"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Habits:
    """What a server does; without having asked, it is taken for one that does as S3 does."""

    condition: Condition = Condition.KEPT
    #: Whether it refuses bytes that are not those of their checksum; None where nobody knows.
    strict: bool | None = None
    #: Whether it refuses the header with the checksum.
    checksum_refused: bool = False
    #: Why nothing is known.
    reason: str = field(default="", compare=False)

    @property
    def problems(self) -> str:
        """What S3 promises and this server does not keep, in words; empty where it keeps all."""
        looks = "each key is looked at before and after its PUT"
        words = {
            Condition.KEPT: [],
            Condition.IGNORED: [f"it overwrites in spite of If-None-Match: {looks}"],
            Condition.REFUSED: [f"it refuses If-None-Match: {looks}"],
            Condition.UNKNOWN: [f"what it does could not be tried ({self.reason}): {looks}"],
        }[self.condition]
        if self.checksum_refused:
            words = [*words, "it refuses x-amz-checksum-sha256: Content-MD5 is sent instead"]
        elif self.strict is False:
            words = [*words, "it does not check x-amz-checksum-sha256: sizes are compared"]
        return "; ".join(words)


def find_habits(send: Send) -> Habits:
    """Try what the server does, with two small objects that stay.

    The first is put until its key is taken, at most twice: then the condition is kept. The second
    comes with a checksum that is not its own.
    """
    try:
        features, condition = _try_condition(send)
    except StorageUnavailable as error:
        return Habits(Condition.UNKNOWN, reason=str(error))
    refused = Feature.CHECKSUM not in features
    strict = None if refused else _is_strict(send)
    return Habits(condition, strict=strict, checksum_refused=refused)


def _try_condition(send: Send) -> tuple[frozenset[Feature], Condition]:
    """Return what the server does not refuse, and what it makes of the condition."""
    features, puts, conflicts = frozenset(Feature), 0, 0
    while puts < _PUTS:
        try:
            send(PROBE_PREFIX + "condition", _PROBE, sha256(_PROBE).digest(), features)
            puts += 1
        except ConditionFailed:
            return features, Condition.KEPT
        except ConditionConflict:  # another process tries the same
            conflicts += 1
            if conflicts == _MOST_CONFLICTS:
                raise
        except HeaderRefused as error:
            refused = error.one_of(features)
            features -= {refused}
    kept = Feature.CONDITION in features
    return features, Condition.IGNORED if kept else Condition.REFUSED


def _is_strict(send: Send) -> bool | None:
    """Say whether bytes are refused that are not those of their checksum; None: who knows."""
    try:
        send(PROBE_PREFIX + "checksum", _PROBE, bytes(32), frozenset({Feature.CHECKSUM}))
    except Refused as error:
        return True if error.status == _BAD_REQUEST else None
    except StorageUnavailable:
        return None
    return False
