"""What moto's S3 leaves out, leaves aside or tells twice, put right; moto itself is given by `aws`.

(S3 user guide: "Event message structure", "Supported event types".) ``responseElements`` and addresses are made up:
nobody compares them.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from infra.local.config import ACCOUNT_ID

EMPTY_ETAG = "d41d8cd98f00b204e9800998ecf8427e"
SECURE = "aws:securetransport"
PUT, MARKED, DELETED = "s3:ObjectCreated:Put", "s3:ObjectRemoved:DeleteMarkerCreated", "s3:ObjectRemoved:Delete"


@dataclass(slots=True, kw_only=True)
class Port:
    """What S3 asks of those around it; one a process, as moto's state is."""

    send: Callable[[str, dict[str, Any]], None]
    """Give an event to a function, by its ARN."""
    admits: Callable[[str, str], bool]
    """(function ARN, bucket ARN): whether the function's policy lets S3 call it for the bucket."""
    now: Callable[[], float]


class Correction:
    """Stands between moto's S3 and its notifications; made once a process, with the port of whoever started last."""

    def __init__(self, models: Any, notifications: Any, error: Callable[[str, str], Exception]) -> None:
        self.port = Port(send=lambda _arn, _event: None, admits=lambda _arn, _bucket: True, now=lambda: 0.0)
        self._models = models
        self._error = error
        self._completing = 0
        self._tell, self._shape = notifications.send_event, notifications._get_s3_event  # noqa: SLF001 - of moto
        self._judge, self._notify = (
            models.FakeBucket.get_permission,
            models.S3Backend.put_bucket_notification_configuration,
        )
        self._complete, self._delete = models.S3Backend.complete_multipart_upload, models.S3Backend.delete_object
        notifications.send_event, notifications._get_s3_event = self.send_event, self.shape  # noqa: SLF001
        notifications._invoke_awslambda = lambda _id, event, arn, _region: self.port.send(arn, event)  # noqa: SLF001
        models.FakeBucket.get_permission = _method(self.judge)
        self._put_policy, models.S3Backend.put_bucket_policy = models.S3Backend.put_bucket_policy, _method(self.admit)
        models.S3Backend.put_bucket_notification_configuration = _method(self.notify)
        models.S3Backend.complete_multipart_upload = _method(self.complete)
        models.S3Backend.delete_object = _method(self.delete)

    def admit(self, s3: Any, bucket_name: str, policy: bytes) -> None:
        """Take a bucket policy, unless it is none, or holds on a condition that is not carried."""
        try:
            conditions = [each["Condition"] for each in _statements(json.loads(policy)) if "Condition" in each]
        except (ValueError, TypeError, KeyError):
            raise self._error("MalformedPolicy", "Policies must be valid JSON with a Statement") from None
        if unknown := [each for each in conditions if not _wants_no_tls(each)]:
            shown = json.dumps(unknown[0])
            raise self._error("NotEmulated", f"not emulated: the condition {shown} of a bucket policy")
        self._put_policy(s3, bucket_name, policy)

    def judge(self, bucket: Any, action: str, resource: str) -> Any:
        """Judge a bucket policy, whose conditions moto ignores, as for who comes by TLS."""
        stored = bucket.policy
        bucket.policy = stored and _under_tls(stored)
        try:
            return self._judge(bucket, action, resource)
        finally:
            bucket.policy = stored

    def notify(self, s3: Any, bucket_name: str, configuration: Any) -> None:
        """Refuse a function whose policy does not let S3 call it, as AWS does when the bucket is told of it."""
        before = s3.get_bucket(bucket_name).notification_configuration
        self._notify(s3, bucket_name, configuration)
        bucket = s3.get_bucket(bucket_name)
        told = bucket.notification_configuration.cloud_function if bucket.notification_configuration else ()
        if not all(self.port.admits(each.arn, bucket.arn) for each in told):
            bucket.notification_configuration = before
            raise self._error("InvalidArgument", "Unable to validate the following destination configurations")

    def complete(self, *given: Any, **named: Any) -> Any:
        """Complete an upload of parts: that moto puts the object by the way is not told."""
        self._completing += 1
        try:
            return self._complete(*given, **named)
        finally:
            self._completing -= 1

    def delete(self, s3: Any, bucket_name: str, key_name: str, *given: Any, **named: Any) -> Any:
        """Delete an object, and tell so where the bucket keeps versions too."""
        bucket = s3.get_bucket(bucket_name)
        done, meta = self._delete(s3, bucket_name, key_name, *given, **named)
        if bucket.is_versioned and "version-id" in meta:
            marked = (named.get("version_id") or (given[0] if given else None)) is None
            gone = SimpleNamespace(name=key_name, etag=EMPTY_ETAG, size=0, version_id=meta["version-id"])
            self._tell(s3.account_id, MARKED if marked else DELETED, bucket, gone)
        return done, meta

    def send_event(self, account_id: str, event_name: str, bucket: Any, key: Any) -> None:
        """Tell of an event of moto's, unless it is told elsewhere."""
        if (event_name == PUT and self._completing) or (event_name == DELETED and bucket.is_versioned):
            return
        self._tell(account_id, event_name, bucket, key)

    def shape(self, event_name: str, bucket: Any, key: Any, notification_id: str) -> dict[str, Any]:
        """Return an event, whole."""
        event: dict[str, Any] = self._shape(event_name, bucket, key, notification_id)
        for record in event["Records"]:
            record["userIdentity"] = {"principalId": f"AWS:{ACCOUNT_ID}"}
            record["requestParameters"] = {"sourceIPAddress": "127.0.0.1"}
            record["responseElements"] = {"x-amz-request-id": "0" * 16, "x-amz-id-2": "0" * 64}
            record["s3"]["bucket"]["ownerIdentity"] = {"principalId": ACCOUNT_ID}
            told = record["s3"]["object"]
            told["key"] = told["key"].replace("%2F", "/")
            if bucket.is_versioned:
                told["versionId"] = str(key.version_id)
            for name in {MARKED: ["size"], DELETED: ["size", "eTag"]}.get(event_name, []):
                del told[name]
            told["sequencer"] = f"{int(self.port.now() * 1e6):018X}"
        return event


def _statements(policy: Any) -> list[Any]:
    found = policy["Statement"]
    return found if isinstance(found, list) else [found]


def _under_tls(policy: bytes) -> bytes:
    """Return what of a bucket policy holds for who comes by TLS, for which loopback stands."""
    found = json.loads(policy)
    return json.dumps({**found, "Statement": [each for each in _statements(found) if "Condition" not in each]}).encode()


def _wants_no_tls(condition: Any) -> bool:
    """Say whether a condition is that of who does not come by TLS.

    IAM takes a key in any case and an operator in one, a value, or a list of one, in any. (IAM user guide, "IAM JSON
    policy elements: Condition".)
    """
    tests = condition.get("Bool") if isinstance(condition, dict) and list(condition) == ["Bool"] else None
    if not isinstance(tests, dict) or [key.lower() for key in tests] != [SECURE]:
        return False
    (value,) = tests.values()
    return [str(each).lower() for each in (value if isinstance(value, list) else [value])] == ["false"]


def _method(of: Callable[..., Any]) -> Callable[..., Any]:
    """Return a plain function, which a class binds to its objects as a bound method would not be."""

    def call(*given: Any, **named: Any) -> Any:
        return of(*given, **named)

    return call
