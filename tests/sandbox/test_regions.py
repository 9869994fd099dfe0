"""Regions: a port each, tasks that only their own region knows, addresses that lead there."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx
import pytest

from sandbox.tasks.hosts import Hosts

if TYPE_CHECKING:
    from tests.sandbox.conftest import FreePorts, RunningSandbox, StartSandbox, WaitFor

KEY = {"x-key": "sandbox-key-1"}


@pytest.fixture
def regional(start_sandbox: StartSandbox, free_ports: FreePorts) -> tuple[RunningSandbox, str, str]:
    """A sandbox with two regions, and their addresses."""
    eu, us = free_ports(2)
    running = start_sandbox(REGIONS=f"eu:{eu},us:{us}")
    return running, f"http://127.0.0.1:{eu}", f"http://127.0.0.1:{us}"


def test_only_the_own_region_knows_a_task(regional: tuple[RunningSandbox, str, str]) -> None:
    """The global host and the other region answer 404 with `Task not found`."""
    sandbox, eu, us = regional
    made = sandbox.client.post(f"{eu}/v1/flux-pro-1.1", json={"prompt": "x"}, headers=KEY).json()
    assert made["polling_url"] == f"{eu}/v1/get_result?id={made['id']}"
    asked = {
        url: sandbox.client.get(f"{url}/v1/get_result", params={"id": made["id"]})
        for url in (eu, us, sandbox.url)
    }
    assert {url: answer.status_code for url, answer in asked.items()} == {
        eu: 200,
        us: 404,
        sandbox.url: 404,
    }
    assert asked[us].json()["status"] == "Task not found"
    entry = sandbox.entry(made["id"])
    assert (entry["region"], entry["host"]) == ("eu", "eu")
    assert entry["polls"] == {"eu": 1, "us": 1, "global": 1}


def test_the_global_host_uses_the_regions_in_turn(
    regional: tuple[RunningSandbox, str, str],
) -> None:
    """Each of four submits comes with the address of the region that runs it."""
    sandbox, eu, us = regional
    made = [sandbox.submit(prompt="x").json() for _ in range(4)]
    homes = [each["polling_url"].partition("/v1/")[0] for each in made]
    assert homes == [eu, us, eu, us]
    entries = [sandbox.entry(each["id"]) for each in made]
    assert [each["region"] for each in entries] == ["eu", "us", "eu", "us"]
    assert {each["host"] for each in entries} == {"global"}


def test_the_picture_lies_in_the_region(
    regional: tuple[RunningSandbox, str, str], wait_for: WaitFor
) -> None:
    """The result's address names the region's host, and works."""
    sandbox, _, us = regional
    sandbox.set_faults(route_submit={"region": "us"})
    polling_url = sandbox.submit(prompt="x").json()["polling_url"]
    assert polling_url.startswith(us)
    ended = wait_for(
        lambda: polled if (polled := sandbox.client.get(polling_url).json())["result"] else None
    )
    assert ended["result"]["sample"].startswith(f"{us}/results/")
    assert sandbox.client.get(ended["result"]["sample"]).status_code == 200


def test_a_fault_can_be_for_one_host(regional: tuple[RunningSandbox, str, str]) -> None:
    """One region refuses, the other takes; an unknown host or region is refused."""
    sandbox, eu, us = regional
    sandbox.set_faults(refuse_submit={"status": 503, "host": "eu"})
    codes = [
        sandbox.client.post(f"{url}/v1/flux-pro-1.1", json={}, headers=KEY).status_code
        for url in (eu, us)
    ]
    assert codes == [503, 200]
    for asked in ({"cut_answer": {"host": "mars"}}, {"route_submit": {"region": "mars"}}):
        assert sandbox.client.post("/sandbox/faults", json=asked).status_code == 422


def test_utility_routes_are_on_every_host(regional: tuple[RunningSandbox, str, str]) -> None:
    """Credits are the account's, whichever host is asked."""
    sandbox, *urls = regional
    left = [sandbox.client.get(f"{url}/v1/credits", headers=KEY).json() for url in urls]
    assert left == [{"credits": sandbox.credits()}] * 2


def test_without_regions_the_one_host_knows_all(sandbox: RunningSandbox) -> None:
    """No region stands in the ledger, and the polling address is the host's."""
    made = sandbox.submit(prompt="x").json()
    assert httpx.URL(made["polling_url"]).port == urlsplit(sandbox.url).port
    assert (sandbox.entry(made["id"])["region"], sandbox.entry(made["id"])["host"]) == (
        None,
        "global",
    )


@pytest.mark.parametrize(
    ("public", "expected"),
    [
        ("http://sandbox:8090", "http://sandbox:8091"),
        ("http://flux.example", "http://flux.example:8091"),
        ("http://[::1]:8090", "http://[::1]:8091"),
        ("https://flux.example/behind", "https://flux.example:8091/behind"),
    ],
)
def test_a_regions_address_is_the_public_one_with_its_port(public: str, expected: str) -> None:
    """Only the port differs."""
    assert Hosts(public, {"eu": 8091}).url("eu") == expected
    assert Hosts(public, {"eu": 8091}).url(None) == public
