"""How long `byline up` takes until it is ready, and what its idle processes take of the memory.

Ready is the first 200 of /health/ready. Memory is PSS, in which what processes share is counted once.
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from urllib.request import urlopen

import psutil

from benchmarks.load import Spread
from infrastructure.embedded.ports import free_port

HOST = "127.0.0.1"
STARTS = 5
PATIENCE_S = 60.0


def start(folder: Path) -> tuple["subprocess.Popen[bytes]", float]:
    """The process, and the seconds until it was ready."""
    port = free_port(0, HOST)
    environment = os.environ | {"BYLINE_DATA_DIR": str(folder), "BYLINE_PORT": str(port)}
    began = time.monotonic()
    byline = Path(sys.executable).with_name("byline")
    process = subprocess.Popen([byline, "up"], env=environment, stdout=subprocess.DEVNULL, start_new_session=True)
    while True:
        try:
            with urlopen(f"http://{HOST}:{port}/health/ready", timeout=1):
                return process, time.monotonic() - began
        except OSError:
            if process.poll() is not None or time.monotonic() > began + PATIENCE_S:
                raise
            time.sleep(0.02)


def stop(process: "subprocess.Popen[bytes]") -> None:
    process.send_signal(signal.SIGINT)
    process.wait(timeout=PATIENCE_S)


def pss_mib(pid: int) -> float:
    """Of a process and all below it."""
    top = psutil.Process(pid)
    tree = (top, *top.children(recursive=True))
    return float(sum(process.memory_full_info().pss for process in tree)) / 2**20


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="byline-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        process, first_s = start(folder)
        stop(process)
        print(f"first start, with initdb: ready after {first_s:.1f} s")
        seconds = []
        for _ in range(STARTS):
            process, took_s = start(folder)
            seconds.append(took_s)
            if len(seconds) < STARTS:
                stop(process)
        print(f"later starts: ready after {Spread.of(seconds)} s")
        print(f"idle tree: {pss_mib(process.pid):.0f} MiB PSS")
        stop(process)


if __name__ == "__main__":
    main()
