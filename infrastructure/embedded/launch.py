"""Become a child's program: shed root, die when the parent dies, then exec.

Run as a script (`launch.py PARENT_PID DEATH_SIGNAL UID GID PROGRAM [ARGUMENT...]`; a UID of -1 keeps the user), with
the standard library alone, all of it imported first: the new user may have no way to it. A program of its own, since a
`preexec_fn` may deadlock beside threads.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def die_with_parent(parent: int, death_signal: int) -> None:
    """Have the kernel send `death_signal` when the thread that started this process ends (Linux; elsewhere nothing)."""
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, death_signal, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != parent:
        sys.exit("The parent died before its child could ask to die with it.")


def main() -> None:
    parent, death_signal, uid, gid = map(int, sys.argv[1:5])
    program = sys.argv[5:]
    if uid >= 0:
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    die_with_parent(parent, death_signal)  # after setuid, which clears it
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # Python ignores it, and exec would hand that on
    os.execv(program[0], program)  # noqa: S606 - becoming that program is what this script is for


if __name__ == "__main__":
    main()
