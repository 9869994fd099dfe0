"""The time scale of tests: every wait of the product, shortened by its setting."""

from typing import Final

#: For the service and the workers. A lease of 3 s and a sweep every 0.2 s put a lost step back to
#: work within 10 s.
FAST: Final = {
    "FLUXRELAY_WATCH_SECONDS": "3",
    "FLUXRELAY_SWEEP_INTERVAL_SECONDS": "0.2",
    "FLUXRELAY_SLOT_LEASE_SECONDS": "3",
    "FLUXRELAY_PROVIDER_TIMEOUT_SECONDS": "4",
    "FLUXRELAY_SUBMIT_IN_DOUBT_SECONDS": "6",
    "FLUXRELAY_WEBHOOK_OVERDUE_SECONDS": "3",
    "FLUXRELAY_POLL_INTERVAL_SECONDS": "0.2",
    "FLUXRELAY_RETRY_BASE_SECONDS": "0.2",
    "FLUXRELAY_RETRY_MAX_SECONDS": "1",
    "FLUXRELAY_POOL_PAUSE_SECONDS": "0.5",
    "FLUXRELAY_CALLBACK_RETRY_BASE_SECONDS": "0.2",
    "FLUXRELAY_CALLBACK_TIMEOUT_SECONDS": "2",
    "FLUXRELAY_DOWNLOAD_TIMEOUT_SECONDS": "10",
}

#: For the sandbox: an image takes a tenth of a second, a result lives for 60 s.
FAST_SANDBOX: Final = {"SANDBOX_TIME_SCALE": "0.1", "SANDBOX_GENERATION_SECONDS": "1"}
