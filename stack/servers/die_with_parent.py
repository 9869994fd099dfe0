"""Runs a program that the kernel kills when its launcher is gone.

Executed as a script between the launcher and the program: a request made with prctl(2) survives
execve(2), so the program needs no change. It is a script and not a `preexec_fn`, because running
Python between fork and exec in a threaded launcher can hang.
"""

import ctypes
import os
import signal
import sys

#: From <sys/prctl.h>: the signal that this process gets when its parent *thread* ends.
PR_SET_PDEATHSIG = 1


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process when its parent is gone.

    Args:
        parent: The parent's process id, as it was when this process began.

    Raises:
        OSError: The kernel refused the request.
        SystemExit: The parent is gone already.
    """
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    # The parent may have died before the request: then no signal would come.
    if os.getppid() != parent:
        sys.exit("the launcher is gone")


def main(arguments: list[str]) -> None:
    """Replace this process by the program in `arguments[1:]`.

    Args:
        arguments: The launcher's process id, then the program and its arguments.

    Raises:
        OSError: The kernel refused the request, or the program cannot be executed.
        SystemExit: The launcher is gone already.
    """
    launcher, *program = arguments
    die_with_parent(int(launcher))
    os.execvp(program[0], program)  # noqa: S606  # no shell: argv is passed unchanged


if __name__ == "__main__":
    main(sys.argv[1:])
