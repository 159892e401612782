"""``scripts/bench [name] [--option value …]``: run one benchmark and print its figures as one JSON line."""

import json
import os
import platform
import subprocess
import sys
from importlib import import_module
from typing import Any

BENCHES = {
    "main": "tests.performance.main_job",
    "gateway": "tests.performance.iot_mqtt",
    "rules": "tests.performance.rules",
    "cloud": "tests.performance.cloud",
    "functions": "tests.performance.functions",
}
"""Name → module with ``run(**options: str) -> dict``."""


def _commit() -> str:
    answer = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False)
    return answer.stdout.strip() or "unknown"


def _options(arguments: list[str]) -> dict[str, str]:
    names, values = arguments[::2], arguments[1::2]
    if len(names) != len(values) or not all(name.startswith("--") for name in names):
        sys.exit("usage: scripts/bench [name] [--option value …]")
    return {name[2:].replace("-", "_"): value for name, value in zip(names, values, strict=True)}


def main(arguments: list[str]) -> None:
    name = "main"
    if arguments and not arguments[0].startswith("--"):
        name, *arguments = arguments
    if name not in BENCHES:
        sys.exit(f"no benchmark {name!r}; there are: {', '.join(BENCHES)}")
    figures: dict[str, Any] = import_module(BENCHES[name]).run(**_options(arguments))
    machine = {"python": platform.python_version(), "cpus": os.cpu_count()}
    print(json.dumps({"bench": name, "commit": _commit(), **machine, **figures}))


if __name__ == "__main__":
    main(sys.argv[1:])
