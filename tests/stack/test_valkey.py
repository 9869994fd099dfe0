"""The embedded Valkey keeps what it acknowledged, and lets nobody in without the password."""

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from stack.servers.ports import LOOPBACK
from stack.servers.valkey import Valkey


def test_data_survives_a_kill(valkey: Valkey) -> None:
    """What WAITAOF confirmed is there after SIGKILL and a restart on the same port."""
    with valkey.client() as client:
        client.set("kept", "yes")
        assert client.waitaof(1, 0, 5000)[0] == 1
    valkey.process.kill()
    with valkey.client() as client, pytest.raises(redis.ConnectionError):
        client.ping()
    valkey.process.restart()
    with valkey.client() as client:
        assert client.get("kept") == "yes"


def test_the_password_is_asked_for(valkey: Valkey) -> None:
    """A client without the password gets nothing."""
    with (
        redis.Redis(host=LOOPBACK, port=valkey.port, retry=Retry(NoBackoff(), 0)) as stranger,
        pytest.raises(redis.AuthenticationError),
    ):
        stranger.ping()


def test_the_password_is_not_in_the_process_list(valkey: Valkey) -> None:
    """Arguments are public on a machine, so the password is not among them."""
    password = valkey.url.split(":")[2].split("@")[0]
    assert password not in " ".join(valkey.process.argv)
