"""A Redis that became a replica is hung up on: after a failover its name leads elsewhere."""

from collections.abc import Iterator
from typing import Any

import pytest
import redis

from core.errors import StoreUnavailable
from core.jobs.job import JobId
from core.jobs.status import Status
from core.redis.store import JobStore
from tests.contract.jobs import accept


@pytest.fixture
def demoted(redis_client: "redis.Redis") -> Iterator[Any]:
    """Return a client of a Redis that is a replica of a server that nobody reaches."""
    options = dict(redis_client.connection_pool.connection_kwargs)
    operator: Any = redis.Redis(connection_pool=redis.ConnectionPool(**options))
    operator.replicaof("127.0.0.1", "1")
    yield operator
    operator.replicaof("NO", "ONE")
    operator.close()
    operator.connection_pool.disconnect()


def test_the_next_command_asks_the_name_anew(
    store: JobStore, redis_client: "redis.Redis", demoted: Any
) -> None:
    """After a refused write the next command opens a connection, which a failover has moved."""
    demoted.replicaof("NO", "ONE")
    accept(store, "1")
    before = redis_client.client_id()
    demoted.replicaof("127.0.0.1", "1")

    with pytest.raises(StoreUnavailable, match="ReadOnlyError"):
        store.move(JobId("1"), Status.FAILED)

    assert redis_client.client_id() != before


def test_a_refused_plain_command_hangs_up_as_well(
    store: JobStore, redis_client: "redis.Redis", demoted: Any
) -> None:
    """What is no script goes to the new primary, too, from its next try on."""
    demoted.replicaof("NO", "ONE")
    before = redis_client.client_id()
    demoted.replicaof("127.0.0.1", "1")

    with pytest.raises(StoreUnavailable, match="ReadOnlyError"):
        store.read("set", "ready", "")

    assert redis_client.client_id() != before


def test_a_refused_intake_hangs_up_as_well(
    store: JobStore, redis_client: "redis.Redis", demoted: Any
) -> None:
    """Jobs that come together share a connection: it must not stay with the old server."""
    demoted.replicaof("NO", "ONE")
    accept(store, "1")
    before = redis_client.client_id()
    demoted.replicaof("127.0.0.1", "1")

    with pytest.raises(StoreUnavailable, match="replica"):
        accept(store, "2")

    assert redis_client.client_id() != before


def test_a_replica_is_not_judged(
    store: JobStore, redis_client: "redis.Redis", demoted: Any
) -> None:
    """What it says of its disk must not hold for the primary that comes after it."""
    assert demoted.info()["role"] == "slave"
    with pytest.raises(StoreUnavailable, match="replica"):
        store.scripts.check()
    demoted.replicaof("NO", "ONE")
    before = int(redis_client.info("commandstats").get("cmdstat_waitaof", {"calls": 0})["calls"])

    accept(store, "1")

    stats = redis_client.info("commandstats")
    assert int(stats["cmdstat_waitaof"]["calls"]) == before + 1
