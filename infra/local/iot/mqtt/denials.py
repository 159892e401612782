"""Why AWS would have closed the socket: every refusal, one JSON line in ``denials.jsonl``, bounded."""

import json
import logging
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

LOG = logging.getLogger(__name__)
FILE_NAME = "denials.jsonl"
KEPT_LINES = 2_000


class DenialLog:
    """Appends refusals; when the file holds twice what is kept, the older half goes."""

    def __init__(self, path: Path | None, time: Callable[[], float], kept: int = KEPT_LINES) -> None:
        self._path = path
        self._time = time
        self._kept: deque[str] = deque(maxlen=kept)
        self._written = 0
        self.total = 0
        if path is not None:
            path.unlink(missing_ok=True)

    def write(self, entry: Mapping[str, Any]) -> None:
        """Write one refusal: who, action, resource, statements considered, what is missing."""
        line = json.dumps({"at": round(self._time(), 3), **entry}, default=str)
        self.total += 1
        self._kept.append(line)
        LOG.info("refused: %s", line)
        if self._path is None:
            return
        limit = self._kept.maxlen or KEPT_LINES
        if self._written >= 2 * limit:
            fresh = self._path.with_suffix(".new")
            fresh.write_text("".join(f"{kept}\n" for kept in self._kept))
            fresh.replace(self._path)  # whoever reads meanwhile sees whole lines
            self._written = len(self._kept)
            return
        with self._path.open("a") as file:
            file.write(f"{line}\n")
        self._written += 1

    def entries(self) -> list[dict[str, Any]]:
        """Return what is kept, oldest first."""
        return [json.loads(line) for line in self._kept]
