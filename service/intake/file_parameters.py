"""Checks the values of parameters that hold files: a file, a list of files, or keyframes.

Each file is base64, whose bytes are checked in `service.intake.file_checks`, or a URL.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from core.provider.catalogue import FILES, Kind, Parameter
from service.http.caller_values import NOT_UNICODE, is_unicode, kind_of, shown
from service.http.problems import FieldError
from service.intake.limits import LONGEST_URL

_PAIR: Final = 2  # items of a keyframe with its seconds
_NOUNS: Final[Mapping[Kind, str]] = {
    Kind.IMAGE: "an image",
    Kind.IMAGES: "an image",
    Kind.KEYFRAMES: "an image",
    Kind.VIDEO: "an mp4 video",
    Kind.BUNDLE: "a draft's bundle",
}


class FileValue(NamedTuple):
    """What stands where a parameter holds a file."""

    #: Its place in the input: `video`, `images.3`, `keyframes.1.1`.
    place: str
    #: The same as errors name it: `input.images[3]`.
    field: str
    value: Any


def files_in(name: str, parameter: Parameter, value: Any) -> Iterator[FileValue]:
    """Yield what stands in the places of a parameter's files, whatever it is."""
    return _files_in(FileValue(name, f"input.{name}", value), FILES.get(parameter.kind, 0))


def _files_in(found: FileValue, arrays: int) -> Iterator[FileValue]:
    if not arrays or not isinstance(found.value, list):
        yield found
        return
    for at, value in enumerate(found.value):
        inner = FileValue(f"{found.place}.{at}", f"{found.field}[{at}]", value)
        yield from _files_in(inner, arrays - 1)


def is_url(value: str) -> bool:
    """Return whether a file was given as a URL; anything else is treated as base64."""
    return value[:8].lower().startswith(("http://", "https://"))


def file_problem(parameter: Parameter, value: Any) -> str | None:
    """Return what is wrong with one file; the bytes of base64 are not checked here."""
    if not isinstance(value, str):
        return f"is {kind_of(value)}"
    if not value:
        return "is empty"
    if not is_unicode(value):
        return NOT_UNICODE
    if not is_url(value):
        return None
    if not parameter.urls:
        return "is a URL"
    try:
        host, length_ok = urlsplit(value).hostname, len(value) <= LONGEST_URL
    except ValueError:
        host, length_ok = None, True
    return None if host and length_ok else "is not a usable URL"


def list_errors(path: str, parameter: Parameter, value: list[Any]) -> list[FieldError]:
    """Return all errors about a list of files or keyframes.

    A list of the wrong length has that error alone: each of its items would add one.
    """
    if not 1 <= len(value) <= parameter.most:
        allowed = f"1 to {parameter.most} items"
        return [FieldError(path, f"has {len(value)} items", allowed, f"send {allowed}")]
    if parameter.kind is Kind.KEYFRAMES and any(isinstance(one, list) for one in value):
        return _timed_errors(path, parameter, value)
    return [
        _item_error(f"{path}[{at}]", parameter, problem)
        for at, one in enumerate(value)
        if (problem := file_problem(parameter, one))
    ]


def _item_error(path: str, parameter: Parameter, problem: str) -> FieldError:
    allowed = _allowed_file(parameter)
    return FieldError(path, problem, allowed, f"send {allowed}, or take it out of the list")


def _timed_errors(path: str, parameter: Parameter, value: list[Any]) -> list[FieldError]:
    """Return all errors about keyframes with their seconds."""
    errors: list[FieldError] = []
    last: float | None = None
    for at, one in enumerate(value):
        field = f"{path}[{at}]"
        if not isinstance(one, list) or len(one) != _PAIR:
            what = f"has {len(one)} items" if isinstance(one, list) else f"is {kind_of(one)}"
            fix = "send all keyframes with their seconds, or all without"
            errors.append(FieldError(field, what, "an array of seconds and image", fix))
            continue
        seconds, image = one
        if problem := _seconds_problem(parameter, seconds, last):
            least = f"{parameter.minimum or 0:g}"
            allowed = f"a number of at least {least}, above that of the keyframe before"
            fix = "send the keyframes in ascending order of their seconds"
            errors.append(FieldError(f"{field}[0]", problem, allowed, fix))
        else:
            last = seconds
        if problem := file_problem(parameter, image):
            errors.append(_item_error(f"{field}[1]", parameter, problem))
    return errors


def _seconds_problem(parameter: Parameter, seconds: Any, last: float | None) -> str | None:
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        return f"is {kind_of(seconds)}"
    if seconds < (parameter.minimum or 0) or (last is not None and seconds <= last):
        return f"is {shown(seconds)}" + ("" if last is None else f", after {shown(last)}")
    return None


def allowed_files(parameter: Parameter) -> str:
    """Describe the allowed values of a parameter that holds files."""
    one = _allowed_file(parameter)
    match parameter.kind:
        case Kind.IMAGES:
            return f"{one}; or a list of 1 to {parameter.most} of them"
        case Kind.KEYFRAMES:
            count = f"1 to {parameter.most}"
            return f"{one}; or a list of {count} of them, or of [seconds, image] in ascending order"
        case _:
            return one


def _allowed_file(parameter: Parameter) -> str:
    url = ", or its http(s) URL" if parameter.urls else ""
    limits = {
        f"sides of at least {parameter.shortest_side} pixels": parameter.shortest_side,
        f"at most {parameter.most_pixels} pixels": parameter.most_pixels,
        f"at most {parameter.most_seconds} seconds": parameter.most_seconds,
        f"at most {parameter.most_bytes} bytes": parameter.most_bytes,
    }
    said = " and ".join(text for text, limit in limits.items() if limit is not None)
    return f"{_NOUNS[parameter.kind]} as base64{url}" + (f", with {said}" if said else "")
