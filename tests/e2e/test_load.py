"""Many jobs at once, judged by the provider's ledger, the bucket and the callbacks."""

from typing import Any

from tests.e2e.conftest import Customer


def _mixed(number: int) -> dict[str, Any]:
    """Return one of several kinds of job."""
    if number % 3 == 0:
        ratio = ("1:1", "16:9", "9:21")[number % 9 // 3]
        form = "png" if number % 2 else "jpeg"
        options = {"aspect_ratio": ratio, "output_format": form}
        return {"model": "flux-kontext-pro", "input": {"prompt": f"kontext {number}", **options}}
    size = {"width": 256 + 32 * (number % 8), "height": 256}
    return {"model": "flux-pro-1.1", "input": {"prompt": f"pro {number}", "seed": number, **size}}


def _small(number: int) -> dict[str, Any]:
    size = {"width": 256, "height": 256}
    return {"model": "flux-pro-1.1", "input": {"prompt": f"small {number}", **size}}


def test_each_of_120_jobs_is_made_once_stored_whole_and_told(customer: Customer) -> None:
    """One task per job in the ledger, its bytes in S3, a verified callback for each."""
    job_ids = customer.send(120, _mixed)

    jobs = customer.wait_for_end(job_ids, 120)

    customer.judge(jobs)
    assert all(job["provider"]["resubmits"] == 0 for job in jobs)
    assert len(customer.receiver.callbacks) == 120


def test_the_way_of_a_job_can_be_read_back(customer: Customer) -> None:
    """The timeline names every status in order, with times that do not run backwards."""
    [job] = customer.wait_for_end(customer.send(1, _small), 30)

    times = [entry["at"] for entry in job["timeline"]]
    assert [entry["status"] for entry in job["timeline"]] == [
        "queued",
        "submitting",
        "generating",
        "storing",
        "succeeded",
    ]
    assert times == sorted(times)
