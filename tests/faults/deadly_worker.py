"""`python -m tests.faults.deadly_worker`: the worker, with a cleaner of HTML that is the death of it."""

import os
import signal

from dependency_injector import providers

from infrastructure.container import Container
from infrastructure.formats.html import clean_html
from workers.main import run

DEADLY = "the death of a worker"


def clean(html: str) -> str:
    if DEADLY in html:
        os.kill(os.getpid(), signal.SIGKILL)
    return clean_html(html)


if __name__ == "__main__":
    Container.clean.override(providers.Object(clean))
    run()
