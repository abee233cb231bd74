"""Compare with other ways of serving slices.

usage: python3 dev.py bench [--quick] [--limit SECONDS] [NAME ...]
"""

from __future__ import annotations

import argparse
import importlib
import pkgutil
import signal
import sys
import time
import traceback

from benchmarks import scenarios
from benchmarks.bench import Busy, opened

ORDER = [
    "ceiling", "clients", "parts", "slices", "callers", "contiguous", "whole", "fairness", "index", "caches", "upload",
    "overviews", "zoom",
]  # fmt: skip


def main() -> int:
    """Run scenarios; returns 1 where one could not be run."""
    found = {module.name for module in pkgutil.iter_modules(scenarios.__path__)}
    names = [name for name in ORDER if name in found]
    parser = argparse.ArgumentParser(
        prog="dev.py bench", description=f"Scenarios: {', '.join(names)}; without a name all."
    )
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--quick", action="store_true", help="fewer runs, for a first look")
    parser.add_argument("--limit", type=float, default=600, metavar="SECONDS", help="give up a registration after this")
    asked = parser.parse_args()
    unknown = [name for name in asked.names if name not in names]
    if unknown:
        parser.error(f"there is no scenario {unknown[0]!r}; there are {', '.join(names)}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that everything is stopped in order
    try:
        return measure(asked.names or names, quick=asked.quick, limit_s=asked.limit)
    except Busy as error:
        print(f"dev.py bench: error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def measure(names: list[str], *, quick: bool, limit_s: float) -> int:
    """Run scenarios one after the other; one that fails does not keep the others from running."""
    failed = []
    with opened(quick=quick, limit_s=limit_s) as bench:
        for name in names:
            began_s = time.monotonic()
            try:
                report = importlib.import_module(f"benchmarks.scenarios.{name}").run(bench)
                report.write(bench.folder / "results" / f"{name}.md")
                print(f"\n({name}: {time.monotonic() - began_s:.0f} s)", flush=True)
            except Exception:
                traceback.print_exc()
                failed.append(name)
    if failed:
        print(f"dev.py bench: could not be run: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
