"""The private process: everything slow. RQ runs its tasks; a loop of its own runs the sweep."""

import sys
from typing import Any, cast

# Importing httpx loads its command line too, and with it rich, click and Pygments, where they are
# installed: 50 ms and 4 MB for each worker. Without it, httpx goes on as if they were not.
sys.modules.setdefault("httpx._main", cast("Any", None))  # None means: not to be imported
