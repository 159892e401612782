"""What the local cloud's processes share: ready is one JSON line, and the end is a signal or a starter that is gone."""

import argparse
import asyncio
import json
import logging
import os
import signal
import stat
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, Protocol

import uvloop

from infra.local.config import forget_client_environment


class Rooms(Protocol):
    """What a process holds, made inside its event loop."""

    async def start(self) -> dict[str, int]:
        """Open the ports; return them by name."""

    async def stop(self) -> None:
        """Close the ports, then the rooms behind them."""


def build_parser(description: str) -> argparse.ArgumentParser:
    """Return a parser of what every process is told."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--state-dir", type=Path, required=True)
    return parser


async def serve(rooms: Rooms) -> None:
    """Run until told to stop: by SIGTERM, by SIGINT, or by the end of standard input where that is a pipe."""
    stop = asyncio.Event()
    try:
        ports = await rooms.start()
        sys.stdout.write(json.dumps({"ready": True, "ports": ports}) + "\n")
        sys.stdout.flush()
        await _until_told(stop)
    finally:
        await rooms.stop()


async def _until_told(stop: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if stat.S_ISFIFO(os.fstat(0).st_mode):
        loop.add_reader(0, lambda: None if os.read(0, 1024) else stop.set())
    await stop.wait()


def run(serving: Coroutine[Any, Any, None]) -> None:
    """Run a process's one event loop, on uvloop, with its log on standard error."""
    forget_client_environment()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    uvloop.run(serving)
