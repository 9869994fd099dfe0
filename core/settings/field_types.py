"""The types of the settings: what the text of a variable becomes, and which texts are allowed."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, TypeVar

from pydantic import (
    BeforeValidator,
    Field,
    PlainValidator,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)
from pydantic.fields import FieldInfo

from core import credentials, text_values
from core.provider import accounts
from core.provider.catalogue import Model
from core.provider.models_file import read_models
from core.security.address_rules import Network
from core.text_values import LONGEST_DURATION, Secret

SERVICE: Final = "service"
WORKER: Final = "worker"
_Value = TypeVar("_Value")
#: What Redis and the libraries can still count with.
_LARGEST: Final = 2**63 - 1


@dataclass(frozen=True)
class _Only:
    process: str


@dataclass(frozen=True)
class _Confidential:
    pass


#: Read by one process alone; None in the settings of the other.
ServiceOnly = Annotated[_Value, _Only(SERVICE)]
WorkerOnly = Annotated[_Value, _Only(WORKER)]
#: A secret: never shown, and `NAME_FILE` may name a file that holds it.
Confidential = Annotated[_Value, _Confidential()]


def only_reader(field: FieldInfo) -> str | None:
    """Return the one process that reads a field; None where both do."""
    return next((mark.process for mark in field.metadata if isinstance(mark, _Only)), None)


def is_confidential(field: FieldInfo) -> bool:
    """Say whether a field is a secret."""
    return _Confidential() in field.metadata


def meaning(field: FieldInfo) -> str:
    """Return what a field is for, in one line."""
    return " ".join(str(field.description).split())


def as_written(default: str | None, **facts: Any) -> Any:
    """Return a field with the default as it would be written in the environment."""
    return Field(default, **facts)


def _must_be(allowed: str) -> WrapValidator:
    """Name everything that is allowed, whichever part of it a value misses."""

    def check(value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
        try:
            return handler(value)
        except ValueError:
            raise ValueError(f"must be {allowed}") from None

    return WrapValidator(check)


Boolean = Annotated[bool, _must_be("yes or no")]


def _whole(value: str | int) -> int:
    # A default is a number already.
    return text_values.whole_number(str(value))


Port = Annotated[
    int,
    Field(ge=1, le=65535),
    BeforeValidator(_whole),
    _must_be("a port from 1 to 65535, in digits alone"),
]
PositiveInt = Annotated[
    int,
    Field(ge=1, le=_LARGEST),
    BeforeValidator(_whole),
    _must_be("a whole number above 0 and below 2^63, in digits alone"),
]
WholeSeconds = Annotated[
    int,
    Field(ge=1, le=LONGEST_DURATION),
    BeforeValidator(_whole),
    _must_be(f"a whole number of seconds from 1 to {LONGEST_DURATION}, in digits alone"),
]
Resubmits = Annotated[int, PlainValidator(text_values.resubmits)]
Seconds = Annotated[
    float,
    Field(gt=0, le=LONGEST_DURATION, allow_inf_nan=False),
    _must_be(f"a number of seconds above 0, at most {LONGEST_DURATION}, without a unit"),
]
SecondsOrNone = Annotated[
    float,
    Field(ge=0, le=LONGEST_DURATION, allow_inf_nan=False),
    _must_be(f"a number of seconds from 0 to {LONGEST_DURATION}, without a unit"),
]

BaseUrl = Annotated[str, PlainValidator(text_values.base_url)]
BaseUrls = Annotated[tuple[str, ...], PlainValidator(text_values.base_urls)]
HostSuffixes = Annotated[tuple[str, ...], PlainValidator(text_values.host_suffixes)]
IndexedKeys = Annotated[tuple[str, ...], PlainValidator(text_values.metadata_keys)]
Networks = Annotated[tuple[Network, ...], PlainValidator(text_values.networks)]

Accounts = Annotated[tuple[accounts.Account, ...], PlainValidator(accounts.accounts)]
AddedModels = Annotated[Mapping[str, Model], PlainValidator(read_models)]
#: Names, until they are looked up.
OfferedModels = Annotated[Mapping[str, Model], PlainValidator(text_values.names)]
SlotLimits = Annotated[text_values.SlotLimits, PlainValidator(text_values.slot_limits)]

Bucket = Annotated[str, PlainValidator(text_values.bucket)]
KeyTemplate = Annotated[str, PlainValidator(text_values.key_template)]

ApiKey = Annotated[Secret, PlainValidator(text_values.secret)]
CallersKeys = Annotated[Mapping[str, str], PlainValidator(credentials.api_keys)]
MasterSecrets = Annotated[tuple[Secret, ...], PlainValidator(credentials.master_secrets)]
ProxyUrl = Annotated[Secret, PlainValidator(credentials.proxy)]
RedisUrl = Annotated[Secret, PlainValidator(credentials.redis_url)]
