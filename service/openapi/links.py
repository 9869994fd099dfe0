"""Links from an answer with an id to the operations that take it."""

from collections.abc import Mapping
from typing import Final

from service.openapi.schemas import Json

#: Operations that create something: the answer with its `id`, and the parameter that takes it.
_CREATE: Final[Mapping[str, tuple[str, str]]] = {
    "create_job": ("202", "job_id"),
    "retry_job": ("202", "job_id"),
    "create_batch": ("202", "batch_id"),
    "retry_batch": ("202", "batch_id"),
}


def link(paths: Json) -> Json:
    """Link each operation that creates something to those that take its id; return the paths."""
    by_path = {
        path: [one for method, one in item.items() if method != "parameters"]
        for path, item in paths.items()
    }
    for operations in by_path.values():
        for operation in operations:
            created = _CREATE.get(operation["operationId"])
            if created:
                status, parameter = created
                operation["responses"][status]["links"] = {
                    one["operationId"]: {
                        "operationId": one["operationId"],
                        "parameters": {parameter: "$response.body#/id"},
                    }
                    for path, others in by_path.items()
                    if f"{{{parameter}}}" in path and path.count("{") == 1
                    for one in others
                }
    return paths
