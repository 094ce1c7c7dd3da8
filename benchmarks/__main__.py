"""`python -m benchmarks [NAME…]`: the named benchmarks, or all of them. One alone may be given options of its own."""

import sys
from collections.abc import Callable, Mapping, Sequence
from itertools import takewhile
from typing import Final

from benchmarks import footprint
from benchmarks.imports import command as imports
from benchmarks.reads import command as reads

BENCHMARKS: Final[Mapping[str, Callable[[], None]]] = {
    "reads": reads.main,
    "footprint": footprint.main,
    "imports": imports.main,
}
WITH_OPTIONS: Final[Mapping[str, Callable[[Sequence[str]], None]]] = {"reads": reads.main, "imports": imports.main}


def main(arguments: Sequence[str]) -> None:
    names = list(takewhile(lambda argument: not argument.startswith("-"), arguments))
    options = arguments[len(names) :]
    unknown = [name for name in names if name not in BENCHMARKS]
    if options in (["-h"], ["--help"]) and not names:
        print(f"{__doc__}\n\nThere are {', '.join(BENCHMARKS)}; options have {', '.join(WITH_OPTIONS)}.")
    elif unknown:
        sys.exit(f"There is no benchmark {unknown[0]}; there are {', '.join(BENCHMARKS)}.")
    elif not options:
        for name in names or BENCHMARKS:
            BENCHMARKS[name]()
    elif len(names) == 1 and names[0] in WITH_OPTIONS:
        WITH_OPTIONS[names[0]](options)
    else:
        sys.exit(f"Options are for one benchmark, of {', '.join(WITH_OPTIONS)}.")


if __name__ == "__main__":
    main(sys.argv[1:])
