"""Settings that are good by themselves and contradict each other are refused at the start."""

import pytest

from core.errors import SettingsError
from core.settings.settings import SERVICE, WORKER, Settings
from tests.timing import FAST

NEEDED = {
    "BFL_API_KEY": "provider-key-of-a-test",
    "FLUXRELAY_WEBHOOK_SECRET": "a-master-secret-that-is-long-enough-for-tests",
    "FLUXRELAY_API_KEYS": "demo:api-key-of-a-test-0001",
    "FLUXRELAY_REDIS_URL": "redis://127.0.0.1:1/0",
    "FLUXRELAY_S3_BUCKET": "pictures",
}


def _problems(environ: dict[str, str], process: str = WORKER) -> tuple[str, ...]:
    try:
        Settings.from_env(NEEDED | environ, process)
    except SettingsError as error:
        return error.problems
    return ()


def _variable(name: str) -> str:
    return f"FLUXRELAY_{name}_SECONDS"


@pytest.mark.parametrize("process", [SERVICE, WORKER])
@pytest.mark.parametrize(
    ("low", "high", "low_value", "high_value"),
    [
        ("RETRY_BASE", "RETRY_MAX", "60", "2"),
        ("RETRY_BASE", "RETRY_MAX", "30.1", None),
        ("RETRY_BASE", "RETRY_MAX", None, "0.9"),
        ("PROVIDER_TIMEOUT", "SUBMIT_IN_DOUBT", "300", None),
        ("CALLBACK_TIMEOUT", "WATCH", None, "15"),
        ("CALLBACK_RETRY_BASE", "CALLBACK_GIVE_UP", "90", "60"),
        ("CALLBACK_TIMEOUT", "CALLBACK_GIVE_UP", None, "14"),
        ("WEBHOOK_OVERDUE", "JOB_DEADLINE", "86400", None),
        ("POLL_INTERVAL", "JOB_DEADLINE", "900", "900"),
        ("SUBMIT_IN_DOUBT", "JOB_DEADLINE", None, "299"),
        ("POOL_PAUSE", "MAX_RETRY_AFTER", "301", None),
        ("POOL_PAUSE", "MAX_RETRY_AFTER", None, "10"),
        ("SWEEP_INTERVAL", "WATCH", "31", None),
        ("SWEEP_INTERVAL", "SLOT_LEASE", "20", "19"),
    ],
)
def test_a_pair_in_the_wrong_order_is_refused(
    low: str, high: str, low_value: str | None, high_value: str | None, process: str
) -> None:
    """Both variables are named, also where one has its default, and so is what to change."""
    given = {_variable(low): low_value, _variable(high): high_value}

    problems = _problems({name: value for name, value in given.items() if value}, process)

    (problem,) = [each for each in problems if each.startswith(_variable(high))]
    assert f" {_variable(low)}, or " in problem
    assert f"raise {_variable(high)} or lower the other" in problem
    assert all(value in problem for value in given.values() if value)


@pytest.mark.parametrize(
    "variables",
    [
        {},
        FAST,
        {_variable("RETRY_BASE"): "30"},
        {_variable("CALLBACK_RETRY_BASE"): "15", _variable("CALLBACK_GIVE_UP"): "15"},
        {_variable("POOL_PAUSE"): "300"},
        {_variable("SWEEP_INTERVAL"): "4", _variable("WATCH"): "16"},
        {_variable("JOB_DEADLINE"): "200", "FLUXRELAY_MAX_RESUBMITS": "0"},
    ],
)
def test_values_in_order_are_accepted(variables: dict[str, str]) -> None:
    """Equal values are accepted where nothing is lost, a long doubt where none is repeated."""
    assert _problems(variables) == ()


def test_all_contradictions_are_told_at_once_beside_other_problems() -> None:
    """One that names an unreadable value is left out, for its order is not known."""
    problems = _problems(
        {
            _variable("RETRY_BASE"): "60",
            _variable("CALLBACK_RETRY_BASE"): "100000",
            _variable("WATCH"): "soon",
            _variable("CALLBACK_TIMEOUT"): "31",
        }
    )

    assert [line.partition(":")[0] for line in problems] == [
        _variable("WATCH"),
        _variable("RETRY_MAX"),
        _variable("CALLBACK_GIVE_UP"),
    ]


@pytest.mark.parametrize(
    ("accounts", "models", "words"),
    [
        ('[{"name":"a","models":["flux-2-pro"]}]', "flux-2-flex", "serves flux-2-flex"),
        ('[{"name":"a","models":[]}]', "flux-2-pro,flux-2-flex", "flux-2-pro, flux-2-flex"),
        (
            '[{"name":"a","models":["flux-2-pro"]},{"name":"b","models":["flux-2-max"]}]',
            "flux-2-max,flux-2-flex",
            "serves flux-2-flex",
        ),
    ],
)
def test_a_model_that_is_offered_and_served_by_no_account_is_refused(
    accounts: str, models: str, words: str
) -> None:
    """Every job of it would be refused at intake."""
    environ = {"FLUXRELAY_ACCOUNTS": accounts, "FLUXRELAY_MODELS": models}

    (problem,) = _problems(environ, SERVICE)

    assert problem.startswith("FLUXRELAY_MODELS: no account in FLUXRELAY_ACCOUNTS ")
    assert words in problem


@pytest.mark.parametrize("models", ['["nope"]', '["flux-2-pro","Flux-2-Flex"]', '["flux-2-pro "]'])
def test_a_model_that_an_account_serves_and_nobody_knows_is_refused(models: str) -> None:
    """A misspelt name would leave the account without the jobs it is for."""
    accounts = f'[{{"name":"eu","models":{models}}}]'

    (problem,) = _problems({"FLUXRELAY_ACCOUNTS": accounts}, SERVICE)

    assert problem.startswith("FLUXRELAY_ACCOUNTS: account eu serves ")
