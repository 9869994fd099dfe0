"""Tasks are regional: the host that took a submit may not be the one that knows its task."""

from collections.abc import Iterator

import pytest

from stack.options import StackOptions
from stack.servers.ports import LOOPBACK, Ports
from tests.conftest import Eventually
from tests.e2e.conftest import Customer
from tests.faults.harness import Played, Scene, opened, play
from tests.timing import FAST, FAST_SANDBOX


@pytest.fixture(scope="module")
def customer(eventually: Eventually, ports: Ports) -> Iterator[Customer]:
    """Run a stack on a provider of two regions, whose hosts it knows."""
    hosts = {region: ports.take() for region in ("eu", "us")}
    regions = ",".join(f"{region}:{port}" for region, port in hosts.items())
    urls = ",".join(f"http://{LOOPBACK}:{port}" for port in hosts.values())
    options = StackOptions(
        relay_variables={**FAST, "FLUXRELAY_PROVIDER_POLL_URLS": urls},
        sandbox_variables={**FAST_SANDBOX, "SANDBOX_REGIONS": regions},
    )
    with opened(options, eventually) as found:
        yield found


@pytest.fixture(scope="module")
def played(customer: Customer) -> Played:
    """Make 50 jobs, half of them in each region, and lose all their webhooks."""
    scenes = {
        region: Scene({"route_submit": {"region": region}, "drop_webhook": {}}, count=25)
        for region in ("eu", "us")
    }
    return play(customer, scenes)


@pytest.mark.parametrize("region", ["eu", "us"])
def test_a_task_in_another_region_is_found(played: Played, region: str) -> None:
    """`drop_webhook` and `route_submit`: our host says 404, the region's has it; made once."""
    played.made_once(region)

    for task in played.tasks(region):
        assert (task["host"], task["region"]) == ("global", region)
        assert task["deliveries"] == []
        assert task["polls"]["global"] >= 1
        assert task["polls"][region] == 1
