"""Imports from S3: the one way in for files. Each kind of file is a reader; all else is the same for all.

A file is read row by row. Good rows go in, bad ones are reported with line, field and reason. How far it has come is
kept every few hundred rows, so that a crash, a time-out or a second worker costs rows read again and nothing else.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any, Protocol

from backend.domain.csv_rows import Header, Row, read_header, read_rows
from backend.domain.imports import (
    MAX_FILE_BYTES,
    MAX_OPEN_PROBLEMS,
    ROWS_PER_STEP,
    DroppedFile,
    Outcome,
    Progress,
)
from backend.errors import ConflictError, InvalidInputError, NotFoundError, UnavailableError, invalid
from backend.ports import Clock, Log
from backend.ports.imports import Files, ImportProgress

MAX_TRIES = 5
"""To take a file up. Who gets in between writes one checkpoint for hundreds of rows, and is stopped by the next."""


class Reader(Protocol):
    """What is to be done with one kind of file."""

    def check_columns(self, columns: Sequence[str]) -> None:
        """Check what columns a file has.

        Raises:
            InvalidInputError: one is missing, or not known; names each.
        """

    def take(self, fields: Mapping[str, str], *, file: str, line: int) -> Outcome:
        """Let one row in; the same row of the same file and line once more has no further effect and the same outcome.

        Raises:
            InvalidInputError: it is a bad one; names every field, and no value that is a secret.
        """


class Imports:
    """Lets files in."""

    def __init__(
        self, *, files: Files, progress: ImportProgress, readers: Mapping[str, Reader], clock: Clock, log: Log
    ) -> None:
        self._files = files
        self._progress = progress
        self._readers = readers
        self._clock = clock
        self._log = log

    def run(self, file: DroppedFile, has_time: Callable[[], bool]) -> bool:
        """Import a file, or go on with it; False when time ran out and it is to be called again.

        The same file as often as it likes, at once too, ends in the same rows and the same report.

        Raises:
            UnavailableError: it could not be taken up, or gone on with, and nobody else does: try again.
        """
        reader = self._readers.get(file.kind)
        if reader is None:
            self._log.warning("nobody reads this", file=file.key)
            return True
        progress = self._take_up(file)
        if progress is None:
            return True
        try:
            return self._go_on(file, reader, progress, has_time)
        except ConflictError:
            self._check_left_to_another(file)
            return True
        except NotFoundError as error:
            self._log.warning("import ended", file=file.key, reason=error.message)
            return True

    def _take_up(self, file: DroppedFile) -> Progress | None:
        """Return where to go on; None where nothing is left to do."""
        for _ in range(MAX_TRIES):
            known = self._progress.find(file.place)
            if known is not None and known.sequencer == file.sequencer:
                return None if known.done else known
            if known is not None and file.is_older_than(known.sequencer):
                return None
            was = known.revision if known else None
            try:
                return self._progress.put(
                    Progress(file=file.place, sequencer=file.sequencer, revision=was or 0), was=was
                )
            except ConflictError:
                # Perhaps an older file under this key came to a checkpoint, and nobody has taken this one up.
                continue
        raise UnavailableError("Others write at the same time: try again.")

    def _check_left_to_another(self, file: DroppedFile) -> None:
        known = self._progress.find(file.place)
        if known is None or not (known.sequencer == file.sequencer or file.is_older_than(known.sequencer)):
            raise UnavailableError("How far the import had come is lost: try again.")
        self._log.info("another worker imports this, or a newer file", file=file.key)

    def _go_on(self, file: DroppedFile, reader: Reader, progress: Progress, has_time: Callable[[], bool]) -> bool:
        try:
            header = self._header(file, reader)
        except InvalidInputError as error:
            self._finish(file, progress.refuse(error))
            return True
        progress = progress.begin(header)
        rows = read_rows(self._files.read(file, progress.offset), header, offset=progress.offset, line=progress.line)
        for number, row in enumerate(rows, start=1):
            progress = _taken(file, reader, header, row, progress)
            if number % ROWS_PER_STEP == 0 or len(progress.problems) >= MAX_OPEN_PROBLEMS or not has_time():
                progress = self._keep(file, progress)
                if not has_time():
                    return False
        self._finish(file, progress)
        return True

    def _header(self, file: DroppedFile, reader: Reader) -> Header:
        if file.size_bytes > MAX_FILE_BYTES:
            raise invalid("file", f"is larger than {MAX_FILE_BYTES} bytes: split it, each part with the header")
        header = read_header(self._files.read(file, 0))
        reader.check_columns(header.columns)
        return header

    def _keep(self, file: DroppedFile, progress: Progress) -> Progress:
        if len(progress.problems) >= MAX_OPEN_PROBLEMS:
            # Written before it is said to be: whoever repeats it writes the same.
            self._files.write(file, file.problems(progress.parts + 1), {"problems": _shown(progress)})
            progress = replace(progress, parts=progress.parts + 1, problems=())
        return self._progress.put(progress, was=progress.revision)

    def _finish(self, file: DroppedFile, progress: Progress) -> None:
        report = {
            "file": file.key,
            "status": "refused" if progress.refused else "imported",
            "rows": progress.imported + progress.unchanged + progress.bad,
            "imported": progress.imported,
            "unchanged": progress.unchanged,
            "bad": progress.bad,
            "problems": _shown(progress),
            "more_problems_in": [file.problems(part) for part in range(1, progress.parts + 1)],
            "finished_at": self._clock.now().isoformat(),
        }
        # Ours still? Of two workers, and of an old file and a new one under its name, the one left behind stops here.
        progress = self._progress.put(progress, was=progress.revision)
        self._files.write(file, file.report, report)
        self._progress.put(replace(progress, done=True), was=progress.revision)
        counts = {name: report[name] for name in ("status", "rows", "imported", "unchanged", "bad")}
        self._log.info("import ended", file=file.key, **counts)


def _taken(file: DroppedFile, reader: Reader, header: Header, row: Row, progress: Progress) -> Progress:
    passed = progress.passed(end=row.end, end_line=row.end_line)
    if row.is_blank:
        return passed
    try:
        if row.problem:
            raise invalid("row", row.problem)
        outcome = reader.take(header.fields(row), file=file.name, line=row.line)
    except InvalidInputError as error:
        return passed.failed(row.line, error)
    return progress.passed(end=row.end, end_line=row.end_line, outcome=outcome)


def _shown(progress: Progress) -> list[dict[str, Any]]:
    return [asdict(problem) for problem in progress.problems]
