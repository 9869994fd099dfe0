"""The sandbox's settings, read once from the environment; all problems are reported together."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeVar
from urllib.parse import urlsplit

from sandbox.requests.models import MODELS

#: Minimum length of an API key in characters.
KEY_LENGTH_MIN: Final = 8
PORT_MAX: Final = 65535
WEBHOOK_SHAPES: Final = ("task_id", "id", "alternate")
STAGE_CHOICES: Final = ("model", "all", "none")
#: Minimum length of a signing key in characters.
SIGNING_KEY_MIN: Final = 16
#: What results are.
MEDIA: Final = ("image", "video")
#: Maximum bytes of a padded result.
FILE_BYTES_MAX: Final = 2 * 1024**3

Value = TypeVar("Value")


class SettingsError(ValueError):
    """The settings are invalid; `problems` holds one sentence per mistake."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


@dataclass(frozen=True)
class Slots:
    """How many tasks of one account may be active at once: in total, and per model."""

    total: int = 24
    by_model: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Settings:
    """The settings of one sandbox process. Times are in seconds, before `time_scale` is applied."""

    host: str
    port: int
    api_keys: frozenset[str]
    public_url: str
    slots: Slots
    generation_seconds: tuple[float, float]
    time_scale: float
    webhook_shape: str
    ledger: Path | None
    image_side: int | None
    #: Factor for the sides of videos.
    video_scale: float
    #: Minimum bytes of a result's file, by `image` and `video`.
    file_bytes: Mapping[str, int]
    regions: Mapping[str, int]
    stages: str
    credits: float
    finetunes: tuple[str, ...]
    signing_key: str | None

    @classmethod
    def from_env(cls, environment: Mapping[str, str]) -> "Settings":
        """Read the `SANDBOX_…` variables.

        Raises:
            SettingsError: Anything is missing or invalid; it lists every problem.
        """
        read = _Reader(environment)
        host = read("HOST", str, "127.0.0.1")
        port = read("PORT", _port, "8090")
        authority = f"[{host}]" if ":" in host else host
        settings = cls(
            host=host,
            port=port,
            api_keys=read("API_KEYS", _keys, None, frozenset()),
            public_url=read("PUBLIC_URL", _url, f"http://{authority}:{port}"),
            slots=read("SLOTS", _slots, "24,flux-kontext-max=6,flux-3-video=5"),
            generation_seconds=read("GENERATION_SECONDS", _span, "1.0"),
            time_scale=read("TIME_SCALE", _positive, "1.0"),
            webhook_shape=read(
                "WEBHOOK_SHAPE", lambda text: _one_of(WEBHOOK_SHAPES, text), "alternate"
            ),
            ledger=read("LEDGER", lambda text: Path(text) if text else None, ""),
            image_side=read("IMAGE_SIDE", lambda text: _count(text) if text else None, ""),
            video_scale=read("VIDEO_SCALE", _positive, "1.0"),
            file_bytes=read("FILE_BYTES", _file_bytes, ""),
            regions=read("REGIONS", lambda text: _regions(text, port), ""),
            stages=read("STAGES", lambda text: _one_of(STAGE_CHOICES, text), "model"),
            credits=read("CREDITS", _amount, "100000"),
            finetunes=read("FINETUNES", _names, "my-finetune"),
            signing_key=read("SIGNING_KEY", _signing_key, ""),
        )
        if read.problems:
            raise SettingsError(read.problems)
        return settings


class _Reader:
    """Reads variables one by one and collects their problems."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self.problems: list[str] = []

    def __call__(
        self,
        name: str,
        parse: Callable[[str], Value],
        default: str | None,
        fallback: Value | None = None,
    ) -> Value:
        """Return the parsed variable; on a problem, record it and return the default."""
        text = self._environment.get(f"SANDBOX_{name}", "").strip()
        if (
            name == "PORT" and "://" in text
        ):  # Kubernetes sets such a variable to a Service's address
            text = ""
        try:
            if text or default is None:
                return parse(text)
        except ValueError as error:
            self.problems.append(f"SANDBOX_{name}: {error}")
        if default is not None:
            return parse(default)
        if fallback is None:
            raise TypeError(f"{name} has neither a default nor a fallback")
        return fallback


def _keys(text: str) -> frozenset[str]:
    keys = frozenset(key.strip() for key in text.split(",") if key.strip())
    if not keys:
        raise ValueError("is required: one API key or several, separated by commas")
    if any(len(key) < KEY_LENGTH_MIN or len(key.split()) != 1 for key in keys):
        raise ValueError(f"every key needs at least {KEY_LENGTH_MIN} characters and no spaces")
    return keys


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"must be a number, not {text!r}") from None


def _positive(text: str) -> float:
    number = _number(text)
    if not 0 < number < float("inf"):
        raise ValueError(f"must be a number above 0, not {text!r}")
    return number


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise ValueError(f"must be a whole number above 0, not {text!r}")
    return int(text)


def _port(text: str) -> int:
    port = _count(text)
    if port > PORT_MAX:
        raise ValueError(f"must be between 1 and {PORT_MAX}, not {text!r}")
    return port


def _url(text: str) -> str:
    if urlsplit(text).scheme not in {"http", "https"} or not urlsplit(text).netloc:
        raise ValueError(f"must be an absolute http(s) URL, not {text!r}")
    return text.rstrip("/")


def _one_of(choices: tuple[str, ...], text: str) -> str:
    if text not in choices:
        raise ValueError(f"must be one of {', '.join(choices)}, not {text!r}")
    return text


def _amount(text: str) -> float:
    number = _number(text)
    if not 0 <= number < float("inf"):
        raise ValueError(f"must be a number of credits, 0 or more, not {text!r}")
    return number


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _signing_key(text: str) -> str | None:
    if text and len(text) < SIGNING_KEY_MIN:
        raise ValueError(f"needs at least {SIGNING_KEY_MIN} characters")
    return text or None


def _regions(text: str, global_port: int) -> Mapping[str, int]:
    regions: dict[str, int] = {}
    for part in _names(text):
        name, _, port = part.partition(":")
        if not name.isidentifier() or name in {"global", *regions}:
            raise ValueError(f"must be names with ports such as eu:8091,us:8092, not {part!r}")
        regions[name] = _port(port)
    if len({global_port, *regions.values()}) <= len(regions):
        raise ValueError("every region needs a port of its own, other than SANDBOX_PORT")
    return regions


def _span(text: str) -> tuple[float, float]:
    low, dash, high = text.partition("-")
    if not low:
        raise ValueError(f"must be seconds such as 1.0 or a range such as 0.2-1.5, not {text!r}")
    first, last = _number(low), _number(high if dash else low)
    if not 0 <= first <= last < float("inf"):
        raise ValueError(f"must run from a smaller to a larger number of seconds, not {text!r}")
    return first, last


def _file_bytes(text: str) -> Mapping[str, int]:
    sizes: dict[str, int] = {}
    for part in _names(text):
        media, _, count = part.partition("=")
        if media not in MEDIA:
            raise ValueError(f"must be sizes such as image=30000000,video=300000000, not {part!r}")
        sizes[media] = _count(count)
        if sizes[media] > FILE_BYTES_MAX:
            raise ValueError(f"must be at most {FILE_BYTES_MAX} bytes, not {part!r}")
    return sizes


def _slots(text: str) -> Slots:
    first, *others = (part.strip() for part in text.split(","))
    by_model = {}
    for part in others:
        slug, _, count = part.partition("=")
        if slug not in MODELS:
            raise ValueError(f"names no model: {part!r}; models are {', '.join(MODELS)}")
        by_model[slug] = _count(count)
    return Slots(_count(first), by_model)
