"""Ports for a local cloud of a test's own: fixed blocks below 32768, out of the way of a developer's running cloud."""

import os

_NAMES = ("aws", "mqtt", "https", "http_api", "gateway")
_FIRST = 21_000
_BLOCK = 10
_BLOCKS = 100


def ports(block: int) -> dict[str, int]:
    """Return ports by name, others in each of the processes that run tests side by side.

    ``FIELDLINE_TEST_PORTS`` moves the first block (21000) elsewhere.
    """
    process = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    first = int(os.environ.get("FIELDLINE_TEST_PORTS", _FIRST)) + process * _BLOCKS * _BLOCK
    return {name: first + block * _BLOCK + number for number, name in enumerate(_NAMES)}
