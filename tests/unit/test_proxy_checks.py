"""Proxies are tried at the start, and the variable that holds a bad one is named."""

from collections.abc import Mapping

import pytest

from core.settings.settings import SERVICE
from tests.unit.startup import PASSWORD, problems

pytestmark = pytest.mark.usefixtures("bare_environment")

ASKED = {"FLUXRELAY_PROXY": "environment"}
GOOD = "http://proxy.example:3128"


@pytest.mark.parametrize("name", ["FLUXRELAY_PROXY", "FLUXRELAY_CALLBACK_PROXY"])
@pytest.mark.parametrize(
    "url",
    [
        f"socks5://me:{PASSWORD}@proxy.example:1080",
        "proxy.example:3128",
        f"http://me:{PASSWORD}@proxy.example:port",
        f"http://me:{PASSWORD}@a..b:3128",
        "http://proxy.example:3128/path",
        "http://",
        f"socks9://me:{PASSWORD}@proxy.example:3128",
        "http://proxy.example",
        "http://proxy.example:0",
        "http://proxy.example:65536",
        f"http://me:{PASSWORD}%zz@proxy.example:3128",
        f"http://me:{PASSWORD}%4@proxy.example:3128",
        f"http://me:{PASSWORD} @proxy.example:3128",
        f"http://me:{PASSWORD}é@proxy.example:3128",
        "http://[::1:3128",
        "Environment",
        "environment,",
    ],
)
def test_a_proxy_that_cannot_be_used_is_told_at_start(name: str, url: str) -> None:
    """It is named, and its password is not."""
    (problem,) = problems({name: url})

    assert problem.startswith(f"{name}: ")


@pytest.mark.parametrize("asked", ["FLUXRELAY_PROXY", "FLUXRELAY_CALLBACK_PROXY"])
@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
@pytest.mark.parametrize(
    ("value", "words"),
    [
        (f"socks9://me:{PASSWORD}@proxy.example:1080", "http:// or https:// URL"),
        ("http://proxy.example", "must name a port from 1 to 65535"),
        ("http://proxy.example:99999", "port is not from 1 to 65535"),
        (f"http://me:{PASSWORD}%zz@proxy.example:3128", "must be percent-encoded"),
        (f"me:{PASSWORD}%@proxy.example:3128", "must be percent-encoded"),
        ("http://[::1:80", "is not a URL"),
        ("http://a..b:3128", "not a valid name"),
        ("http://proxy.example:3128/path?x", "without a path"),
    ],
)
def test_the_variable_that_holds_the_bad_proxy_is_named(
    asked: str, name: str, value: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not the setting that asks for the environment's proxies which is wrong."""
    monkeypatch.setenv(name, value)
    monkeypatch.setenv("NO_PROXY", ".amazonaws.com")

    (problem,) = problems({asked: "environment"})

    assert problem.startswith(f"{name}: ")
    assert words in problem


def test_each_bad_proxy_is_told_once_beside_the_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two variables and one setting are three problems, though both settings use the variables."""
    monkeypatch.setenv("HTTPS_PROXY", f"socks5://me:{PASSWORD}@proxy.example:1080")
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.example")

    found = problems({**ASKED, "FLUXRELAY_CALLBACK_PROXY": f"http://me:{PASSWORD}%@h:1"})

    assert sorted(line.partition(":")[0] for line in found) == [
        "FLUXRELAY_CALLBACK_PROXY",
        "HTTPS_PROXY",
        "HTTP_PROXY",
    ]


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({"https_proxy": GOOD, "HTTPS_PROXY": "socks5://h:1"}, []),
        ({"https_proxy": "socks5://h:1", "HTTPS_PROXY": GOOD}, ["https_proxy"]),
        ({"HTTPS_PROXY": GOOD, "HTTP_PROXY": GOOD, "ALL_PROXY": "socks5://h:1"}, []),
        ({"HTTPS_PROXY": GOOD, "ALL_PROXY": "socks5://h:1"}, ["ALL_PROXY"]),
        ({"HTTPS_PROXY": "proxy.example:3128"}, []),
        ({"HTTPS_PROXY": f"https://me:{PASSWORD}%40@[::1]:3128/"}, []),
    ],
)
def test_the_variable_that_counts_is_tried(
    variables: Mapping[str, str], named: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lower case goes before capitals, and ALL_PROXY counts where no other does."""
    for name, value in {"NO_PROXY": "amazonaws.com", **variables}.items():
        monkeypatch.setenv(name, value)

    assert [line.partition(":")[0] for line in problems(ASKED)] == named


@pytest.mark.parametrize(
    ("value", "named"),
    [
        ("*", []),
        ("localhost,.svc,10.0.0.0/8,fd00::/8,[::1],127.0.0.1:9000,münchen.example", []),
        ("a.example, ,", []),
        ("http://a.example", ["NO_PROXY"]),
        ("*.example", ["NO_PROXY"]),
        ("10.0.0.0/8,*", ["NO_PROXY"]),
        ("10.0.0.0/33", ["NO_PROXY"]),
        ("10.0.0.1/8", ["NO_PROXY"]),
        ("localhost 127.0.0.1", ["NO_PROXY"]),
        ("a..b,c;d", ["NO_PROXY", "NO_PROXY"]),
    ],
)
def test_an_entry_of_no_proxy_that_cannot_be_read_is_told(
    value: str, named: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would be passed over in silence, and its host be asked for through the proxy."""
    monkeypatch.setenv("HTTPS_PROXY", GOOD)
    monkeypatch.setenv("NO_PROXY", value)

    assert [line.partition(":")[0] for line in problems(ASKED)] == named
    assert problems({}) == []


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({}, ["HTTPS_PROXY"]),
        ({"NO_PROXY": "amazonaws.com"}, []),
        ({"AWS_ENDPOINT_URL_S3": "http://minio:9000"}, []),
        ({"AWS_ENDPOINT_URL": "https://minio:9000"}, ["HTTPS_PROXY"]),
        ({"AWS_ENDPOINT_URL": "https://minio:9000", "NO_PROXY": "minio"}, []),
        ({"AWS_REGION": "eu-west-1", "NO_PROXY": ".eu-west-1.amazonaws.com"}, []),
        ({"HTTPS_PROXY": "", "ALL_PROXY": "socks5://proxy.example:1080"}, []),
    ],
)
@pytest.mark.parametrize("value", ["socks5://proxy.example:1080", "http://proxy.example"])
def test_a_proxy_that_the_aws_sdk_cannot_use_is_told(
    value: str, variables: Mapping[str, str], named: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The SDK takes it whatever our settings say, unless S3 is one of the hosts called directly."""
    for name, each in {"HTTPS_PROXY": value, **variables}.items():
        monkeypatch.setenv(name, each)

    found = problems({}, SERVICE)

    assert [line.partition(":")[0] for line in found] == named
    assert all(line.endswith("(used for S3)") for line in found)
