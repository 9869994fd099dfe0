"""Parameters as people write them, `name=value` or a cell of a table, in a model's own types.

A value that begins with `@` names a file: an image, video or bundle is sent as base64, any other
parameter takes the file's text. `@-` is standard input, `@@` stands for one `@`.
"""

import json
import re
import sys
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta, timezone
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

from fluxrelay.cli.exits import CommandFailed, wrong

_FILES: Final = frozenset({"image", "images", "keyframes", "video", "bundle"})
_AGO: Final = re.compile(r"(\d{1,6})([smhd])", re.ASCII)
_SECONDS: Final = re.compile(r"(\d{1,9})([smhd]?)", re.ASCII)
_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_LISTS: Final = frozenset({"images", "keyframes"})
_WORDS: Final = {
    **dict.fromkeys(("true", "yes", "on", "1"), True),
    **dict.fromkeys(("false", "no", "off", "0"), False),
}

Parameters = Mapping[str, Mapping[str, Any]]


def pair(text: str, option: str) -> tuple[str, str]:
    """Return the name and the value of `name=value`.

    Raises:
        CommandFailed: It is none.
    """
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise wrong(f"{option} takes NAME=VALUE, not {text!r}.")
    return name, value


def named_values(texts: Iterable[str] | None) -> dict[str, str] | None:
    """Return metadata given as `--metadata name=value`; None if there is none.

    Raises:
        CommandFailed: A text is no such pair.
    """
    return dict(pair(text, "--metadata") for text in texts or ()) or None


def seconds_value(text: str | None, option: str) -> int | None:
    """Return the seconds of `90`, `10m`, `2h` or `1d`.

    Raises:
        CommandFailed: The text is none of these.
    """
    if text is None:
        return None
    if found := _SECONDS.fullmatch(text):
        return int(found[1]) * _UNITS[found[2] or "s"]
    raise wrong(f"{option} takes whole seconds, or such as 10m, 2h or 1d, not {text!r}.")


def time_value(text: str | None) -> str | None:
    """Return a time as the service takes it: of `24h` (ago) and of a local day or time, ISO 8601.

    What is neither is left to the service to understand.
    """
    if text is None:
        return None
    if ago := _AGO.fullmatch(text):
        seconds = int(ago[1]) * _UNITS[ago[2]]
        return (datetime.now(timezone.utc) - timedelta(seconds=seconds)).isoformat()
    try:
        at = datetime.fromisoformat(text) if "-" in text else None
    except ValueError:  # a form that this Python does not know
        return text
    if at is None:  # Unix seconds
        return text
    return text if at.tzinfo else at.astimezone().isoformat()


def parameters_of(model: Mapping[str, Any]) -> Parameters:
    """Return the parameters of a model of `GET /v1/models`, those of all its variants together."""
    found = dict(model["parameters"])
    for variant in model["variants"]:
        found = {**variant["parameters"], **found}
    if (field := model["variant_field"]) and field not in found:
        names = [name for variant in model["variants"] for name in variant["names"]]
        found = {field: {"kind": "choice", "required": True, "choices": names}, **found}
    return found


def model_named(name: str, models: Iterable[Mapping[str, Any]]) -> Mapping[str, Any]:
    """Return a model by its name.

    Raises:
        CommandFailed: There is none.
    """
    by_name = {str(model["name"]): model for model in models}
    if name in by_name:
        return by_name[name]
    raise wrong(f"There is no model {name}{_or_near(name, by_name)}; see: fluxrelay models")


def typed_input(
    model: Mapping[str, Any], pairs: Iterable[tuple[str, str]], folder: Path | None = None
) -> dict[str, Any]:
    """Return a job's input made of texts.

    Args:
        model: The model, as `GET /v1/models` shows it.
        pairs: Names and values; a parameter that takes a list may come more than once.
        folder: Where relative paths begin; without it, the working directory.

    Raises:
        CommandFailed: A name or a value does not fit the model, or a file cannot be read.
    """
    known = parameters_of(model)
    made: dict[str, Any] = {}
    for name, text in pairs:
        if name not in known:
            near = _or_near(name, known)
            raise wrong(f"{model['name']} has no parameter {name}{near}.")
        kind = known[name]["kind"]
        value = typed(name, text, known[name], folder)
        if name not in made:
            made[name] = value
        elif kind in _LISTS:
            before = made[name]
            made[name] = [*(before if isinstance(before, list) else [before]), value]
        else:
            raise wrong(f"{name} is given twice; {model['name']} takes one.")
    return made


def typed(name: str, text: str, parameter: Mapping[str, Any], folder: Path | None = None) -> Any:
    """Return one value in its parameter's type.

    Raises:
        CommandFailed: It does not fit, or names a file that cannot be read.
    """
    kind = parameter["kind"]
    if kind in _FILES:
        return _file_value(name, text, kind, folder)
    if text.startswith("@@"):
        text = text[1:]
    elif text.startswith("@"):
        text = _text_of(name, read(text[1:], folder)).rstrip("\n")
    if text == parameter.get("word"):
        return text
    if kind == "boolean":
        return _boolean(name, text)
    if kind in {"integer", "number"}:
        return _number(name, text, kind)
    return text


def read(path: str, folder: Path | None = None) -> bytes:
    """Return what a file holds, or standard input for `-`.

    Raises:
        CommandFailed: It cannot be read.
    """
    if path == "-":
        if sys.stdin is None:
            raise wrong("Standard input is closed, so @- and - can read nothing.")
        return sys.stdin.buffer.read()
    try:
        return ((folder or Path()) / Path(path).expanduser()).read_bytes()
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from None


def with_files(value: Any, folder: Path | None) -> Any:
    """Return JSON of a file parameter with each `@path` replaced by the file, sent as base64.

    Raises:
        CommandFailed: There is no such file.
    """
    if isinstance(value, list):
        return [with_files(one, folder) for one in value]
    if isinstance(value, str) and value.startswith("@"):
        return read("-") if value == "@-" else _path(value[1:], folder)
    return value


def _path(name: str, folder: Path | None) -> Path:
    path = (folder or Path()) / Path(name).expanduser()
    try:
        path.open("rb").close()
    except (OSError, ValueError) as error:
        raise _unreadable(name, error) from None
    return path


def _unreadable(name: str, error: Exception) -> CommandFailed:
    reason = getattr(error, "strerror", None) or "this is no path"
    return wrong(f"The file {name} cannot be read: {reason}.")


def input_with_files(
    model: Mapping[str, Any] | None, values: Mapping[str, Any], folder: Path
) -> dict[str, Any]:
    """Return a job's input with each `@path` of its file parameters replaced."""
    known = parameters_of(model) if model else {}
    return {
        name: with_files(value, folder) if known.get(name, {}).get("kind") in _FILES else value
        for name, value in values.items()
    }


def _file_value(name: str, text: str, kind: str, folder: Path | None) -> Any:
    if kind in _LISTS and text.startswith("["):
        try:
            return with_files(json.loads(text), folder)
        except ValueError:
            raise wrong(f"{name} begins like a list, but is not JSON.") from None
    if not text.startswith("@") and "://" not in text and _exists(text, folder):
        raise wrong(f"{name} names a file; to send the file, write {name}=@{text}")
    return with_files(text, folder)


def _exists(text: str, folder: Path | None) -> bool:
    try:
        return ((folder or Path()) / text).is_file()
    except (OSError, ValueError):  # base64 is longer than any path
        return False


def _boolean(name: str, text: str) -> bool:
    if text.lower() not in _WORDS:
        raise wrong(f"{name} takes true or false, not {text!r}.")
    return _WORDS[text.lower()]


def _number(name: str, text: str, kind: str) -> int | float:
    try:
        return int(text)
    except ValueError:
        pass
    try:
        number = float(text)
    except ValueError:
        number = float("nan")
    if kind == "integer" or number - number != 0:
        wanted = "a whole number" if kind == "integer" else "a number"
        raise wrong(f"{name} takes {wanted}, not {text!r}.")
    return number


def _text_of(name: str, content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise wrong(f"{name} takes text, and the file holds none in UTF-8.") from None


def _or_near(name: str, names: Iterable[str]) -> str:
    near = get_close_matches(name, list(names), 1)
    return f" (did you mean {near[0]}?)" if near else ""
