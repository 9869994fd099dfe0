"""The command line's settings: from its options, the environment, and a file with profiles."""

import importlib
import os
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from fluxrelay.cli.exits import wrong

_TOML: Final = importlib.import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")
_DEFAULT: Final = "default"
_URL, _KEY, _SECRET, _MODEL = (
    "FLUXRELAY_URL",
    "FLUXRELAY_KEY",
    "FLUXRELAY_CALLBACK_SECRET",
    "FLUXRELAY_MODEL",
)
#: What a profile may hold.
_NAMES: Final = ("url", "key", "key_file", "callback_secret", "model")


@dataclass(frozen=True)
class Setting:
    """A value and the place that it is from."""

    value: str = field(repr=False)
    source: str


@dataclass(frozen=True)
class Settings:
    """What the command line knows of the service; each may be unset.

    Attributes:
        url: Address of the service, without a slash at its end.
        key: Sent with every request.
        callback_secret: `whsec_…`; unset: asked of the service.
        model: Used where none is named.
        file: The settings file, whether it exists or not.
        profile: The profile of it that was read.
    """

    url: Setting | None
    key: Setting | None
    callback_secret: Setting | None
    model: Setting | None
    file: Path
    profile: str

    def where(self, name: str) -> str:
        """Return where to set a value: the variable, and the profile's line."""
        variable = {"url": _URL, "key": _KEY}[name]
        return f"set {variable}, or {name} in [{self.profile}] of {self.file}"


def settings_file(environment: Mapping[str, str]) -> Path:
    """Return the path of the settings file (XDG Base Directory Specification)."""
    if named := environment.get("FLUXRELAY_CONFIG"):
        return Path(named).expanduser()
    base = environment.get("XDG_CONFIG_HOME", "")
    # The specification has relative paths ignored.
    folder = Path(base) if base and Path(base).is_absolute() else Path.home() / ".config"
    return folder / "fluxrelay" / "config.toml"


def read_settings(
    environment: Mapping[str, str], *, profile: str | None = None, url: str | None = None
) -> Settings:
    """Return the settings; an option beats the environment, which beats the file.

    A profile named by an option beats the environment as well. A key from the file goes to the
    address of its own profile only, so that `--url` sends it nowhere else.

    Raises:
        CommandFailed: The file, the profile or the address is wrong.
    """
    file = settings_file(environment)
    profiles = read_profiles(file)
    name = profile or environment.get("FLUXRELAY_PROFILE") or _DEFAULT
    if name not in profiles and name != _DEFAULT:
        raise wrong(f"There is no profile {name} in {file}.{_nearest(name, profiles)}")
    source = f"[{name}] of {file}"
    stored = {key: Setting(value, source) for key, value in profiles.get(name, {}).items()}
    given = {} if profile else _from(environment)
    chosen = {**stored, **given}
    if url:
        chosen["url"] = Setting(url, "--url")
    address = _address(chosen.get("url"))
    key = given.get("key") or _stored_key(stored, address)
    return Settings(
        url=address,
        key=key,
        callback_secret=chosen.get("callback_secret"),
        model=chosen.get("model"),
        file=file,
        profile=name,
    )


def read_profiles(file: Path) -> Mapping[str, Mapping[str, str]]:
    """Return the profiles of a settings file; none if it does not exist.

    Raises:
        CommandFailed: It cannot be read, or holds what no profile has.
    """
    try:
        with file.open("rb") as opened:
            content = _TOML.load(opened)
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8"
        raise wrong(f"The settings file {file} cannot be read: {reason}.") from None
    except _TOML.TOMLDecodeError as error:
        raise wrong(f"The settings file {file} is not TOML: {error}.") from None
    return {name: _profile(file, name, values) for name, values in content.items()}


def _profile(file: Path, name: str, values: Any) -> Mapping[str, str]:
    if not isinstance(values, dict):
        raise wrong(f"{file}: {name} belongs to a profile; put it below a line like [{_DEFAULT}].")
    for key, value in values.items():
        if key not in _NAMES:
            near = _nearest(key, _NAMES)
            raise wrong(f"{file}: [{name}] holds {key}, which is no setting.{near}")
        if not isinstance(value, str) or not value:
            raise wrong(f"{file}: {key} of [{name}] must be text in quotes.")
    return values


def _from(environment: Mapping[str, str]) -> dict[str, Setting]:
    named = {"url": _URL, "key": _KEY, "callback_secret": _SECRET, "model": _MODEL}
    return {
        name: Setting(value, variable)
        for name, variable in named.items()
        if (value := environment.get(variable, "").strip())
    }


def _stored_key(stored: Mapping[str, Setting], address: Setting | None) -> Setting | None:
    own = _address(stored.get("url"))
    if address is None or own is None or own.value != address.value:
        return None
    if key := stored.get("key"):
        return key
    if not (named := stored.get("key_file")):
        return None
    path = Path(named.value).expanduser()
    try:
        return Setting(path.read_text(encoding="utf-8-sig").strip(), str(path))
    except (OSError, UnicodeDecodeError):
        raise wrong(f"The file {path}, named by key_file, cannot be read.") from None


def _address(setting: Setting | None) -> Setting | None:
    if setting is None:
        return None
    try:
        value = setting.value.strip()
        parts = urlsplit(value)
        fits = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
        fits &= value.isprintable()
    except ValueError:
        fits = False
    if not fits:
        raise wrong(f"The address in {setting.source} is no http(s) URL, such as http://host:8080.")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise wrong(f"The address in {setting.source} must hold no user, query or fragment.")
    return Setting(value.rstrip("/"), setting.source)


def _nearest(name: str, names: Iterable[str]) -> str:
    near = get_close_matches(name, [*names], 1)
    return f" Did you mean {near[0]}?" if near else ""


def is_private(file: Path) -> bool:
    """Whether nobody but its owner may read a file; one that is missing is private."""
    if os.name != "posix" or not file.exists():
        return True
    return not file.stat().st_mode & 0o077
