"""A function's resource policy: which of AWS's services, on whose behalf, may invoke it.

Pure. ("Lambda: resource-based policies").
"""

import fnmatch
import json
from collections.abc import Mapping, Sequence
from typing import Any

from infra.local.functions.model import LambdaError, invalid, malformed
from infra.local.wire import Caller

_CARRIED = {
    "StatementId",
    "Action",
    "Principal",
    "SourceArn",
    "SourceAccount",
    "Qualifier",
    "RevisionId",
    "FunctionName",
    "EventSourceToken",
}


def statement(given: Mapping[str, Any], resource_arn: str) -> dict[str, Any]:
    """Return the policy statement that AddPermission makes of its parameters.

    Raises:
        LambdaError: a parameter is missing, or not carried here.
    """
    for name in ("StatementId", "Action", "Principal"):
        if not given.get(name):
            raise malformed(None, name[0].lower() + name[1:], "Member must not be null")
    if unknown := set(given) - _CARRIED:
        raise invalid(f"AddPermission: {', '.join(sorted(unknown))} is not carried by the local cloud")
    principal = given["Principal"]
    conditions: dict[str, Any] = {}
    if given.get("SourceAccount"):
        conditions["StringEquals"] = {"AWS:SourceAccount": given["SourceAccount"]}
    if given.get("SourceArn"):
        conditions["ArnLike"] = {"AWS:SourceArn": given["SourceArn"]}
    return {
        "Sid": given["StatementId"],
        "Effect": "Allow",
        "Principal": "*" if principal == "*" else {"Service" if ".amazonaws.com" in principal else "AWS": principal},
        "Action": given["Action"],
        "Resource": resource_arn,
        **({"Condition": conditions} if conditions else {}),
    }


def check(statements: Sequence[Mapping[str, Any]], caller: Caller, arn: str, account: str) -> None:
    """Let a service's call pass, or refuse it; whoever signed with credentials was judged by IAM before.

    Raises:
        LambdaError: no statement allows the service, on behalf of its source, to invoke ``arn``.
    """
    if caller.kind != "service" or any(_allows(each, caller, account) for each in statements):
        return
    raise LambdaError(
        "AccessDeniedException",
        f"User: {caller.arn} is not authorized to perform: lambda:InvokeFunction on resource: {arn} because no "
        f"resource-based policy allows the lambda:InvokeFunction action",
        403,
    )


def document(statements: Sequence[Mapping[str, Any]]) -> str:
    """Return the policy as GetPolicy has it."""
    return json.dumps({"Version": "2012-10-17", "Id": "default", "Statement": list(statements)})


def _allows(each: Mapping[str, Any], caller: Caller, account: str) -> bool:
    principal = each["Principal"]
    if principal != "*" and principal.get("Service") != caller.arn:
        return False
    if each["Action"] not in {"lambda:InvokeFunction", "lambda:*", "*"}:
        return False
    conditions = each.get("Condition", {})
    source_account = conditions.get("StringEquals", {}).get("AWS:SourceAccount")
    source_arn = conditions.get("ArnLike", {}).get("AWS:SourceArn")
    if source_account and source_account != _account(caller.source_arn, account):
        return False
    return not source_arn or (caller.source_arn is not None and _arn_like(source_arn, caller.source_arn))


def _account(source_arn: str | None, own: str) -> str:
    """Return the account of the source; S3's ARNs name none and are our own."""
    parts = (source_arn or "").split(":")
    return (parts[4] if len(parts) > 4 else "") or own


def _arn_like(pattern: str, arn: str) -> bool:
    """Compare part by part, so that a wildcard does not reach over a colon. ("IAM: ARN condition operators")."""
    wanted, given = pattern.split(":", 5), arn.split(":", 5)
    return len(wanted) == len(given) and all(
        fnmatch.fnmatchcase(part, shape.replace("[", "[[]")) for part, shape in zip(given, wanted, strict=True)
    )
