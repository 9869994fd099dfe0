"""The way out through a company's proxy: what passes it, what it is told, and what is refused."""

import base64
import io
from collections.abc import Callable, Mapping

import pytest
from PIL import Image

from core.settings.settings import WORKER, Settings
from tests.contract.forward_proxy import AUTHORITY, office
from worker.clients.callbacks import REFUSED
from worker.clients.download import LinkRefused
from worker.clients.submit_outcomes import NotSent
from worker.deps import Deps
from worker.runtime import wiring

Build = Callable[..., Deps]
WHO = "Basic " + base64.b64encode(b"me:p@ss").decode()
HOOK = "https://hooks.example/x"


def picture() -> bytes:
    """Return a PNG."""
    body = io.BytesIO()
    Image.new("RGB", (32, 32), "teal").save(body, "PNG")
    return body.getvalue()


@pytest.fixture
def build(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Build:
    """Return a function that makes what a worker works with; it trusts the tests' authority."""
    monkeypatch.setenv("SSL_CERT_FILE", str(AUTHORITY))

    def made(**variables: str) -> Deps:
        settings = {
            "FLUXRELAY_PROVIDER_URL": "https://api.example",
            "FLUXRELAY_RESULT_HOSTS": ".results.example",
        }
        return wiring.build(Settings.from_env(environment | settings | variables, WORKER))

    return made


def submit(deps: Deps) -> object:
    """Submit one task."""
    return next(iter(deps.providers.values())).submit("/v1/flux-dev", {"prompt": "x"})


def test_the_provider_and_its_results_are_reached_through_the_proxy(build: Build) -> None:
    """Both by a tunnel with our name and password, which nobody beyond the proxy sees."""
    with office(picture(), WHO) as beyond:
        deps = build(FLUXRELAY_PROXY=f"http://me:p%40ss@127.0.0.1:{beyond.port}")
        submit(deps)
        with deps.downloader.fetch("https://eu.results.example/a.png", lambda: None).file as file:
            assert file.read() == picture()

    assert beyond.at_proxy.lines == ["CONNECT api.example:443", "CONNECT eu.results.example:443"]
    assert set(beyond.at_proxy.credentials) == {WHO}
    assert beyond.at_origin.lines == ["POST /v1/flux-dev", "GET /a.png"]
    assert set(beyond.at_origin.credentials) == {None}


def test_without_the_companys_authority_nothing_is_sent(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A certificate of a private authority holds only where SSL_CERT_FILE names it."""
    monkeypatch.delenv("SSL_CERT_FILE")
    with office(b"{}") as beyond:
        deps = build(FLUXRELAY_PROXY=f"http://127.0.0.1:{beyond.port}")
        assert isinstance(submit(deps), NotSent)

    assert beyond.at_origin.lines == []


@pytest.mark.parametrize("url", ["https://api.example", "http://api.example"])
def test_a_proxy_that_refuses_us_is_no_answer_of_the_provider(build: Build, url: str) -> None:
    """Its 407 means that no task was made: the job is sent later, not refused."""
    with office(b"{}", WHO) as beyond:
        proxy = f"http://me:wrong@127.0.0.1:{beyond.port}"
        assert isinstance(submit(build(FLUXRELAY_PROXY=proxy, FLUXRELAY_PROVIDER_URL=url)), NotSent)

    assert beyond.at_origin.lines == []


def test_results_come_from_allowed_hosts_only_through_a_proxy_too(build: Build) -> None:
    """The proxy is not even asked for another host."""
    with office(picture()) as beyond:
        deps = build(FLUXRELAY_PROXY=f"http://127.0.0.1:{beyond.port}")
        with pytest.raises(LinkRefused):
            deps.downloader.fetch("https://elsewhere.example/a.png", lambda: None)

    assert beyond.at_proxy.lines == []


@pytest.mark.parametrize(
    "url",
    [
        "https://10.0.0.1/x",
        "http://169.254.169.254/latest",
        "http://[::1]/x",
        "http://2130706433/x",
        "http://0x7f.1/x",
        "https://localhost/x",
        "https://db.internal/x",
        "http://redis:6379/x",
        "https://kubernetes.default.svc/x",
        "http://wiki.corp/x",
        "http://168.63.129.16/machine",
    ],
)
def test_a_callback_to_a_private_address_does_not_reach_its_proxy(build: Build, url: str) -> None:
    """What the URL itself says is checked by us, for the proxy stands inside the network."""
    with office(b"") as beyond:
        deps = build(FLUXRELAY_CALLBACK_PROXY=f"http://127.0.0.1:{beyond.port}")
        assert deps.callbacks.post(url, b"{}", {}).error == REFUSED

    assert beyond.at_proxy.lines == []


@pytest.mark.parametrize("host", ["localhost", "db.internal", "pod.svc.cluster.local", "redis"])
def test_an_allowed_network_admits_no_local_name_through_a_proxy(build: Build, host: str) -> None:
    """Nobody checks where it leads; an address of that network passes."""
    with office(b"") as beyond:
        deps = build(
            FLUXRELAY_CALLBACK_PROXY=f"http://127.0.0.1:{beyond.port}",
            FLUXRELAY_CALLBACK_ALLOW_NETS="127.0.0.0/8,10.0.0.0/8",
        )
        assert deps.callbacks.post(f"http://{host}/x", b"{}", {}).error == REFUSED
        assert deps.callbacks.post("http://10.0.0.1/x", b"{}", {}).status == 200

    assert beyond.at_proxy.lines == ["POST http://10.0.0.1/x"]


@pytest.mark.parametrize(
    ("url", "line"),
    [
        (HOOK, "CONNECT hooks.example:443"),
        ("http://hooks.example/x", "POST http://hooks.example/x"),
    ],
)
def test_callbacks_go_through_a_proxy_of_their_own(build: Build, url: str, line: str) -> None:
    """By a tunnel, or in clear text as the URL is; the name is the proxy's to look up."""
    with office(b"") as beyond:
        deps = build(FLUXRELAY_CALLBACK_PROXY=f"http://127.0.0.1:{beyond.port}")
        assert deps.callbacks.post(url, b"{}", {}).status == 200

    assert beyond.at_proxy.lines == [line]


def test_callbacks_do_not_use_the_providers_proxy(build: Build) -> None:
    """They go direct unless they have a proxy of their own."""
    with office(b"") as beyond:
        deps = build(FLUXRELAY_PROXY=f"http://127.0.0.1:{beyond.port}")
        assert deps.callbacks.post("https://10.0.0.1/x", b"{}", {}).error == REFUSED
        assert deps.callbacks.post("https://hooks.example./x", b"{}", {}).status is None

    assert beyond.at_proxy.lines == []


@pytest.mark.parametrize(
    ("variables", "passes"),
    [
        ({"HTTPS_PROXY": "http://{proxy}"}, True),
        ({"https_proxy": "{proxy}"}, True),
        ({"ALL_PROXY": "http://{proxy}"}, True),
        ({"HTTPS_PROXY": "http://{proxy}", "NO_PROXY": "other.test,.example"}, False),
        ({"HTTPS_PROXY": "http://{proxy}", "NO_PROXY": "*"}, False),
        ({"HTTPS_PROXY": "http://{proxy}", "NO_PROXY": "api.exam"}, True),
        ({"HTTP_PROXY": "http://{proxy}"}, False),
        ({}, False),
    ],
)
def test_the_environments_variables_count_where_they_are_asked_for(
    build: Build, variables: Mapping[str, str], monkeypatch: pytest.MonkeyPatch, *, passes: bool
) -> None:
    """`environment` takes HTTPS_PROXY and its like, and NO_PROXY keeps hosts out of it."""
    for name in ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    with office(b"{}") as beyond:
        for name, value in variables.items():
            monkeypatch.setenv(name, value.format(proxy=f"127.0.0.1:{beyond.port}"))
        submit(build(FLUXRELAY_PROXY="environment"))

    assert bool(beyond.at_proxy.lines) is passes


@pytest.mark.parametrize(
    ("entry", "address", "passes"),
    [
        ("127.0.0.0/8", "127.1.2.3", False),
        ("127.1.0.0/16", "127.2.2.3", True),
        ("127.1.2.3", "127.1.2.3", False),
        ("::/64", "[::1]", False),
        ("[::1]", "[::1]", False),
        ("fd00::/8", "[::1]", True),
    ],
)
def test_a_network_in_no_proxy_is_called_directly(
    build: Build, monkeypatch: pytest.MonkeyPatch, entry: str, address: str, *, passes: bool
) -> None:
    """Addresses count as names do, alone or as networks; port 1 refuses whoever calls it."""
    with office(b"{}") as beyond:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{beyond.port}")
        monkeypatch.setenv("NO_PROXY", entry)
        variables = {"FLUXRELAY_PROVIDER_URL": f"http://{address}:1"}
        submit(
            build(
                FLUXRELAY_PROXY="environment",
                FLUXRELAY_PROVIDER_TIMEOUT_SECONDS="0.2",
                **variables,
            )
        )

    assert bool(beyond.at_proxy.lines) is passes


def test_the_environments_variables_do_not_count_unasked(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the setting everything goes direct, whatever the environment says."""
    with office(b"{}") as beyond:
        for name in ("HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{beyond.port}")
        submit(build())

    assert beyond.at_proxy.lines == []


def test_a_proxy_that_is_away_means_that_nothing_was_sent(build: Build) -> None:
    """The job is sent later."""
    with office(b"") as beyond:
        port = beyond.port

    assert isinstance(submit(build(FLUXRELAY_PROXY=f"http://127.0.0.1:{port}")), NotSent)
