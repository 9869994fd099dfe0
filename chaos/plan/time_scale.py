"""The time scale of a run: the settings that shorten every wait of the product."""

import json
from typing import Final

from chaos.plan.job_orders import VIDEO_MODEL

#: The provider's timeout in seconds; a slower answer leaves a doubt.
SUBMIT_TIMEOUT: Final = 3.0
#: Seconds that a submit in doubt waits for its webhook before it is repeated.
DOUBT: Final = 8.0

#: For the service and the workers.
RELAY: Final = {
    "FLUXRELAY_PROVIDER_TIMEOUT_SECONDS": str(SUBMIT_TIMEOUT),
    "FLUXRELAY_SUBMIT_IN_DOUBT_SECONDS": str(DOUBT),
    # Kills can put a job in doubt many times; all jobs must still succeed in the end.
    "FLUXRELAY_MAX_RESUBMITS": "3",
    "FLUXRELAY_WATCH_SECONDS": "4",
    "FLUXRELAY_SWEEP_INTERVAL_SECONDS": "0.5",
    "FLUXRELAY_SLOT_LEASE_SECONDS": "5",
    "FLUXRELAY_WEBHOOK_OVERDUE_SECONDS": "4",
    "FLUXRELAY_POLL_INTERVAL_SECONDS": "0.5",
    "FLUXRELAY_RETRY_BASE_SECONDS": "0.3",
    "FLUXRELAY_RETRY_MAX_SECONDS": "2",
    "FLUXRELAY_POOL_PAUSE_SECONDS": "0.5",
    "FLUXRELAY_CALLBACK_RETRY_BASE_SECONDS": "0.3",
    "FLUXRELAY_CALLBACK_TIMEOUT_SECONDS": "2",
    "FLUXRELAY_DOWNLOAD_TIMEOUT_SECONDS": "10",
}

#: A models file: videos take no longer here than images, so they are polled as often.
MODELS_FILE: Final = json.dumps(
    {
        "models": [
            {
                "name": VIDEO_MODEL,
                "like": VIDEO_MODEL,
                "first_poll_seconds": 0.5,
                "poll_seconds": 0.5,
            }
        ]
    }
)

#: For the sandbox: tasks take 0.2 to 1 s, a result's link lives for 60 s (of FLUX 3 for minutes),
#: and images and videos are cheap.
SANDBOX: Final = {
    "SANDBOX_TIME_SCALE": "0.1",
    "SANDBOX_GENERATION_SECONDS": "2-10",
    "SANDBOX_IMAGE_SIDE": "48",
    "SANDBOX_VIDEO_SCALE": "0.1",
}
