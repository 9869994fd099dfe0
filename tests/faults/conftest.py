"""One stack for all faults that need no accounts, regions or limits of their own."""

from collections.abc import Iterator

import pytest

from stack.options import StackOptions
from tests.conftest import Eventually
from tests.e2e.conftest import Customer
from tests.faults.harness import opened
from tests.timing import FAST

#: An image takes a tenth of a second, a result lives for 30 s.
SANDBOX = {"SANDBOX_TIME_SCALE": "0.05", "SANDBOX_GENERATION_SECONDS": "2"}


@pytest.fixture(scope="session")
def bench(eventually: Eventually) -> Iterator[Customer]:
    """Run the whole product, which forgives a provider that knows no task for 9 s."""
    variables = {**FAST, "FLUXRELAY_RESULT_LIFETIME_SECONDS": "6"}
    options = StackOptions(relay_variables=variables, sandbox_variables=SANDBOX)
    with opened(options, eventually) as customer:
        yield customer
