"""A supervisor with one child and a body, for tests that send it signals: `python -m tests.embedded.body SCRIPT BODY`.

SCRIPT is the child's, in shell; it is ready when it has said something. BODY is `wait`, `fail` (after a line of input),
or `start` for a child that never gets ready.
"""

import asyncio
import os
import sys
from pathlib import Path

from infrastructure.embedded.process import Child, Program
from infrastructure.embedded.supervisor import Supervisor

LOG = Path("logs", "child.log")
FOREVER_S = 600.0
"""Longer than any test waits: what ends a child that does not listen is something else."""


def has_spoken() -> bool:
    return LOG.stat().st_size > 0


async def body(script: str, kind: str) -> None:
    async def ready() -> bool:
        return kind != "start" and has_spoken()

    program = Program(("/bin/sh", "-c", script), env=os.environ)
    child = Child("child", program, ready, log=LOG, stop_timeout_s=FOREVER_S)
    async with Supervisor() as supervisor:
        await supervisor.start(child)
        print("ready", flush=True)
        if kind == "fail":
            sys.stdin.readline()
            raise LookupError("the body failed")
        await supervisor.wait()
    print("stopped", flush=True)


if __name__ == "__main__":
    asyncio.run(body(*sys.argv[1:]))
