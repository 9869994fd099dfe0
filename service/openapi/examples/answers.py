"""Answers of each operation, by its id and the answer's status; several have a name each."""

from collections.abc import Mapping
from typing import Any, Final

from service.openapi.examples import batches, jobs

#: Operation -> status -> name -> answer. The names are shown as titles.
ANSWERS: Final[Mapping[str, Mapping[str, Mapping[str, Any]]]] = {
    "create_job": {
        "202": {"Queued": jobs.QUEUED},
        "200": {"Ended while it was waited for": jobs.SUCCEEDED},
    },
    "show_job": {
        "200": {
            "Queued": jobs.IN_LINE,
            "Generating": jobs.GENERATING,
            "Succeeded": jobs.SUCCEEDED,
            "Failed": jobs.FAILED,
            "Canceled": jobs.CANCELED,
        }
    },
    "list_jobs": {
        "200": {"One page": {"jobs": [jobs.SUCCEEDED], "next_cursor": "AaH-7OZjd_i6SBqxcuy0gQ"}}
    },
    "cancel_job": {"200": {"Canceled": jobs.CANCELED}},
    "delete_job": {"200": {"Canceled": jobs.CANCELED}},
    "cancel_jobs": {"200": {"One moved on meanwhile": {"canceled": 11, "not_canceled": 1}}},
    "create_batch": {"202": {"One item skipped": batches.ACCEPTED}},
    "list_batches": {
        "200": {"The last page": {"batches": [batches.COMPLETED], "next_cursor": None}}
    },
    "show_batch": {"200": {"Running": batches.RUNNING, "Completed": batches.COMPLETED}},
    "list_batch_jobs": {"200": {"The last page": {"jobs": [jobs.OF_A_BATCH], "next_cursor": None}}},
    "cancel_batch": {"200": {"Running": batches.RUNNING}},
    "retry_batch": {"202": {"The new batch": batches.RETRY}},
    "resend_batch_callback": {"202": {"Being sent again": batches.SENT_AGAIN}},
    "retry_job": {"202": {"The new job": jobs.RETRY}},
    "resend_callback": {"202": {"Being sent again": jobs.SENT_AGAIN}},
    "list_callbacks": {
        "200": {
            "The last page": {
                "attempts": [
                    {
                        "id": "1795278301123-0",
                        "at": "2026-11-21T16:25:04.352Z",
                        "job_id": "01a1feec-e663-77f8-ba48-1ab172ecb481",
                        "batch_id": None,
                        "test_id": None,
                        "type": "job.succeeded",
                        "outcome": "failed",
                        "status": 503,
                        "milliseconds": 12,
                        "error": None,
                    },
                    {
                        "id": "1795278298871-0",
                        "at": "2026-11-21T16:24:58.863Z",
                        "job_id": None,
                        "batch_id": None,
                        "test_id": "01a1feec-d4c1-7a08-9b1e-0c53f5d7e2a6",
                        "type": "callback.test",
                        "outcome": "delivered",
                        "status": 204,
                        "milliseconds": 8,
                        "error": None,
                    },
                ],
                "next_cursor": None,
            }
        }
    },
    "replay_callbacks": {"202": {"All of them": {"replayed": 12, "more": False}}},
    "test_callback": {
        "200": {
            "Taken": {
                "id": "01a1feec-e663-77f8-ba48-1ab172ecb481",
                "delivered": True,
                "status": 204,
                "milliseconds": 8,
                "error": None,
            }
        },
        "202": {"Not sent yet": {"id": "01a1feec-e663-77f8-ba48-1ab172ecb481"}},
    },
    "show_callback_secret": {
        "200": {
            "Usual": {
                "secret": "whsec_CRAz45xgqGUFbMp9SmTwzqeH3tOw/nvurgHIPGKlOCk=",
                "previous": [],
            },
            "During a rotation": {
                "secret": "whsec_dGhlIG5ldyBzZWNyZXQgb2YgdGhlIHRlbmFudCBkZW1v",
                "previous": ["whsec_CRAz45xgqGUFbMp9SmTwzqeH3tOw/nvurgHIPGKlOCk="],
            },
        }
    },
    "list_dead_letters": {
        "200": {
            "A failed job": {
                "dead_letters": [
                    {
                        "kind": "job",
                        "at": jobs.FAILED["ended_at"],
                        "job": jobs.FAILED,
                        "batch": None,
                    }
                ],
                "next_cursor": None,
            },
            "The callback of a batch": {
                "dead_letters": [
                    {
                        "kind": "batch",
                        "at": "2026-11-22T16:33:33.350Z",
                        "job": None,
                        "batch": batches.UNTOLD,
                    }
                ],
                "next_cursor": None,
            },
        }
    },
    "list_models": {
        "200": {
            "One model": {
                "models": [
                    {
                        "name": "flux-tools/deblur-v1",
                        "endpoint": "/v1/flux-tools/deblur-v1",
                        "source": "BFL OpenAPI of 2026-09-19, Flux2DeblurInputs",
                        "webhook": True,
                        "cost_on_submit": True,
                        "most_pixels": None,
                        "media": "image",
                        "parameters": {
                            "image": {"kind": "image", "required": True, "urls": True},
                            "seed": {"kind": "integer", "required": False},
                        },
                        "variant_field": None,
                        "variants": [],
                    }
                ]
            }
        }
    },
    "show_openapi": {
        "200": {"Its beginning": {"openapi": "3.1.0", "info": {"title": "FluxRelay"}}}
    },
    "livez": {"200": {"Alive": {"status": "alive"}}},
    "readyz": {
        "200": {
            "Ready": {
                "status": "ready",
                "redis": "ok",
                "durability": "always",
                "storage": "ok",
                "bucket": "ok",
                "bucket_age_seconds": 42,
                "proxy": "ok",
                "accounts": {
                    "default": {
                        "refused": None,
                        "paused": None,
                        "paused_until": None,
                        "ceiling": None,
                        "ceiling_until": None,
                        "credits": "812.5",
                    }
                },
            }
        }
    },
}
