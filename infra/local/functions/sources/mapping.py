"""An event source mapping: which function reads which queue or stream, and how.

Values, and what a batch's answer means. Pure.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from infra.local.config import ACCOUNT_ID
from infra.local.functions.model import InvokeResult, LambdaError, invalid, malformed
from infra.local.functions.sources import patterns

MAX_BATCH_BYTES = 6 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class EventSource:
    """One event source mapping."""

    id: str
    source_arn: str
    function: str
    """Name, or name and qualifier."""
    function_arn: str
    enabled: bool = True
    batch_size: int = 10
    window_s: float = 0.0
    report_failures: bool = False
    filters: tuple[Mapping[str, Any], ...] = ()
    starting_position: str | None = None
    bisect: bool = False
    retries: int = -1
    """-1: until the record is too old."""
    max_age_s: int = -1
    """-1: as long as the stream keeps it."""
    on_failure_arn: str | None = None
    parallelization: int = 1
    maximum_concurrency: int | None = None
    last_modified: float = 0.0

    @property
    def service(self) -> str:
        """Return ``sqs`` or ``dynamodb``."""
        return self.source_arn.split(":")[2]

    @property
    def arn(self) -> str:
        """Return the mapping's own ARN."""
        return f"arn:aws:lambda:{self.source_arn.split(':')[3]}:{ACCOUNT_ID}:event-source-mapping:{self.id}"

    def wants(self, record: Mapping[str, Any]) -> bool:
        """Say whether a record passes the filters; without any, each does."""
        return not self.filters or any(patterns.matches(pattern, record) for pattern in self.filters)


_COMMON = {"EventSourceArn", "FunctionName", "Enabled", "BatchSize", "MaximumBatchingWindowInSeconds", "FilterCriteria",
    "FunctionResponseTypes", "Tags"}  # fmt: skip
_CARRIED = {
    "sqs": _COMMON | {"ScalingConfig"},
    "dynamodb": _COMMON
    | {"StartingPosition", "BisectBatchOnFunctionError", "MaximumRetryAttempts", "MaximumRecordAgeInSeconds",
        "DestinationConfig", "ParallelizationFactor"},
}  # fmt: skip


def changed(mapping: EventSource, given: Mapping[str, Any]) -> EventSource:
    """Return the mapping with the parameters of Create- or UpdateEventSourceMapping.

    Raises:
        LambdaError: a parameter is out of its range, or not carried here.
    """
    unknown = (
        {name for name, value in given.items() if value not in (None, {}, [])} - _CARRIED[mapping.service] - {"UUID"}
    )
    if unknown:
        raise invalid(f"{', '.join(sorted(unknown))} is not carried by the local cloud for {mapping.service}")
    after = replace(mapping, **{field: read(given[name]) for name, (field, read) in _READERS.items() if name in given})
    _check(after)
    return after


_RANGES = {
    "batch_size": (1, 10_000), "window_s": (0, 300), "parallelization": (1, 10), "retries": (-1, 10_000),
    "max_age_s": (-1, 604_800),
}  # fmt: skip
"""("CreateEventSourceMapping")."""


def _check(after: EventSource) -> None:
    for name, (least, most) in _RANGES.items():
        if not least <= (value := getattr(after, name)) <= most:
            raise malformed(value, name, f"Member must have value between {least} and {most}")
    if 0 <= after.max_age_s < 60:
        raise invalid("MaximumRecordAgeInSeconds is -1, or 60 to 604800")
    if after.service == "sqs":
        _check_queue(after)
    elif after.starting_position not in {"TRIM_HORIZON", "LATEST"}:
        raise malformed(after.starting_position, "startingPosition", "TRIM_HORIZON or LATEST for a table's stream")


def _check_queue(after: EventSource) -> None:
    if after.source_arn.endswith(".fifo") and (after.window_s or after.batch_size > 10):
        raise invalid("A FIFO queue has batches of at most 10 and no batching window")
    if after.batch_size > 10 and after.window_s < 1:
        raise invalid("Maximum batch window in seconds must be greater than 0 if maximum batch size is greater than 10")
    if after.maximum_concurrency is not None and not 2 <= after.maximum_concurrency <= 1000:
        raise malformed(after.maximum_concurrency, "scalingConfig.maximumConcurrency", "between 2 and 1000")


def document(mapping: EventSource, state: str | None = None) -> dict[str, Any]:
    """Return the mapping as the API shows it. ("EventSourceMappingConfiguration")."""
    shown: dict[str, Any] = {
        "UUID": mapping.id,
        "EventSourceArn": mapping.source_arn,
        "EventSourceMappingArn": mapping.arn,
        "FunctionArn": mapping.function_arn,
        "BatchSize": mapping.batch_size,
        "MaximumBatchingWindowInSeconds": int(mapping.window_s),
        "FunctionResponseTypes": ["ReportBatchItemFailures"] if mapping.report_failures else [],
        "LastModified": mapping.last_modified,
        "State": state or ("Enabled" if mapping.enabled else "Disabled"),
        "StateTransitionReason": "USER_INITIATED",
    }
    if mapping.filters:
        shown["FilterCriteria"] = {"Filters": [{"Pattern": json.dumps(pattern)} for pattern in mapping.filters]}
    if mapping.service == "dynamodb":
        shown |= {
            "StartingPosition": mapping.starting_position,
            "BisectBatchOnFunctionError": mapping.bisect,
            "MaximumRetryAttempts": mapping.retries,
            "MaximumRecordAgeInSeconds": mapping.max_age_s,
            "ParallelizationFactor": mapping.parallelization,
            "DestinationConfig": {
                "OnFailure": {"Destination": mapping.on_failure_arn} if mapping.on_failure_arn else {}
            },
        }
    elif mapping.maximum_concurrency:
        shown["ScalingConfig"] = {"MaximumConcurrency": mapping.maximum_concurrency}
    return shown


def failed_items(mapping: EventSource, result: InvokeResult, ids: Sequence[str]) -> frozenset[str]:
    """Return which of ``ids`` a batch's answer leaves undone: none, those it names, or all.

    ("Implementing partial batch responses": an empty or null list or answer is a success; bad JSON, an empty or null
    identifier, a wrong key, an unknown identifier and a function error fail the whole batch.)
    """
    if result.function_error:
        return frozenset(ids)
    if not mapping.report_failures:
        return frozenset()
    try:
        answer = json.loads(result.payload or b"null")
        failures = (answer or {}).get("batchItemFailures") or []
        named = [failure["itemIdentifier"] for failure in failures]
    except (ValueError, AttributeError, KeyError, TypeError):
        return frozenset(ids)
    return frozenset(named) if set(named) <= set(ids) else frozenset(ids)


def _filters(given: Mapping[str, Any]) -> tuple[Mapping[str, Any], ...]:
    read = []
    for each in given.get("Filters") or []:
        try:
            pattern = json.loads(each["Pattern"])
        except ValueError as error:
            raise invalid("Invalid filter pattern definition.") from error
        patterns.check(pattern)
        read.append(pattern)
    return tuple(read)


def _responses(given: Sequence[str]) -> bool:
    if set(given) - {"ReportBatchItemFailures"}:
        raise LambdaError("InvalidParameterValueException", f"FunctionResponseTypes {given} is not carried")
    return bool(given)


_READERS: Mapping[str, tuple[str, Callable[[Any], Any]]] = {
    "Enabled": ("enabled", bool),
    "BatchSize": ("batch_size", int),
    "MaximumBatchingWindowInSeconds": ("window_s", float),
    "FilterCriteria": ("filters", _filters),
    "FunctionResponseTypes": ("report_failures", _responses),
    "StartingPosition": ("starting_position", str),
    "BisectBatchOnFunctionError": ("bisect", bool),
    "MaximumRetryAttempts": ("retries", int),
    "MaximumRecordAgeInSeconds": ("max_age_s", int),
    "ParallelizationFactor": ("parallelization", int),
    "ScalingConfig": ("maximum_concurrency", lambda value: value.get("MaximumConcurrency")),
    "DestinationConfig": ("on_failure_arn", lambda value: value.get("OnFailure", {}).get("Destination")),
}
