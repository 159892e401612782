"""Imports of files: what was dropped, how far it has come, and what is reported.

What an import does to a row depends on nothing but the file and what stood there before: every row that goes in carries
its origin, the import and the line, so that a row met again (after a crash, by a second delivery of the same event, by
two workers at once) is known for its own, and every way through the file ends in the same report.
"""

from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum

from backend.domain.csv_rows import Header
from backend.errors import InvalidInputError

MAX_FILE_BYTES = 100_000_000
"""About half a million rows: Lambda ends a chain of 16 invocations, each of 15 minutes. (AWS Lambda developer guide,
"Use Lambda recursive loop detection to prevent infinite loops".)"""
MAX_OPEN_PROBLEMS = 1_000
"""Of one object of problems."""
MAX_REASON = 250
ROWS_PER_STEP = 500
"""What is read twice, at most, after a crash."""
RETENTION = timedelta(days=30)


class Outcome(StrEnum):
    """What became of a row that is good."""

    IMPORTED = "imported"
    UNCHANGED = "unchanged"
    """It stood there before, and says the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DroppedFile:
    """A file as the event of its arrival names it."""

    bucket: str
    key: str
    etag: str
    size_bytes: int
    sequencer: str
    """Of two events of one key, the later has the greater."""

    @property
    def kind(self) -> str:
        """Return what is in it: the folder it was dropped in."""
        return self.key.partition("/")[0]

    @property
    def place(self) -> str:
        """Return bucket and key, under which at most one import at a time stands."""
        return f"{self.bucket}/{self.key}"

    @property
    def name(self) -> str:
        """Return this very file, under which its rows are remembered."""
        return f"{self.key}@{self.sequencer}"

    @property
    def report(self) -> str:
        """Return the key of its report."""
        return f"{self.key}.report.json"

    def problems(self, part: int) -> str:
        """Return the key of problems that have no place in the report."""
        return f"{self.key}.problems-{part:04d}.json"

    def is_older_than(self, sequencer: str) -> bool:
        """Say whether another event of this key is the later one.

        (Amazon S3 user guide, "Event message structure": the shorter of two is filled up with zeros on the right.)
        """
        width = max(len(self.sequencer), len(sequencer))
        return self.sequencer.ljust(width, "0") < sequencer.ljust(width, "0")


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing wrong with one field of one row; without a line, with the file."""

    line: int | None
    field: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far an import has come."""

    file: str
    """Bucket and key."""
    sequencer: str
    offset: int = 0
    """The byte of the next row."""
    line: int = 1
    imported: int = 0
    unchanged: int = 0
    bad: int = 0
    problems: tuple[Problem, ...] = ()
    parts: int = 0
    """Objects of problems written, because there were too many to keep."""
    refused: bool = False
    """The file itself is at fault; no row of it was read."""
    done: bool = False
    revision: int = 0
    """Of what is stored."""

    def begin(self, header: Header) -> "Progress":
        """Return the progress after the header."""
        return self if self.offset else replace(self, offset=header.end, line=header.end_line)

    def passed(self, *, end: int, end_line: int, outcome: Outcome | None = None) -> "Progress":
        """Return the progress after a row; None for one that is blank."""
        return replace(
            self,
            offset=end,
            line=end_line,
            imported=self.imported + (outcome is Outcome.IMPORTED),
            unchanged=self.unchanged + (outcome is Outcome.UNCHANGED),
        )

    def failed(self, line: int, error: InvalidInputError) -> "Progress":
        """Return the progress with a bad row in it."""
        found = tuple(
            Problem(line=line, field=each.field, reason=each.problem[:MAX_REASON]) for each in error.violations
        )
        return replace(self, bad=self.bad + 1, problems=(*self.problems, *found))

    def refuse(self, error: InvalidInputError) -> "Progress":
        """Return the end of an import whose file is at fault."""
        found = tuple(Problem(line=None, field=each.field, reason=each.problem) for each in error.violations)
        return replace(self, problems=found, refused=True)
