"""Names of variables: what is no setting is told, with what may have been meant."""

import logging

import pytest

from core.log import event_of_unknown
from core.settings.settings import SERVICE, Settings
from core.settings.variables import unknown
from tests.unit.startup import problems


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("FLUXRELAY_SLOT", "FLUXRELAY_SLOTS"),
        ("FLUXRELAY_REDIS_ULR", "FLUXRELAY_REDIS_URL"),
        ("FLUXRELAY_API_KEY", "FLUXRELAY_API_KEYS"),
        ("FLUXRELAY_S3_BUKET_FILE", "FLUXRELAY_S3_BUCKET_FILE"),
        ("FLUXRELAY_", ""),
        ("FLUXRELAY_XYZZY_PLUGH", ""),
    ],
)
def test_a_misspelt_name_is_told_with_the_nearest(
    caplog: pytest.LogCaptureFixture, name: str, nearest: str
) -> None:
    """A variable under our prefix that names no setting is one warning in the log."""
    found = unknown({name: "1", "PATH": "/bin", "FLUXRELAYS": "1"}, Settings.names())
    assert found == {name: nearest}
    with caplog.at_level(logging.INFO):
        event_of_unknown(found)
    (line,) = caplog.records
    assert line.getMessage() == "settings.unknown"
    assert vars(line)["fields"]["variable"] == name
    assert nearest in vars(line)["fields"]["reason"]


@pytest.mark.parametrize(
    "name",
    [
        *("FLUXRELAY_WORKER_ROLE", "FLUXRELAY_API_KEYS_FILE", "FLUXRELAY_PORT"),
        *("FLUXRELAY_SERVICE_HOST", "FLUXRELAY_SERVICE_PORT", "FLUXRELAY_SERVICE_PORT_HTTP"),
        *("FLUXRELAY_REDIS_SERVICE_HOST", "FLUXRELAY_REDIS_PORT", "FLUXRELAY_PORT_80_TCP"),
        *("FLUXRELAY_PORT_80_TCP_ADDR", "FLUXRELAY_PORT_80_TCP_PROTO"),
    ],
)
def test_what_is_no_slip_is_not_told(name: str) -> None:
    """Settings, their files, and what Kubernetes sets for a Service of our name are known."""
    assert unknown({name: "1"}, Settings.names()) == {}


@pytest.mark.parametrize(
    ("variables", "variable"),
    [
        ({"FLUXRELAY_SLOTS": "24,flux-kontext-maxx=6"}, "FLUXRELAY_SLOTS"),
        (
            {"FLUXRELAY_ACCOUNTS": '[{"name": "eu", "slots": "24,flux-3-turbo=6"}]'},
            "FLUXRELAY_ACCOUNTS",
        ),
    ],
)
def test_a_limit_for_no_model_is_told(variables: dict[str, str], variable: str) -> None:
    """A misspelt model would have no limit of its own, and its jobs be refused by the provider."""
    found = problems(variables, SERVICE)
    assert any(
        problem.startswith(f"{variable}: ")
        and "limits flux-" in problem
        and "no known model" in problem
        for problem in found
    ), found
