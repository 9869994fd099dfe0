"""Lends each run of tests the same SeaweedFS: starting one takes longer than most of these tests.

`lent` starts it; this module, loaded by pytest as a plugin, gives it to the tests instead of one of
their own, emptied.
"""

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import boto3
import pytest
from _pytest.fixtures import SubRequest

from stack.servers.ports import Ports
from stack.servers.seaweed import REGION, SeaweedFS

PLUGIN: Final = __name__
_VARIABLE: Final = "LENT_SEAWEEDFS"
_BUCKET: Final = "pictures"


@dataclass(frozen=True, slots=True)
class Lent:
    """What tests ask of a SeaweedFS."""

    endpoint: str
    access_key: str
    secret_key: str

    def empty(self) -> None:
        """Delete all that an earlier run left in the bucket."""
        client = boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            region_name=REGION,
        )
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=_BUCKET):
            for found in page.get("Contents", []):
                client.delete_object(Bucket=_BUCKET, Key=found["Key"])
        client.close()


@contextmanager
def lent(*, needed: bool) -> Iterator[dict[str, str]]:
    """Run a SeaweedFS for a while, where one is needed; yield the variables that lead to it."""
    if not needed:
        yield {}
        return
    with tempfile.TemporaryDirectory(prefix="lent-") as folder, Ports() as ports:
        directory = Path(folder)
        server = SeaweedFS(ports, bucket=_BUCKET, directory=directory, log=directory / "log")
        try:
            server.process.start()
            server.process.wait_ready()
            facts = Lent(server.endpoint, server.access_key, server.secret_key)
            yield {_VARIABLE: json.dumps(asdict(facts))}
        finally:
            server.close()


@pytest.hookimpl(tryfirst=True)
def pytest_fixture_setup(fixturedef: pytest.FixtureDef[Any], request: SubRequest) -> Lent | None:
    """Set the tests' own `seaweed` up as the one that is lent, where one is."""
    if fixturedef.argname != "seaweed" or _VARIABLE not in os.environ:
        return None
    server = Lent(**json.loads(os.environ[_VARIABLE]))
    server.empty()
    fixturedef.cached_result = (server, fixturedef.cache_key(request), None)
    return server
