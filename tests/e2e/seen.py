"""How each resource type of the template looks through boto3, in CloudFormation's words: one reader a type."""

import json
from collections.abc import Callable
from typing import Any

from infra.local.template.stack import Resource

Client = Callable[[str], Any]
Seen = dict[str, Any]

ONLY_SAID = {
    ("AWS::ApiGatewayV2::Api", "FailOnWarnings"): "an option of the import, of which no trace is kept",
    ("AWS::Lambda::Function", "Code"): "seen as CodeSha256 and CodeSize, and by every test that invokes",
}
"""Properties that AWS's own APIs do not show again, each with what shows them instead."""


def _table(client: Client, one: Resource) -> Seen:
    table = client("dynamodb").describe_table(TableName=one.ref)["Table"]
    expiry = client("dynamodb").describe_time_to_live(TableName=one.ref)["TimeToLiveDescription"]
    backups = client("dynamodb").describe_continuous_backups(TableName=one.ref)["ContinuousBackupsDescription"]
    recovery = backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"] == "ENABLED"
    return {
        **table,
        "BillingMode": table["BillingModeSummary"]["BillingMode"],
        "TimeToLiveSpecification": {
            "AttributeName": expiry.get("AttributeName"),
            "Enabled": expiry["TimeToLiveStatus"] == "ENABLED",
        },
        "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": recovery},
    }


def _function(client: Client, one: Resource) -> Seen:
    answer = client("lambda").get_function(FunctionName=one.ref)
    assert answer["Configuration"]["CodeSha256"]
    return {**answer["Configuration"], "Tags": answer.get("Tags", {})}


def _permission(client: Client, one: Resource) -> Seen:
    name = one.properties["FunctionName"]
    statements = json.loads(client("lambda").get_policy(FunctionName=name)["Policy"])["Statement"]
    statement = next(entry for entry in statements if entry["Sid"] == one.ref)
    assert statement["Effect"] == "Allow"
    condition = statement.get("Condition", {})
    return {
        "FunctionName": name
        if statement["Resource"].endswith(f":{name.rpartition(':')[2]}")
        else statement["Resource"],
        "Action": statement["Action"],
        "Principal": statement["Principal"]["Service"],
        "SourceArn": condition.get("ArnLike", {}).get("AWS:SourceArn"),
        "SourceAccount": condition.get("StringEquals", {}).get("AWS:SourceAccount"),
    }


def _role(client: Client, one: Resource) -> Seen:
    iam = client("iam")
    names = iam.list_role_policies(RoleName=one.ref)["PolicyNames"]
    attached = iam.list_attached_role_policies(RoleName=one.ref)["AttachedPolicies"]
    return {
        **iam.get_role(RoleName=one.ref)["Role"],
        "Policies": [iam.get_role_policy(RoleName=one.ref, PolicyName=name) for name in names],
        "ManagedPolicyArns": [policy["PolicyArn"] for policy in attached],
    }


def _user_pool(client: Client, one: Resource) -> Seen:
    cognito = client("cognito-idp")
    factors = cognito.get_user_pool_mfa_config(UserPoolId=one.ref)
    software = factors.get("SoftwareTokenMfaConfiguration", {}).get("Enabled")
    return {
        **cognito.describe_user_pool(UserPoolId=one.ref)["UserPool"],
        "UserPoolName": cognito.describe_user_pool(UserPoolId=one.ref)["UserPool"]["Name"],
        "EnabledMfas": ["SOFTWARE_TOKEN_MFA"] if software else [],
        "MfaConfiguration": factors["MfaConfiguration"],
    }


def _pool_client(client: Client, one: Resource) -> Seen:
    pool = one.properties["UserPoolId"]
    seen: Seen = client("cognito-idp").describe_user_pool_client(UserPoolId=pool, ClientId=one.ref)["UserPoolClient"]
    return {**seen, "GenerateSecret": "ClientSecret" in seen}


def _group(client: Client, one: Resource) -> Seen:
    pool = one.properties["UserPoolId"]
    seen: Seen = client("cognito-idp").get_group(UserPoolId=pool, GroupName=one.ref)["Group"]
    return seen


def _rule(client: Client, one: Resource) -> Seen:
    rule = client("iot").get_topic_rule(ruleName=one.ref)["rule"]
    return {"RuleName": rule["ruleName"], "TopicRulePayload": rule}


def _authorizer(client: Client, one: Resource) -> Seen:
    seen: Seen = client("iot").describe_authorizer(authorizerName=one.ref)["authorizerDescription"]
    return {"EnableCachingForHttp": False, **seen}


def _provisioning_template(client: Client, one: Resource) -> Seen:
    seen: Seen = client("iot").describe_provisioning_template(templateName=one.ref)
    return seen


def _event_source(client: Client, one: Resource) -> Seen:
    seen: Seen = client("lambda").get_event_source_mapping(UUID=one.ref)
    return {**seen, "FunctionName": seen["FunctionArn"], "Enabled": seen["State"] == "Enabled"}


def _invocations(client: Client, one: Resource) -> Seen:
    name, qualifier = one.properties["FunctionName"], one.properties["Qualifier"]
    seen: Seen = client("lambda").get_function_event_invoke_config(FunctionName=name, Qualifier=qualifier)
    return {**seen, "FunctionName": name, "Qualifier": qualifier}


def _schedule(client: Client, one: Resource) -> Seen:
    group = one.properties.get("GroupName", "default")
    seen: Seen = client("scheduler").get_schedule(Name=one.ref, GroupName=group)
    return seen


def _topic(client: Client, one: Resource) -> Seen:
    seen: Seen = client("sns").get_topic_attributes(TopicArn=one.ref)["Attributes"]
    return {**seen, "TopicName": one.ref.rpartition(":")[2]}


def _alarm(client: Client, one: Resource) -> Seen:
    seen: Seen = client("cloudwatch").describe_alarms(AlarmNames=[one.ref])["MetricAlarms"][0]
    return seen


def _thing_type(client: Client, one: Resource) -> Seen:
    seen: Seen = client("iot").describe_thing_type(thingTypeName=one.ref)
    return seen


def _iot_policy(client: Client, one: Resource) -> Seen:
    seen: Seen = client("iot").get_policy(policyName=one.ref)
    return seen


def _log_group(client: Client, one: Resource) -> Seen:
    groups = client("logs").describe_log_groups(logGroupNamePrefix=one.ref)["logGroups"]
    return next(group for group in groups if group["logGroupName"] == one.ref)


def _queue(client: Client, one: Resource) -> Seen:
    attributes = client("sqs").get_queue_attributes(QueueUrl=one.ref, AttributeNames=["All"])["Attributes"]
    return {**attributes, "QueueName": attributes["QueueArn"].rpartition(":")[2]}


def _api(client: Client, one: Resource) -> Seen:
    gateway, body = client("apigatewayv2"), one.properties["Body"]
    methods = {"x-amazon-apigateway-any-method": "ANY"}
    wanted = {
        f"{methods.get(method, method.upper())} {path}": operation
        for path, operations in body["paths"].items()
        for method, operation in operations.items()
    }
    routes = {route["RouteKey"]: route for route in gateway.get_routes(ApiId=one.ref)["Items"]}
    assert routes.keys() == wanted.keys()
    for key, operation in wanted.items():
        named = {name for entry in operation.get("security", []) for name in entry} - {"NONE"}
        assert (routes[key]["AuthorizationType"] != "NONE") is bool(named), key
    authorizers = {entry["Name"]: entry for entry in gateway.get_authorizers(ApiId=one.ref)["Items"]}
    for name, scheme in body["components"]["securitySchemes"].items():
        assert contains(scheme["x-amazon-apigateway-authorizer"].get("jwtConfiguration", {}),
                        authorizers[name].get("JwtConfiguration", {}))  # fmt: skip
    api = gateway.get_api(ApiId=one.ref)
    assert contains(body["x-amazon-apigateway-cors"], api["CorsConfiguration"])
    assert api["Name"] == body["info"]["title"]
    return {"Body": body}


def _stage(client: Client, one: Resource) -> Seen:
    api = one.properties["ApiId"]
    return {**client("apigatewayv2").get_stage(ApiId=api, StageName=one.ref), "ApiId": api}


def _identity_pool(client: Client, one: Resource) -> Seen:
    seen: Seen = client("cognito-identity").describe_identity_pool(IdentityPoolId=one.ref)
    return seen


def _identity_roles(client: Client, one: Resource) -> Seen:
    seen: Seen = client("cognito-identity").get_identity_pool_roles(IdentityPoolId=one.ref)
    return seen


def _bucket(client: Client, one: Resource) -> Seen:
    s3, bucket = client("s3"), {"Bucket": one.ref}
    rules = [
        {"ServerSideEncryptionByDefault": rule["ApplyServerSideEncryptionByDefault"]}
        for rule in s3.get_bucket_encryption(**bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    ]
    told = s3.get_bucket_notification_configuration(**bucket)["LambdaFunctionConfigurations"]
    lifecycle = s3.get_bucket_lifecycle_configuration(**bucket)["Rules"]
    return {
        "BucketName": one.ref,
        "BucketEncryption": {"ServerSideEncryptionConfiguration": rules},
        "OwnershipControls": s3.get_bucket_ownership_controls(**bucket)["OwnershipControls"],
        "PublicAccessBlockConfiguration": s3.get_public_access_block(**bucket)["PublicAccessBlockConfiguration"],
        "LifecycleConfiguration": {
            "Rules": [{**rule, "ExpirationInDays": rule.get("Expiration", {}).get("Days")} for rule in lifecycle]
        },
        "NotificationConfiguration": {
            "LambdaConfigurations": [
                {
                    "Event": rule["Events"][0],
                    "Function": rule["LambdaFunctionArn"],
                    "Filter": {"S3Key": {"Rules": [_lower(each) for each in rule["Filter"]["Key"]["FilterRules"]]}},
                }
                for rule in told
            ]
        },
    }


def _lower(rule: Seen) -> Seen:
    return {**rule, "Name": rule["Name"].lower()}


def _bucket_policy(client: Client, one: Resource) -> Seen:
    return {"Bucket": one.ref, "PolicyDocument": client("s3").get_bucket_policy(Bucket=one.ref)["Policy"]}


READERS: dict[str, Callable[[Client, Resource], Seen]] = {
    "AWS::ApiGatewayV2::Api": _api,
    "AWS::ApiGatewayV2::Stage": _stage,
    "AWS::Cognito::IdentityPool": _identity_pool,
    "AWS::Cognito::IdentityPoolRoleAttachment": _identity_roles,
    "AWS::Cognito::UserPool": _user_pool,
    "AWS::Cognito::UserPoolClient": _pool_client,
    "AWS::Cognito::UserPoolGroup": _group,
    "AWS::DynamoDB::Table": _table,
    "AWS::IAM::Role": _role,
    "AWS::CloudWatch::Alarm": _alarm,
    "AWS::IoT::Authorizer": _authorizer,
    "AWS::IoT::ProvisioningTemplate": _provisioning_template,
    "AWS::Lambda::EventInvokeConfig": _invocations,
    "AWS::Lambda::EventSourceMapping": _event_source,
    "AWS::SNS::Topic": _topic,
    "AWS::Scheduler::Schedule": _schedule,
    "AWS::IoT::Policy": _iot_policy,
    "AWS::IoT::ThingType": _thing_type,
    "AWS::IoT::TopicRule": _rule,
    "AWS::Lambda::Function": _function,
    "AWS::Lambda::Permission": _permission,
    "AWS::Logs::LogGroup": _log_group,
    "AWS::S3::Bucket": _bucket,
    "AWS::S3::BucketPolicy": _bucket_policy,
    "AWS::SQS::Queue": _queue,
}


def contains(wanted: Any, seen: Any) -> bool:
    """Tell whether all that is wanted is there, spelled as CloudFormation or as an API spells it."""
    wanted, seen = _plain(wanted), _plain(seen)
    if isinstance(wanted, dict) and isinstance(seen, dict):
        lowered = {name.lower(): value for name, value in seen.items()}
        return all(name.lower() in lowered and contains(value, lowered[name.lower()]) for name, value in wanted.items())
    if isinstance(wanted, list) and isinstance(seen, list):
        return all(any(contains(entry, other) for other in seen) for entry in wanted)
    if isinstance(wanted, int) and isinstance(seen, float):
        return wanted == seen
    return str(wanted) == str(seen)


def _plain(value: Any) -> Any:
    if isinstance(value, str) and value.startswith(("{", "[")):
        return json.loads(value)
    if (
        isinstance(value, list)
        and value
        and all(isinstance(one, dict) and one.keys() == {"Key", "Value"} for one in value)
    ):
        return {tag["Key"]: tag["Value"] for tag in value}
    if isinstance(value, str) and value in {"true", "false"}:
        return value == "true"
    return value
