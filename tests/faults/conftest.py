"""Stacks for all faults that need no accounts, regions or limits of their own."""

from collections.abc import Iterator

import pytest

from stack.options import StackOptions
from tests.conftest import Eventually
from tests.e2e.conftest import Customer
from tests.faults.harness import opened
from tests.quick_videos import SMALL, often_polled
from tests.timing import FAST

#: An image takes a tenth of a second, a result lives for 30 s.
SANDBOX = {"SANDBOX_TIME_SCALE": "0.05", "SANDBOX_GENERATION_SECONDS": "2"}
#: The same of a video, whose links live twelve times as long as an image's.
VIDEO_SANDBOX = {"SANDBOX_TIME_SCALE": "0.004", "SANDBOX_GENERATION_SECONDS": "25", **SMALL}
#: A provider that knows no task is forgiven for 9 s.
FORGIVING = {**FAST, "FLUXRELAY_RESULT_LIFETIME_SECONDS": "6"}
#: All videos of a scene are drawn at once: on a busy machine an answer may take its time.
PATIENT = {"FLUXRELAY_PROVIDER_TIMEOUT_SECONDS": "14", "FLUXRELAY_SUBMIT_IN_DOUBT_SECONDS": "15"}


@pytest.fixture(scope="package")
def bench(eventually: Eventually) -> Iterator[Customer]:
    """Run the whole product."""
    options = StackOptions(relay_variables=FORGIVING, sandbox_variables=SANDBOX)
    with opened(options, eventually) as customer:
        yield customer


@pytest.fixture(scope="package")
def studio(eventually: Eventually, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Customer]:
    """Run the whole product, for videos."""
    often = often_polled(tmp_path_factory.mktemp("models"))
    options = StackOptions(
        relay_variables={**FORGIVING, **PATIENT, **often}, sandbox_variables=VIDEO_SANDBOX
    )
    with opened(options, eventually) as customer:
        yield customer
