"""The faults of downloads."""

from collections.abc import Mapping
from typing import Final

from sandbox.faults import parameters
from sandbox.faults.behavior import DownloadPlan
from sandbox.faults.kinds import FaultKind
from sandbox.faults.parameters import SECONDS, STATUS, Parameter

#: Maximum flipped bits of one file.
FLIPS_MAX: Final = 10_000
#: Maximum redirects that lead to a file.
HOPS_MAX: Final = 100
#: Maximum bytes after which a download is cut off.
BYTES_MAX: Final = 2 * 1024**3
#: Content codings of a file; `br` is only declared, never applied.
CODINGS: Final = ("gzip", "deflate", "br")
#: What is done about a request for a part: the whole file is sent, it is refused, more is sent, or
#: the file has another ETag each time.
RANGES: Final = ("ignored", "refused", "shifted", "changed")


def _truncate(plan: DownloadPlan, fraction: float) -> None:
    plan.fraction = fraction


def _stall(plan: DownloadPlan, fraction: float, seconds: float) -> None:
    plan.fraction, plan.stall = fraction, seconds


def _cut(plan: DownloadPlan, **after: int) -> None:
    plan.cut_after = after["bytes"]


def _shorten(plan: DownloadPlan, fraction: float) -> None:
    plan.kept = fraction


def _odd_range(plan: DownloadPlan, kind: str) -> None:
    plan.ranges = kind


def _trickle(plan: DownloadPlan, seconds: float) -> None:
    plan.spread = seconds


def _corrupt(plan: DownloadPlan, flips: int) -> None:
    plan.flips = flips


def _refuse(plan: DownloadPlan, status: int) -> None:
    plan.status = status


def _redirect(plan: DownloadPlan, hops: int, status: int, to: str) -> None:
    plan.hops, plan.redirect, plan.elsewhere = hops, status, to


def _encode(plan: DownloadPlan, encoding: str) -> None:
    plan.encoding = encoding


def _html(plan: DownloadPlan) -> None:
    plan.html = True


_FRACTION: Final[Mapping[str, Parameter]] = {"fraction": parameters.share(0.99)}
_SECONDS: Final[Mapping[str, Parameter]] = {"seconds": SECONDS}

OF_DOWNLOADS: Final[Mapping[str, FaultKind]] = {
    "truncate_download": FaultKind(DownloadPlan, _truncate, _FRACTION),
    "stall_download": FaultKind(DownloadPlan, _stall, {**_FRACTION, **_SECONDS}),
    "cut_download": FaultKind(
        DownloadPlan, _cut, {"bytes": Parameter(int, 0, BYTES_MAX, default=1000)}
    ),
    "shorten_download": FaultKind(DownloadPlan, _shorten, _FRACTION),
    "odd_range": FaultKind(
        DownloadPlan, _odd_range, {"kind": Parameter(str, required=True, options=RANGES)}
    ),
    "trickle_download": FaultKind(DownloadPlan, _trickle, _SECONDS),
    "corrupt_download": FaultKind(
        DownloadPlan, _corrupt, {"flips": Parameter(int, 1, FLIPS_MAX, default=64)}
    ),
    "refuse_download": FaultKind(DownloadPlan, _refuse, {"status": STATUS}),
    "redirect_download": FaultKind(
        DownloadPlan,
        _redirect,
        {
            "hops": Parameter(int, 1, HOPS_MAX, default=1),
            "status": Parameter(int, 300, 399, default=302),
            "to": parameters.text(""),
        },
    ),
    "encode_download": FaultKind(
        DownloadPlan, _encode, {"encoding": Parameter(str, default="gzip", options=CODINGS)}
    ),
    "html_download": FaultKind(DownloadPlan, _html),
}
