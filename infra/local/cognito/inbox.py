"""Where the messages go that AWS would send by e-mail or SMS: a file in the state directory that ``inbox`` reads."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

MAX_SIZE_BYTES = 1_000_000
"""Beyond it the older half is dropped: nobody reads ten thousand old codes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """One message to a person."""

    to: str
    """E-mail address or telephone number."""
    medium: str
    """``EMAIL`` or ``SMS``."""
    subject: str
    text: str
    code: str
    """The code within the text, so that tests and the demo need not look for it."""
    user: str
    reason: str
    """Cognito's trigger source: ``CustomMessage_SignUp`` …"""
    sent_at: str


class Inbox:
    """Everybody's letters, oldest first."""

    def __init__(self, state_dir: Path) -> None:
        self._path = state_dir / "inbox.jsonl"

    def clear(self) -> None:
        """Throw away what is left of an earlier run."""
        self._path.unlink(missing_ok=True)

    def add(self, letter: Letter) -> None:
        """Deliver a letter."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.touch(mode=0o600)
        with self._path.open("a") as file:
            file.write(json.dumps(asdict(letter)) + "\n")
            size_bytes = file.tell()
        if size_bytes > MAX_SIZE_BYTES:
            lines = self._path.read_text().splitlines(keepends=True)
            fresh = self._path.with_suffix(".new")
            fresh.write_text("".join(lines[len(lines) // 2 :]))
            fresh.replace(self._path)

    def letters(self, to: str | None = None) -> Iterator[Letter]:
        """Yield the letters, of one addressee or all."""
        if not self._path.exists():
            return
        for line in self._path.read_text().splitlines():
            letter = Letter(**json.loads(line))
            if to is None or to in (letter.to, letter.user):
                yield letter

    def last_code(self, to: str) -> str | None:
        """Return the code of the latest letter to somebody; None if there is none."""
        return next((letter.code for letter in reversed(list(self.letters(to)))), None)
