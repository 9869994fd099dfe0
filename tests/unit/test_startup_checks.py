"""Settings are tried by what will use them: what would fail later is told at the start."""

import logging
import resource

import pytest

from core.log import event_of_injected
from core.settings.settings import SERVICE, WORKER, Settings
from core.settings.variables import injected
from tests.unit.startup import GOOD, PASSWORD, problems

pytestmark = pytest.mark.usefixtures("bare_environment")

BASE = f"redis://:{PASSWORD}@127.0.0.1:6379"
SECURE = f"rediss://:{PASSWORD}@127.0.0.1:6379"


@pytest.mark.parametrize(
    "url",
    [
        BASE + "/0?ssl_cert_reqs=none",
        BASE + "/0?ssl_ca_certs=/etc/hosts",
        BASE + "/abc",
        BASE + "/0/1",
        BASE + "/-1",
        BASE + "/1?db=2",
        BASE + "/?db=abc",
        BASE + "/0?socket_timeout=abc",
        BASE + "/0?health_check_interval=soon",
        BASE + "/0?unknown=1",
        BASE + "/0?decode_responses=no",
        BASE + "/0?host=elsewhere",
        BASE + "/0#1",
        BASE + "/0#",
        f"redis://:{PASSWORD}@a..b:6379/0",
        f"redis://:{PASSWORD}@{'a' * 64}.example:6379/0",
        f"redis://:{PASSWORD}@127.0.0.1:0",
        f"redis://:{PASSWORD}@127.0.0.1:notaport",
        f"redis://{PASSWORD}@127.0.0.1",
        SECURE + "?ssl_cert_reqs=bogus",
        SECURE + "?ssl_ca_certs=/nowhere/ca.pem",
        SECURE + "?ssl_ca_certs=/etc/hosts",
        SECURE + "?ssl_certfile=/nowhere/own.pem",
        SECURE + "?ssl_unknown=1",
        "unix:///run/valkey?db=abc",
        "unix:///run/valkey?ssl_cert_reqs=none",
    ],
)
def test_a_redis_url_that_the_clients_cannot_use_is_told_at_start(url: str) -> None:
    """Options, databases and files that would fail at the first command are one problem each."""
    (problem,) = problems({"FLUXRELAY_REDIS_URL": url}, SERVICE)

    assert problem.startswith("FLUXRELAY_REDIS_URL: ")


@pytest.mark.parametrize(
    "url",
    [
        BASE,
        BASE + "/",
        BASE + "/15",
        BASE + "/?db=3&socket_timeout=2.5",
        "redis://127.0.0.1/0?username=u&password=p",
        SECURE + "/0?ssl_cert_reqs=none",
        SECURE + "/0?ssl_cert_reqs=none&ssl_check_hostname=false",
        "unix:///run/valkey/socket?db=2",
        "redis://[::1]:6379/0",
        "redis://no-such-host.invalid:6379/0",
    ],
)
def test_a_redis_url_that_may_work_is_taken(url: str) -> None:
    """Whether anybody answers is no question of the settings."""
    assert problems({"FLUXRELAY_REDIS_URL": url}) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("FLUXRELAY_PROVIDER_URL", "https://a..b"),
        ("FLUXRELAY_PROVIDER_URL", f"https://me:{PASSWORD}@api.example"),
        ("FLUXRELAY_PROVIDER_POLL_URLS", "https://good.example,https://xn--a.example"),
        ("FLUXRELAY_PUBLIC_URL", f"https://{'a' * 64}.example"),
        ("FLUXRELAY_PROVIDER_URL", "http://127.0.0.1:0"),
        (
            "FLUXRELAY_ACCOUNTS",
            '[{"name": "eu", "url": "https://a..b", "slots": "2"}]',
        ),
    ],
)
def test_a_url_that_the_http_client_cannot_call_is_told_at_start(name: str, value: str) -> None:
    """A worker tries each URL of the provider's by its own client."""
    found = problems({name: value, "BFL_API_KEY_EU": "key"})

    assert [line.partition(":")[0] for line in found] == [name]


@pytest.mark.parametrize("host", ["256.1.1.1", "a..b", "192.0.2.1", "no-such-host.invalid"])
def test_an_address_that_cannot_be_listened_on_is_told_at_start(host: str) -> None:
    """Neither a name that is none nor another machine's address can be bound."""
    (problem,) = problems({"FLUXRELAY_HOST": host}, SERVICE)

    assert problem.startswith("FLUXRELAY_HOST: cannot be listened on")


@pytest.mark.parametrize(("value", "right"), [("4.9", True), ("5", False), ("20", False)])
def test_sweep_must_come_round_before_its_lease_ends(value: str, *, right: bool) -> None:
    """A longer interval would lose the lease between two rounds, and half of the rounds with it."""
    found = problems({"FLUXRELAY_SWEEP_INTERVAL_SECONDS": value})

    assert [line.partition(":")[0] for line in found] == (
        [] if right else ["FLUXRELAY_SWEEP_INTERVAL_SECONDS"]
    )


@pytest.mark.parametrize(("margin", "right"), [(-1, True), (0, False), (1, False)])
def test_more_connections_than_open_files_are_refused(margin: int, *, right: bool) -> None:
    """Each connection is an open file, and what is beyond their limit would never be reached."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (1000, before[1]))
    try:
        found = problems({"FLUXRELAY_MAX_CONNECTIONS": str(1000 + margin)}, SERVICE)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)

    assert [line.partition(":")[0] for line in found] == (
        [] if right else ["FLUXRELAY_MAX_CONNECTIONS"]
    )


def test_all_that_is_wrong_comes_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a text shows and what only a trial shows are told together."""
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    variables = {
        "FLUXRELAY_S3_BUCKET": "my bucket",
        "FLUXRELAY_REDIS_URL": BASE + "/abc",
        "FLUXRELAY_HOST": "256.1.1.1",
        "FLUXRELAY_PORT": "99999",
    }

    found = {line.partition(":")[0] for line in problems(variables, SERVICE)}

    assert found == {*variables, "AWS_PROFILE"}


KUBERNETES = {
    "FLUXRELAY_SERVICE_HOST": "10.0.0.1",
    "FLUXRELAY_SERVICE_PORT": "80",
    "FLUXRELAY_SERVICE_PORT_HTTP": "80",
    "FLUXRELAY_PORT_80_TCP": "tcp://10.0.0.1:80",
    "FLUXRELAY_PORT_80_TCP_PROTO": "tcp",
    "FLUXRELAY_PORT_80_TCP_PORT": "80",
    "FLUXRELAY_PORT_80_TCP_ADDR": "10.0.0.1",
    "FLUXRELAY_REDIS_PORT": "tcp://10.0.0.2:6379",
    "FLUXRELAY_REDIS_SERVICE_HOST": "10.0.0.2",
}


@pytest.mark.parametrize(
    "port", ["tcp://10.0.0.1:80", "udp://10.0.0.1:80", "sctp://[fd00::1]:80", " tcp://10.0.0.1:8 "]
)
@pytest.mark.parametrize("process", [SERVICE, WORKER])
def test_what_kubernetes_says_of_a_service_is_no_setting(port: str, process: str) -> None:
    """A Service that is named like us sets variables of our names; the port's default stands."""
    environ = GOOD | KUBERNETES | {"FLUXRELAY_PORT": port}

    settings = Settings.from_env(environ, process)

    assert settings.port == (8080 if process == SERVICE else None)
    assert injected(environ) == ["FLUXRELAY_PORT", "FLUXRELAY_REDIS_PORT"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("FLUXRELAY_PORT", "http://10.0.0.1:80"),
        ("FLUXRELAY_PORT", "tcp://10.0.0.1"),
        ("FLUXRELAY_REDIS_URL", "tcp://10.0.0.1:6379"),
        ("FLUXRELAY_PROVIDER_URL", "tcp://10.0.0.1:80"),
    ],
)
def test_what_kubernetes_would_not_say_is_a_mistake(name: str, value: str) -> None:
    """The operator's own slips are not passed over in silence."""
    (problem,) = problems({name: value}, SERVICE)

    assert problem.startswith(f"{name}: ")


def test_what_was_ignored_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """One line names the variables, and none is written where there are none."""
    with caplog.at_level(logging.INFO):
        event_of_injected(["FLUXRELAY_PORT"])
        event_of_injected([])

    (line,) = caplog.records
    assert line.getMessage() == "settings.ignored"
    assert vars(line)["fields"]["variables"] == ["FLUXRELAY_PORT"]
