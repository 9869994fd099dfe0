"""The environment children start from: little of the caller's, nothing that could steer them."""

import os
from collections.abc import Mapping

#: What a child may see of the caller's environment. A list of what is allowed and not of what is
#: forbidden: proxies, AWS_*, FLUXRELAY_*, BFL_* and SANDBOX_* stay out without being named.
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
    """Return what a child sees: the few variables passed on, then the given ones."""
    passed_on = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    return {
        **passed_on,
        # The AWS SDK looks beyond its variables: into the home directory and the cloud's network.
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "PYTHONUNBUFFERED": "1",
        **variables,
    }
