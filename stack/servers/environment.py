"""The environment of child processes: few of the caller's variables, and no others."""

import os
from collections.abc import Mapping

#: Variables that children inherit. An allow list and not a block list, so that proxies, AWS_*,
#: FLUXRELAY_*, BFL_* and SANDBOX_* stay out without being named.
PASSED_ON = (
    "HOME",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "PATH",
    "PYTHONDONTWRITEBYTECODE",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
    "TMPDIR",
    "TZ",
)


def child_environment(variables: Mapping[str, str]) -> dict[str, str]:
    """Return a child's environment: the few inherited variables, then the given ones."""
    passed_on = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    return {
        **passed_on,
        # Keeps the AWS SDK from reading the home directory and the cloud's metadata service.
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "PYTHONUNBUFFERED": "1",
        **variables,
    }
