"""What `fluxrelay doctor` finds, before the running product and before one that is ill."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from fluxrelay.cli.exits import Exit
from stack.stack import Stack
from tests.cli.conftest import Cli
from tests.client.scripted_service import ScriptedService, refuses, says
from tests.contract.scripted_server import Script, answer

SECRET = "whsec_CRAz45xgqGUFbMp9SmTwzqeH3tOw/nvurgHIPGKlOCk="
DELIVERED = {"id": "1", "delivered": True, "status": 204, "milliseconds": 3, "error": None}


def dated(away: timedelta) -> Script:
    """Return an answer of a service whose clock is wrong by so much."""
    date = format_datetime(datetime.now(UTC) + away, usegmt=True)
    return says(200, {"status": "alive"}, f"date: {date}")


def well() -> dict[str, Script]:
    """Return the answers of a service that is well, in the order in which they are asked for."""
    return {
        "alive": dated(timedelta()),
        "ready": says(200, {"redis": "ok", "storage": "ok"}),
        "document": says(200, {"info": {"version": "0.1.0"}}),
        "key": says(200, {"secret": SECRET, "previous": []}),
        "sample": says(200, DELIVERED),
    }


@pytest.fixture
def service() -> Iterator[ScriptedService]:
    """Run a service that answers as a test tells it to."""
    with ScriptedService() as scripted:
        yield scripted


def checked(bare: Cli, url: str) -> tuple[int, dict[str, dict[str, Any]]]:
    """Return the exit code, and each check by its name."""
    variables = {
        "FLUXRELAY_URL": url,
        "FLUXRELAY_KEY": "a-key",
        "FLUXRELAY_CALLBACK_SECRET": SECRET,
    }
    done = bare("doctor", "--json", **variables)
    return done.code, {check["name"]: check for check in json.loads(done.out)["checks"]}


def test_all_is_well(cli: Cli) -> None:
    """Every check passes before the running product, a sample callback among them."""
    done = cli("doctor", "--json")
    found = json.loads(done.out)
    assert (done.code, found["ok"]) == (Exit.DONE, True), found
    names = {"settings", "transport", "service", "ready", "clock", "key", "callback"}
    assert {check["name"]: check["result"] for check in found["checks"]} == dict.fromkeys(
        names, "ok"
    )


def test_a_key_that_is_refused(cli: Cli) -> None:
    """It has an exit code of its own, and nothing is asked with it any more."""
    refused = cli("doctor", FLUXRELAY_KEY="wrong")
    assert (refused.code, "✗ key" in refused.out) == (Exit.NOT_AUTHORIZED, True)
    assert "callback" not in refused.out


@pytest.mark.parametrize(
    ("part", "script", "check", "result", "code", "said"),
    [
        ("alive", dated(timedelta(hours=-1)), "clock", "failed", Exit.FAILED, "ahead of"),
        ("alive", dated(timedelta(hours=1)), "clock", "failed", Exit.FAILED, "behind"),
        ("alive", says(200, {}), "clock", "skipped", Exit.DONE, "no date"),
        ("ready", refuses(503, "not-ready"), "ready", "failed", Exit.UNREACHABLE, "as not-ready"),
        (
            "document",
            answer(200, b"<p>"),
            "service",
            "failed",
            Exit.UNREACHABLE,
            "is not FluxRelay",
        ),
        ("key", refuses(500, "internal"), "key", "failed", Exit.UNREACHABLE, "as internal"),
        ("sample", says(202, {"id": "1"}), "callback", "warning", Exit.DONE, "not answered yet"),
        ("sample", refuses(404, "no-such"), "callback", "skipped", Exit.DONE, "no samples"),
        (
            *("sample", says(200, DELIVERED | {"delivered": False, "status": 500})),
            *("callback", "failed", Exit.FAILED, "status 500"),
        ),
        (
            *("sample", refuses(422, "invalid-fields", errors=[{"field": "url", "detail": "odd"}])),
            *("callback", "failed", Exit.FAILED, "odd"),
        ),
    ],
)
def test_what_is_wrong_is_told(
    bare: Cli,
    service: ScriptedService,
    *,
    part: str,
    script: Script,
    check: str,
    result: str,
    code: Exit,
    said: str,
) -> None:
    """Each check tells what is wrong, and only a failure changes the exit code."""
    service.says(*(well() | {part: script}).values())

    ended, found = checked(bare, service.url)

    assert (ended, found[check]["result"]) == (code, result), found
    assert said in found[check]["text"]
    others = {one["result"] for name, one in found.items() if name != check}
    assert others == {"ok"}


def test_a_service_elsewhere(bare: Cli, service: ScriptedService) -> None:
    """Over http the key travels unencrypted; a sample is sent only where the caller says."""
    service.says(*well().values())
    # A name of this machine that does not look like one.
    code, found = checked(bare, service.url.replace("127.0.0.1", "127.1"))

    assert code == Exit.DONE
    assert found["transport"]["result"] == "warning"
    assert (found["callback"]["result"], len(service.requests)) == ("skipped", 4)


def test_a_callback_url_of_ones_own(cli: Cli, relay: Stack) -> None:
    """The sample is sent to it, and what it answers is told."""
    done = cli("doctor", "--callback", f"{relay.service_url}/livez")
    assert done.code == Exit.FAILED
    assert "did not take a sample: status 405" in done.out


def test_a_settings_file_that_others_can_read(bare: Cli, relay: Stack, tmp_path: Path) -> None:
    """It is a warning; the profile that is named is the one that is used."""
    folder = tmp_path / "config/fluxrelay"
    folder.mkdir(parents=True)
    lines = ["[local]", f'url = "{relay.service_url}"', f'key = "{relay.api_key}"']
    (folder / "config.toml").write_text("\n".join(lines))
    (folder / "config.toml").chmod(0o644)
    named = ("--profile", "local")

    shown = bare("doctor", *named).out
    assert "! settings" in shown
    assert "chmod 600" in shown
    assert bare("list", *named, "--limit", "1").code == Exit.DONE
    (folder / "config.toml").chmod(0o600)
    assert "✓ settings" in bare("doctor", *named).out
    assert bare("list").code == Exit.USAGE


def test_a_proxy_that_cannot_be_used_is_told(cli: Cli) -> None:
    """It is a wrong setting, whichever command meets it."""
    done = cli("doctor", ALL_PROXY="socks5://127.0.0.1:1")
    assert (done.code, "ALL_PROXY names a SOCKS proxy" in done.out) == (Exit.USAGE, True)
    done = cli("list", ALL_PROXY="socks5://127.0.0.1:1")
    assert (done.code, "ALL_PROXY names a SOCKS proxy" in done.err) == (Exit.USAGE, True)
