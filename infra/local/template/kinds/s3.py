"""Amazon S3's resource types: CloudFormation and the API describe the same settings in different words.

What has no counterpart here goes through as it is, and is refused by name where the call does not know it.
"""

from typing import Any

from infra.local.template.kinds.kind import Arguments, Kind, Part, Work

Renames = dict[str, str]

CORS: Renames = {"ExposedHeaders": "ExposeHeaders", "MaxAge": "MaxAgeSeconds", "Id": "ID"}


def _setting(argument: str, put: str, delete: str, convert: Any = lambda value: value) -> Part:
    """Return a part that writes one bucket setting by its own pair of calls."""

    def carry(work: Work, value: Any) -> None:
        if value is None:
            work.call(delete, Bucket=work.ref)
        else:
            work.call(put, Bucket=work.ref, **{argument: convert(value)})

    return carry


def _encryption(value: Arguments) -> Arguments:
    rules = []
    for rule in value["ServerSideEncryptionConfiguration"]:
        rest = dict(rule)
        default = rest.pop("ServerSideEncryptionByDefault", None)
        rules.append({**rest, **({"ApplyServerSideEncryptionByDefault": default} if default else {})})
    return {"Rules": rules}


def _cors(value: Arguments) -> Arguments:
    return {"CORSRules": [{CORS.get(name, name): entry for name, entry in rule.items()} for rule in value["CorsRules"]]}


def _lifecycle(value: Arguments) -> Arguments:
    return {"Rules": [_lifecycle_rule(dict(rule)) for rule in value["Rules"]]}


def _lifecycle_rule(rule: Arguments) -> Arguments:
    made: Arguments = {"Filter": {"Prefix": rule.pop("Prefix", "")}}
    if "Id" in rule:
        made["ID"] = rule.pop("Id")
    if "ExpirationInDays" in rule:
        made["Expiration"] = {"Days": rule.pop("ExpirationInDays")}
    return {**made, **rule}


def _notification(value: Arguments) -> Arguments:
    targets = {"LambdaConfigurations": "Function", "QueueConfigurations": "Queue", "TopicConfigurations": "Topic"}
    return {
        name.replace("Lambda", "LambdaFunction"): [_notified(entry, targets[name]) for entry in entries]
        if name in targets
        else entries
        for name, entries in value.items()
    }


def _notified(entry: Arguments, target: str) -> Arguments:
    arn = {"Function": "LambdaFunctionArn", "Queue": "QueueArn", "Topic": "TopicArn"}[target]
    rest = dict(entry)
    made: Arguments = {arn: rest.pop(target), "Events": [rest.pop("Event")]}
    if "Filter" in rest:
        made["Filter"] = {"Key": {"FilterRules": rest.pop("Filter")["S3Key"]["Rules"]}}
    return {**made, **rest}


def _versioning(work: Work, value: Any) -> None:
    work.call("put_bucket_versioning", Bucket=work.ref, VersioningConfiguration=value or {"Status": "Suspended"})


def _notifications(work: Work, value: Any) -> None:
    configuration = _notification(value or {})
    work.call("put_bucket_notification_configuration", Bucket=work.ref, NotificationConfiguration=configuration)


KINDS = (
    Kind(
        type="AWS::S3::Bucket",
        service="s3",
        takes="BucketName! BucketEncryption CorsConfiguration LifecycleConfiguration NotificationConfiguration"
        " OwnershipControls PublicAccessBlockConfiguration Tags VersioningConfiguration WebsiteConfiguration",
        name="BucketName",
        create="create_bucket",
        ref="Properties.BucketName",
        attributes={
            "Arn": "arn:aws:s3:::{Ref}",
            "DomainName": "{Ref}.s3.amazonaws.com",
            "RegionalDomainName": "{Ref}.s3.{Region}.amazonaws.com",
        },
        key={"Bucket": "Ref"},
        delete="delete_bucket",
        rename={"BucketName": "Bucket"},
        parts={
            "BucketEncryption": _setting(
                "ServerSideEncryptionConfiguration", "put_bucket_encryption", "delete_bucket_encryption", _encryption
            ),
            "CorsConfiguration": _setting("CORSConfiguration", "put_bucket_cors", "delete_bucket_cors", _cors),
            "LifecycleConfiguration": _setting(
                "LifecycleConfiguration", "put_bucket_lifecycle_configuration", "delete_bucket_lifecycle", _lifecycle
            ),
            "OwnershipControls": _setting(
                "OwnershipControls", "put_bucket_ownership_controls", "delete_bucket_ownership_controls"
            ),
            "PublicAccessBlockConfiguration": _setting(
                "PublicAccessBlockConfiguration", "put_public_access_block", "delete_public_access_block"
            ),
            "Tags": _setting("Tagging", "put_bucket_tagging", "delete_bucket_tagging", lambda tags: {"TagSet": tags}),
            "WebsiteConfiguration": _setting("WebsiteConfiguration", "put_bucket_website", "delete_bucket_website"),
            "VersioningConfiguration": _versioning,
            "NotificationConfiguration": _notifications,
        },
        stateful=True,
    ),
    Kind(
        type="AWS::S3::BucketPolicy",
        service="s3",
        takes="Bucket! PolicyDocument",
        create="put_bucket_policy",
        ref="Properties.Bucket",
        key={"Bucket": "Ref"},
        update="put_bucket_policy",
        whole=True,
        delete="delete_bucket_policy",
        rename={"PolicyDocument": "Policy"},
    ),
)
