"""`fluxrelay doctor`: checks the settings, the service, the key, the clock, and callbacks."""

import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from email.utils import parsedate_to_datetime
from typing import Annotated, Final
from urllib.parse import urlsplit

import httpx
import typer
from rich.text import Text

from fluxrelay.cli.callback_server import CallbackServer, Received
from fluxrelay.cli.exits import Exit
from fluxrelay.cli.session import Session, command
from fluxrelay.cli.settings import Settings, is_private
from fluxrelay.errors import (
    AuthenticationError,
    ConfigurationError,
    FluxRelayError,
    NotFoundError,
    ProblemError,
)
from fluxrelay.protocol.version import VERSION
from fluxrelay.running.http import ERRORS, of_environment

_OK, _WARNING, _FAILED, _SKIPPED = "ok", "warning", "failed", "skipped"
_MARKS: Final = {
    _OK: ("✓", "green"), _WARNING: ("!", "yellow"), _FAILED: ("✗", "red"), _SKIPPED: ("-", "dim"),
}  # fmt: skip
_SECONDS: Final = 10.0
_SKEW_SECONDS: Final = 60.0
_LOCAL: Final = frozenset({"127.0.0.1", "::1", "localhost"})


@dataclass(frozen=True)
class Check:
    """What one check found; `exit` is the exit code that a failure stands for."""

    name: str
    result: str
    text: str
    exit: Exit = Exit.FAILED


def doctor(
    session: Session,
    *,
    callback: Annotated[
        str | None, typer.Option(metavar="URL", help="Have a sample callback sent to it.")
    ] = None,
) -> Exit | None:
    """Check that everything is ready to submit jobs and to receive callbacks."""
    out = session.out
    checks = []
    for check in _checks(session, callback):
        checks.append(check)
        out.say(Text.assemble(_MARKS[check.result], f" {check.name.ljust(9)} ", check.text))
    failed = [check for check in checks if check.result == _FAILED]
    if out.as_json:
        shown = [{k: v for k, v in asdict(check).items() if k != "exit"} for check in checks]
        out.document({"checks": shown, "ok": not failed})
    return failed[0].exit if failed else None


def _checks(session: Session, callback: str | None) -> Iterator[Check]:
    settings = session.settings
    yield _settings(settings)
    if not settings.url:
        return
    url = settings.url.value
    yield _encryption(url)
    try:
        with of_environment(httpx.Client) as http:
            alive, ready, document = [
                http.get(f"{url}/{page}", timeout=_SECONDS)
                for page in ("livez", "readyz", "openapi.json")
            ]
        version = document.json()["info"]["version"]
    except ConfigurationError as error:
        yield Check("service", _FAILED, f"cannot be asked: {error}", Exit.USAGE)
        return
    except (*ERRORS, httpx.HTTPError) as error:
        text = f"{url} does not answer: {type(error).__name__}: {error}"
        yield Check("service", _FAILED, text, Exit.UNREACHABLE)
        return
    except (ValueError, LookupError, TypeError):
        text = f"what answers at {url} is not FluxRelay; check the address"
        yield Check("service", _FAILED, text, Exit.UNREACHABLE)
        return
    yield Check("service", _OK, f"{url}, API version {version}; this is fluxrelay {VERSION}")
    yield _readiness(ready)
    yield _clock(alive, time.time())
    if not settings.key:
        return
    key = _key(session)
    yield key
    if key.result == _OK:
        yield _callback(session, url, callback)


def _settings(settings: Settings) -> Check:
    missing = [name for name in ("url", "key") if getattr(settings, name) is None]
    if missing:
        fixes = "; ".join(settings.where(name) for name in missing)
        return Check("settings", _FAILED, f"{' and '.join(missing)} missing: {fixes}", Exit.USAGE)
    if not is_private(settings.file):
        text = f"others can read {settings.file}: chmod 600 it"
        return Check("settings", _WARNING, text)
    sources = [each.source for each in (settings.url, settings.key) if each]
    return Check("settings", _OK, f"address from {sources[0]}, key from {sources[1]}")


def _encryption(url: str) -> Check:
    parts = urlsplit(url)
    if parts.scheme == "https":
        return Check("transport", _OK, "encrypted")
    if parts.hostname in _LOCAL:
        return Check("transport", _OK, "unencrypted, within this machine")
    return Check("transport", _WARNING, "http: your key travels unencrypted; use https")


def _readiness(answer: httpx.Response) -> Check:
    try:
        body = answer.json()
    except ValueError:
        body = {}
    if answer.is_success:
        return Check("ready", _OK, f"Redis {body.get('redis')}, storage {body.get('storage')}")
    text = f"{body.get('detail', f'status {answer.status_code}')}"
    return Check("ready", _FAILED, text, Exit.UNREACHABLE)


def _clock(answer: httpx.Response, now: float) -> Check:
    try:
        skew = now - parsedate_to_datetime(answer.headers["date"]).timestamp()
    except (KeyError, ValueError):
        return Check("clock", _SKIPPED, "the service sends no date")
    if abs(skew) < _SKEW_SECONDS:
        return Check("clock", _OK, "agrees with the service's to a minute")
    where = "ahead of" if skew > 0 else "behind"
    text = f"is {abs(skew):.0f} s {where} the service's: set it, or signatures look too old"
    return Check("clock", _FAILED, text)


def _key(session: Session) -> Check:
    try:
        session.client.callbacks.secret()
    except AuthenticationError as error:
        return Check("key", _FAILED, f"is refused: {error.detail}", Exit.NOT_AUTHORIZED)
    except FluxRelayError as error:
        return Check("key", _FAILED, str(error), Exit.UNREACHABLE)
    return Check("key", _OK, "is accepted")


def _callback(session: Session, url: str, callback: str | None) -> Check:
    """Have a sample sent to a URL; without one, to this command, if the service is local."""
    if callback:
        return _sample(session, callback)
    if urlsplit(url).hostname not in _LOCAL:
        return Check("callback", _SKIPPED, "give --callback URL to have a sample sent to it")
    problems: list[str | None] = []

    def note(received: Received) -> None:
        problems.append(received.problem)

    with CallbackServer(("127.0.0.1", 0), session.secrets(), note) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        try:
            check = _sample(session, server.url)
        finally:
            server.shutdown()
    if problems and problems[0]:
        return Check("callback", _FAILED, f"came, but is not verified: {problems[0]}")
    return check


def _sample(session: Session, callback: str) -> Check:
    try:
        answer = session.client.request("POST", "/v1/callbacks/test", json={"url": callback})
    except NotFoundError:
        return Check("callback", _SKIPPED, "this service sends no samples")
    except ProblemError as error:
        reasons = "; ".join(str(one.get("detail", "")) for one in error.errors)
        return Check("callback", _FAILED, f"{callback}: {reasons or error.detail}")
    except FluxRelayError as error:
        return Check("callback", _FAILED, str(error), Exit.UNREACHABLE)
    sample = answer.json()
    if sample.get("delivered"):
        text = f"{callback} answered {sample['status']} in {sample['milliseconds']:.0f} ms"
        return Check("callback", _OK, text)
    if "delivered" not in sample:
        return Check("callback", _WARNING, f"{callback} has not answered yet")
    why = sample.get("error") or f"status {sample.get('status')}"
    return Check("callback", _FAILED, f"{callback} did not take a sample: {why}")


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "doctor")(doctor)
