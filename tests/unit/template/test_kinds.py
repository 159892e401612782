"""The declarations against CloudFormation's own description of each type, and each made, changed and removed once."""

from typing import Any

import pytest

from infra.local.template import TemplateError
from infra.local.template.kinds import KINDS, REFUSED
from infra.local.template.kinds.kind import Kind
from infra.local.template.table import TABLE, build_table, schema_of, settable
from tests.unit.template.conftest import Deployer

OUR_OWN_REPLACES = {
    "AWS::Cognito::UserPool": {"AliasAttributes", "UsernameAttributes", "UsernameConfiguration", "Schema"},
    "AWS::DynamoDB::Table": {"KeySchema", "LocalSecondaryIndexes"},
    "AWS::IAM::Policy": {"PolicyName"},
    "AWS::Scheduler::Schedule": {"GroupName"},
}
"""Changes that the schema calls possible and CloudFormation's reference calls a replacement, or an error."""
OWN_ATTRIBUTES = {
    "AWS::SNS::Topic": {"TopicName"},
    "AWS::SQS::Queue": {"QueueName"},
}
"""Attributes that the reference has and the schema does not, because they are properties as well."""


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys())
def test_a_declaration_agrees_with_cloudformations_schema(kind: Kind):
    schema = schema_of(kind)
    only_once = {path.rpartition("/")[2] for path in schema.get("createOnlyProperties", [])}
    read_only = {path.removeprefix("/properties/") for path in schema.get("readOnlyProperties", [])}
    assert kind.carried <= settable(schema), "carries a property that the type does not have"
    assert kind.replaces == (only_once & kind.carried) | OUR_OWN_REPLACES.get(kind.type, set())
    assert kind.attributes.keys() <= read_only | OWN_ATTRIBUTES.get(kind.type, set())
    assert kind.parts.keys() | kind.changes.keys() <= kind.carried


def test_the_table_of_what_is_carried_is_fresh():
    assert TABLE.read_text() == build_table(), "stale: python -m infra.local.template.table"


def test_no_type_is_both_carried_and_refused():
    assert not KINDS.keys() & REFUSED.keys()


DOCUMENT = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "a:b", "Resource": "*"}]}
OTHER = {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "a:b", "Resource": "*"}]}
ROLE = "arn:aws:iam::123456789012:role/role-name"
FUNCTION = "arn:aws:lambda:us-east-1:123456789012:function:f"

CASES: dict[str, tuple[dict[str, Any], dict[str, Any], list[str], list[str], list[str]]] = {
    # type: properties, what changes, calls that make it, calls that change it, calls that remove it
    "AWS::Lambda::Function": (
        {"FunctionName": "f", "Code": {"ZipFile": "x = 1"}, "Role": ROLE, "Handler": "index.h", "Runtime": "python3.13",
         "Timeout": 3, "Tags": [{"Key": "a", "Value": "b"}], "Architectures": ["arm64"]},
        {"Code": {"ZipFile": "x = 2"}, "Timeout": 5, "ReservedConcurrentExecutions": 2},
        ["create_function"],
        ["update_function_configuration", "update_function_code", "put_function_concurrency"],
        ["delete_function"],
    ),
    "AWS::Lambda::Permission": (
        {"FunctionName": "f", "Action": "lambda:InvokeFunction", "Principal": "iot.amazonaws.com"},
        {"Principal": "s3.amazonaws.com"},
        ["add_permission"], ["remove_permission", "add_permission"], ["remove_permission"],
    ),
    "AWS::Lambda::EventSourceMapping": (
        {"FunctionName": "f", "EventSourceArn": "arn:aws:sqs:us-east-1:123456789012:q", "BatchSize": 5},
        {"BatchSize": 10},
        ["create_event_source_mapping"], ["update_event_source_mapping"], ["delete_event_source_mapping"],
    ),
    "AWS::Lambda::EventInvokeConfig": (
        {"FunctionName": "f", "Qualifier": "$LATEST", "MaximumRetryAttempts": 1},
        {"MaximumRetryAttempts": 2},
        ["put_function_event_invoke_config"],
        ["put_function_event_invoke_config"],
        ["delete_function_event_invoke_config"],
    ),
    "AWS::Lambda::Version": ({"FunctionName": "f"}, {"Description": "d"}, ["publish_version"],
                             ["delete_function", "publish_version"], ["delete_function"]),
    "AWS::Lambda::Alias": (
        {"FunctionName": "f", "Name": "live", "FunctionVersion": "1",
         "RoutingConfig": {"AdditionalVersionWeights": [{"FunctionVersion": "2", "FunctionWeight": 0.1}]}},
        {"FunctionVersion": "2"},
        ["create_alias"], ["update_alias"], ["delete_alias"],
    ),
    "AWS::IAM::Role": (
        {"RoleName": "r", "AssumeRolePolicyDocument": DOCUMENT,
         "Policies": [{"PolicyName": "p", "PolicyDocument": DOCUMENT}],
         "ManagedPolicyArns": ["arn:aws:iam::aws:policy/AWSXrayWriteOnlyAccess"],
         "PermissionsBoundary": "arn:aws:iam::1:policy/b"},
        {"AssumeRolePolicyDocument": OTHER, "Policies": [{"PolicyName": "q", "PolicyDocument": OTHER}],
         "MaxSessionDuration": 7200},
        ["create_role", "put_role_policy", "attach_role_policy", "put_role_permissions_boundary"],
        ["update_role", "update_assume_role_policy", "put_role_policy", "delete_role_policy"],
        ["delete_role_policy", "detach_role_policy", "delete_role"],
    ),
    "AWS::IAM::ManagedPolicy": (
        {"ManagedPolicyName": "p", "PolicyDocument": DOCUMENT, "Roles": ["role-a"]},
        {"PolicyDocument": OTHER, "Roles": ["role-b"]},
        ["create_policy", "attach_role_policy"],
        ["create_policy_version", "list_policy_versions", "attach_role_policy", "detach_role_policy"],
        ["detach_role_policy", "list_policy_versions", "delete_policy"],
    ),
    "AWS::IAM::Policy": (
        {"PolicyName": "p", "PolicyDocument": DOCUMENT, "Roles": ["role-a"]}, {"PolicyDocument": OTHER},
        ["put_role_policy"], ["put_role_policy"], ["delete_role_policy"],
    ),
    "AWS::DynamoDB::Table": (
        {"TableName": "table", "AttributeDefinitions": [{"AttributeName": "a", "AttributeType": "S"}],
         "KeySchema": [{"AttributeName": "a", "KeyType": "HASH"}], "BillingMode": "PAY_PER_REQUEST",
         "TimeToLiveSpecification": {"AttributeName": "t", "Enabled": True}},
        {"PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True}, "DeletionProtectionEnabled": True},
        ["create_table", "update_time_to_live"],
        ["update_table", "update_continuous_backups", "describe_table"],
        ["delete_table"],
    ),
    "AWS::Cognito::UserPool": (
        {"UserPoolName": "p", "MfaConfiguration": "OPTIONAL", "EnabledMfas": ["SOFTWARE_TOKEN_MFA"],
         "Policies": {"PasswordPolicy": {"MinimumLength": 12}}},
        {"AutoVerifiedAttributes": ["email"]},
        ["create_user_pool", "set_user_pool_mfa_config"],
        ["update_user_pool"],
        ["delete_user_pool"],
    ),
    "AWS::Cognito::UserPoolClient": (
        {"UserPoolId": "us-east-1_a", "ClientName": "c", "ExplicitAuthFlows": ["ALLOW_USER_SRP_AUTH"]},
        {"AccessTokenValidity": 5},
        ["create_user_pool_client"],
        ["update_user_pool_client"],
        ["delete_user_pool_client"],
    ),
    "AWS::Cognito::UserPoolGroup": (
        {"UserPoolId": "us-east-1_a", "GroupName": "admin", "Precedence": 1}, {"Precedence": 2},
        ["create_group"], ["update_group"], ["delete_group"],
    ),
    "AWS::Cognito::IdentityPool": (
        {"IdentityPoolName": "i", "AllowUnauthenticatedIdentities": False,
         "CognitoIdentityProviders": [{"ClientId": "c", "ProviderName": "p", "ServerSideTokenCheck": True}]},
        {"AllowClassicFlow": True},
        ["create_identity_pool"], ["update_identity_pool"],
        ["delete_identity_pool"],
    ),
    "AWS::Cognito::IdentityPoolRoleAttachment": (
        {"IdentityPoolId": "us-east-1:1", "Roles": {"authenticated": ROLE},
         "RoleMappings": {"x": {
             "IdentityProvider": "provider:client", "Type": "Token", "AmbiguousRoleResolution": "Deny"}}},
        {"Roles": {"authenticated": ROLE + "2"}},
        ["set_identity_pool_roles"], ["set_identity_pool_roles"], ["set_identity_pool_roles"],
    ),
    "AWS::IoT::Policy": (
        {"PolicyName": "p", "PolicyDocument": DOCUMENT}, {"PolicyDocument": OTHER},
        ["create_policy"], ["create_policy_version", "list_policy_versions"],
        ["list_targets_for_policy", "list_policy_versions", "delete_policy"],
    ),
    "AWS::IoT::ThingType": (
        {"ThingTypeName": "t", "ThingTypeProperties": {"ThingTypeDescription": "d", "SearchableAttributes": ["a"]}},
        {"DeprecateThingType": True},
        ["create_thing_type"], ["deprecate_thing_type"],
        ["deprecate_thing_type", "delete_thing_type"],
    ),
    "AWS::IoT::ThingGroup": (
        {"ThingGroupName": "g", "ThingGroupProperties": {"AttributePayload": {"Attributes": {"a": "b"}}}},
        {"ThingGroupProperties": {"ThingGroupDescription": "d"}},
        ["create_thing_group"],
        ["update_thing_group"],
        ["delete_thing_group"],
    ),
    "AWS::IoT::TopicRule": (
        {"RuleName": "r", "TopicRulePayload": {"Sql": "SELECT 1", "Actions": [{"Lambda": {"FunctionArn": FUNCTION}}],
         "ErrorAction": {"Sqs": {"QueueUrl": "u", "RoleArn": ROLE}}, "AwsIotSqlVersion": "2016-03-23",
         "RuleDisabled": "false"}},
        {"TopicRulePayload": {"Sql": "SELECT 2", "Actions": [
            {"DynamoDBv2": {"RoleArn": ROLE, "PutItem": {"TableName": "t"}}}]}},
        ["create_topic_rule"], ["replace_topic_rule"], ["delete_topic_rule"],
    ),
    "AWS::IoT::ProvisioningTemplate": (
        {"TemplateName": "t", "ProvisioningRoleArn": ROLE, "TemplateBody": "{}", "TemplateType": "FLEET_PROVISIONING",
         "PreProvisioningHook": {"TargetArn": FUNCTION, "PayloadVersion": "2020-04-01"}},
        {"TemplateBody": '{"a": 1}', "Enabled": True},
        ["create_provisioning_template"],
        ["update_provisioning_template", "create_provisioning_template_version", "list_provisioning_template_versions"],
        ["delete_provisioning_template"],
    ),
    "AWS::IoT::Authorizer": (
        {"AuthorizerName": "a", "AuthorizerFunctionArn": FUNCTION, "SigningDisabled": True, "Status": "ACTIVE"},
        {"EnableCachingForHttp": True},
        ["create_authorizer"], ["update_authorizer"], ["update_authorizer", "delete_authorizer"],
    ),
    "AWS::ApiGatewayV2::Api": (
        {"Body": {"openapi": "3.0.1"}, "FailOnWarnings": True}, {"Body": {"openapi": "3.0.2"}},
        ["import_api"], ["reimport_api"], ["delete_api"],
    ),
    "AWS::ApiGatewayV2::Stage": (
        {"ApiId": "a", "StageName": "$default", "AutoDeploy": True,
         "RouteSettings": {"GET /x": {"ThrottlingRateLimit": 5, "ThrottlingBurstLimit": 5}}},
        {"DefaultRouteSettings": {"ThrottlingRateLimit": 5}},
        ["create_stage"], ["update_stage"], ["delete_stage"],
    ),
    "AWS::SQS::Queue": (
        {"QueueName": "q", "RedrivePolicy": {"deadLetterTargetArn": "a", "maxReceiveCount": 3}},
        {"VisibilityTimeout": 60},
        ["create_queue"], ["set_queue_attributes"], ["delete_queue"],
    ),
    "AWS::SQS::QueuePolicy": (
        {"Queues": ["u"], "PolicyDocument": DOCUMENT}, {"PolicyDocument": OTHER},
        ["set_queue_attributes"], ["set_queue_attributes"], ["set_queue_attributes"],
    ),
    "AWS::SNS::Topic": (
        {"TopicName": "t", "Subscription": [{"Protocol": "sqs", "Endpoint": "e"}]}, {"DisplayName": "d"},
        ["create_topic", "subscribe"], ["set_topic_attributes"], ["delete_topic"],
    ),
    "AWS::SNS::Subscription": (
        {"TopicArn": "t", "Protocol": "sqs", "Endpoint": "e", "RawMessageDelivery": True},
        {"FilterPolicy": {"a": ["b"]}},
        ["subscribe"], ["set_subscription_attributes"], ["unsubscribe"],
    ),
    "AWS::SNS::TopicPolicy": (
        {"Topics": ["t"], "PolicyDocument": DOCUMENT}, {"PolicyDocument": OTHER},
        ["set_topic_attributes"], ["set_topic_attributes"], [],
    ),
    "AWS::S3::Bucket": (
        {"BucketName": "bucket", "VersioningConfiguration": {"Status": "Enabled"}, "BucketEncryption": {
            "ServerSideEncryptionConfiguration": [{"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]}},
        {"NotificationConfiguration": {"LambdaConfigurations": [{"Event": "s3:ObjectCreated:*", "Function": FUNCTION,
            "Filter": {"S3Key": {"Rules": [{"Name": "prefix", "Value": "in/"}]}}}]},
         "LifecycleConfiguration": {"Rules": [{"Id": "x", "Status": "Enabled", "ExpirationInDays": 7}]},
         "CorsConfiguration": {"CorsRules": [{"AllowedMethods": ["PUT"], "AllowedOrigins": ["*"], "MaxAge": 60}]},
         "PublicAccessBlockConfiguration": {"BlockPublicAcls": True},
         "OwnershipControls": {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]},
         "Tags": [{"Key": "a", "Value": "b"}]},
        ["create_bucket", "put_bucket_encryption", "put_bucket_versioning"],
        ["put_bucket_cors", "put_bucket_lifecycle_configuration", "put_bucket_notification_configuration",
         "put_bucket_ownership_controls", "put_public_access_block", "put_bucket_tagging"],
        ["delete_bucket"],
    ),
    "AWS::S3::BucketPolicy": (
        {"Bucket": "bucket", "PolicyDocument": DOCUMENT}, {"PolicyDocument": OTHER},
        ["put_bucket_policy"], ["put_bucket_policy"], ["delete_bucket_policy"],
    ),
    "AWS::Logs::LogGroup": (
        {"LogGroupName": "g", "RetentionInDays": 7}, {"RetentionInDays": 14},
        ["create_log_group", "put_retention_policy"], ["put_retention_policy"], ["delete_log_group"],
    ),
    "AWS::Events::Rule": (
        {"Name": "r", "EventPattern": {"source": ["x"]}, "Targets": [{"Id": "1", "Arn": FUNCTION}]},
        {"State": "DISABLED", "Targets": [{"Id": "2", "Arn": FUNCTION}]},
        ["put_rule", "put_targets"], ["put_rule", "remove_targets", "put_targets"], ["remove_targets", "delete_rule"],
    ),
    "AWS::Scheduler::Schedule": (
        {"Name": "s", "ScheduleExpression": "rate(1 minute)", "FlexibleTimeWindow": {"Mode": "OFF"},
         "Target": {"Arn": FUNCTION, "RoleArn": ROLE}},
        {"State": "DISABLED"},
        ["create_schedule"], ["update_schedule"], ["delete_schedule"],
    ),
    "AWS::Scheduler::ScheduleGroup": ({"Name": "g"}, {"Name": "h"}, ["create_schedule_group"],
                                      ["delete_schedule_group", "create_schedule_group"], ["delete_schedule_group"]),
    "AWS::CloudWatch::Alarm": (
        {"AlarmName": "a", "ComparisonOperator": "GreaterThanThreshold", "EvaluationPeriods": 1, "Threshold": "0.5",
         "MetricName": "Errors", "Namespace": "AWS/Lambda", "Statistic": "Sum", "Period": 60,
         "Dimensions": [{"Name": "FunctionName", "Value": "f"}]},
        {"Threshold": 2},
        ["put_metric_alarm"], ["put_metric_alarm"], ["delete_alarms"],
    ),
    "AWS::CloudWatch::Dashboard": (
        {"DashboardName": "d", "DashboardBody": {"widgets": []}}, {"DashboardBody": "{}"},
        ["put_dashboard"], ["put_dashboard"], ["delete_dashboards"],
    ),
}  # fmt: skip


def test_every_kind_has_a_case():
    assert CASES.keys() == KINDS.keys()


@pytest.mark.parametrize("name", CASES)
def test_each_kind_is_made_changed_and_removed_by_calls_that_boto3_accepts(deployed: Deployer, name: str):
    properties, change, make, update, remove = CASES[name]
    other = {"Type": "AWS::Logs::LogGroup", "Properties": {"LogGroupName": "stays"}}
    stack = deployed({"X": {"Type": name, "Properties": properties}, "Stays": other})
    made = deployed.cloud.operations()
    made.remove("create_log_group")  # of the one that stays
    assert sorted(made) == sorted(make)
    assert stack.resources["X"].ref
    assert stack.resources["X"].attributes.keys() == KINDS[name].attributes.keys()

    for read in ("list_policy_versions",):
        deployed.cloud.answers[read] = {"Versions": [], "policyVersions": []}
    deployed({"X": {"Type": name, "Properties": {**properties, **change}}, "Stays": other})
    assert sorted(deployed.cloud.operations()) == sorted(update)

    deployed({"Stays": other})
    assert deployed.cloud.operations() == remove


def test_what_s3_calls_otherwise_is_translated_and_the_rest_refused(deployed: Deployer):
    properties, change, *_ = CASES["AWS::S3::Bucket"]
    deployed({"B": {"Type": "AWS::S3::Bucket", "Properties": {**properties, **change}}})
    notified = deployed.cloud.arguments("put_bucket_notification_configuration")["NotificationConfiguration"]
    assert notified == {"LambdaFunctionConfigurations": [{
        "LambdaFunctionArn": FUNCTION, "Events": ["s3:ObjectCreated:*"],
        "Filter": {"Key": {"FilterRules": [{"Name": "prefix", "Value": "in/"}]}},
    }]}  # fmt: skip
    lifecycle = deployed.cloud.arguments("put_bucket_lifecycle_configuration")["LifecycleConfiguration"]["Rules"]
    assert lifecycle == [{"ID": "x", "Status": "Enabled", "Filter": {"Prefix": ""}, "Expiration": {"Days": 7}}]
    rule = {"Status": "Enabled", "TransitionInDays": 3}
    with pytest.raises(TemplateError, match=r"^C\.LifecycleConfiguration"):
        deployed({"C": {"Type": "AWS::S3::Bucket", "Properties": {"LifecycleConfiguration": {"Rules": [rule]}}}})


def test_role_mappings_are_keyed_by_their_provider(deployed: Deployer):
    name = "AWS::Cognito::IdentityPoolRoleAttachment"
    deployed({"X": {"Type": name, "Properties": CASES[name][0]}})
    mappings = deployed.cloud.arguments("set_identity_pool_roles")["RoleMappings"]
    assert mappings == {"provider:client": {"Type": "Token", "AmbiguousRoleResolution": "Deny"}}
