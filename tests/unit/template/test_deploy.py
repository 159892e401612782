"""Deploying, deploying again, and every planted mistake named by its logical id."""

import re
from typing import Any

import pytest

from infra.local.template import TemplateError
from tests.unit.template.conftest import Deployer

TABLE: dict[str, Any] = {
    "Type": "AWS::DynamoDB::Table",
    "DeletionPolicy": "Retain",
    "Properties": {
        "TableName": "readings",
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [{"AttributeName": "thing", "AttributeType": "S"}],
        "KeySchema": [{"AttributeName": "thing", "KeyType": "HASH"}],
        "TimeToLiveSpecification": {"AttributeName": "ttl", "Enabled": "true"},
        "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True},
        "StreamSpecification": {"StreamViewType": "NEW_IMAGE"},
        "SSESpecification": {"SSEEnabled": True},
        "Tags": [{"Key": "a", "Value": "b"}],
    },
}
LOGS: dict[str, Any] = {
    "Type": "AWS::Logs::LogGroup",
    "Properties": {"RetentionInDays": "14", "Tags": [{"Key": "a", "Value": "b"}]},
}
QUEUE: dict[str, Any] = {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": "q", "MessageRetentionPeriod": 1209600}}


def with_properties(resource: dict[str, Any], **properties: Any) -> dict[str, Any]:
    return {**resource, "Properties": {**resource["Properties"], **properties}}


def test_a_resource_is_made_by_all_the_calls_its_properties_need(deployed: Deployer):
    stack = deployed({"Readings": TABLE})
    made = deployed.cloud.arguments("create_table")
    assert made["StreamSpecification"] == {"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"}
    assert made["SSESpecification"] == {"Enabled": True}
    assert made["Tags"] == [{"Key": "a", "Value": "b"}]
    assert deployed.cloud.arguments("update_time_to_live")["TimeToLiveSpecification"]["Enabled"] is True
    assert stack.resources["Readings"].ref == "readings"
    assert deployed.lines == ["made Readings (AWS::DynamoDB::Table)"]


def test_types_and_spellings_are_those_of_the_api(deployed: Deployer):
    deployed({"Logs": LOGS, "Queue": QUEUE})
    assert deployed.cloud.arguments("create_log_group")["tags"] == {"a": "b"}
    assert deployed.cloud.arguments("put_retention_policy")["retentionInDays"] == 14
    assert deployed.cloud.arguments("create_queue")["Attributes"] == {"MessageRetentionPeriod": "1209600"}


def test_a_name_is_generated_where_the_template_gives_none_and_stays_the_same(deployed: Deployer):
    first = deployed({"Logs": LOGS}).resources["Logs"].ref
    assert first.startswith("template-dev-Logs-")
    assert deployed({"Logs": LOGS}).resources["Logs"].ref == first


def test_a_rule_without_a_name_as_sams_event_makes_it_gets_one_that_rules_may_have(deployed: Deployer):
    action = {"Lambda": {"FunctionArn": "arn:aws:lambda:us-east-1:123456789012:function:f"}}
    rule = {"Type": "AWS::IoT::TopicRule", "Properties": {
        "TopicRulePayload": {"Sql": "SELECT * FROM 'a'", "Actions": [action], "RuleDisabled": False}}}  # fmt: skip
    stack = deployed({"Reading": rule})

    assert re.fullmatch(r"template_dev_Reading_[0-9a-f]+", stack.resources["Reading"].ref)
    assert deployed.cloud.arguments("create_topic_rule")["ruleName"] == stack.resources["Reading"].ref


def test_what_a_resource_needs_is_made_before_it(deployed: Deployer):
    policy = {"Type": "AWS::SQS::QueuePolicy", "Properties": {
        "Queues": [{"Ref": "Queue"}],
        "PolicyDocument": {"Version": "2012-10-17", "Statement": [{"Resource": {"Fn::GetAtt": ["Queue", "Arn"]}}]},
    }}  # fmt: skip
    deployed({"A": policy, "Logs": {**LOGS, "DependsOn": "A"}, "Queue": QUEUE})
    wanted = ["create_queue", "set_queue_attributes", "create_log_group", "put_retention_policy"]
    assert deployed.cloud.operations() == wanted
    assert (
        "arn:aws:sqs:us-east-1:123456789012:q"
        in deployed.cloud.arguments("set_queue_attributes")["Attributes"]["Policy"]
    )


def test_parameters_conditions_and_outputs(deployed: Deployer):
    template: dict[str, Any] = {
        "Parameters": {"Days": {"Type": "Number", "Default": 7}, "Loud": {"Type": "String", "Default": "no"}},
        "Conditions": {"IsLoud": {"Fn::Equals": [{"Ref": "Loud"}, "yes"]}},
        "Resources": {
            "Logs": with_properties(LOGS, RetentionInDays={"Ref": "Days"}),
            "Queue": {**QUEUE, "Condition": "IsLoud"},
        },
        "Outputs": {
            "Group": {"Value": {"Fn::GetAtt": ["Logs", "Arn"]}},
            "Url": {"Condition": "IsLoud", "Value": {"Ref": "Queue"}},
        },
    }
    stack = deployed(template, Days="30")
    assert deployed.cloud.arguments("put_retention_policy")["retentionInDays"] == 30
    assert "create_queue" not in deployed.cloud.operations()
    assert stack.outputs.keys() == {"Group"}
    assert deployed(template, Loud="yes").outputs.keys() == {"Group", "Url"}


def test_deploying_the_same_again_calls_nothing(deployed: Deployer):
    deployed({"Readings": TABLE, "Logs": LOGS})
    deployed({"Readings": TABLE, "Logs": LOGS})
    assert (deployed.cloud.calls, deployed.lines) == ([], [])


def test_deploying_again_changes_in_place_and_names_what_changed(deployed: Deployer):
    deployed({"Readings": TABLE, "Logs": LOGS})
    index = {"IndexName": "by-owner", "KeySchema": [{"AttributeName": "owner", "KeyType": "HASH"}],
             "Projection": {"ProjectionType": "ALL"}}  # fmt: skip
    attributes = [*TABLE["Properties"]["AttributeDefinitions"], {"AttributeName": "owner", "AttributeType": "S"}]
    table = with_properties(TABLE, GlobalSecondaryIndexes=[index], AttributeDefinitions=attributes)
    deployed({"Readings": table, "Logs": with_properties(LOGS, RetentionInDays=30)})
    assert sorted(deployed.lines) == [
        "changed Logs (AWS::Logs::LogGroup): RetentionInDays",
        "changed Readings (AWS::DynamoDB::Table): AttributeDefinitions, GlobalSecondaryIndexes",
    ]
    assert sorted(deployed.cloud.operations()) == ["describe_table", "put_retention_policy", "update_table"]
    assert deployed.cloud.arguments("update_table")["GlobalSecondaryIndexUpdates"] == [{"Create": index}]


def test_a_property_taken_away_is_undone_or_refused(deployed: Deployer):
    deployed({"Logs": LOGS, "Queue": with_properties(QUEUE, VisibilityTimeout=60)})
    deployed({"Logs": {**LOGS, "Properties": {"Tags": LOGS["Properties"]["Tags"]}},
              "Queue": with_properties(QUEUE, VisibilityTimeout=60)})  # fmt: skip
    assert deployed.cloud.operations() == ["delete_retention_policy"]
    with pytest.raises(TemplateError, match=r"^Queue\.VisibilityTimeout: cannot be taken away"):
        deployed({"Queue": QUEUE})


def test_what_cannot_be_changed_in_place_says_so(deployed: Deployer):
    deployed({"Logs": LOGS})
    with pytest.raises(TemplateError, match=r"^Logs\.Tags: cannot be changed in place"):
        deployed({"Logs": with_properties(LOGS, Tags=[])})


def test_a_resource_without_state_is_replaced(deployed: Deployer):
    deployed({"Logs": with_properties(LOGS, LogGroupName="one")})
    stack = deployed({"Logs": with_properties(LOGS, LogGroupName="two")})
    assert deployed.lines == ["replaced Logs (AWS::Logs::LogGroup): LogGroupName"]
    assert deployed.cloud.operations() == ["delete_log_group", "create_log_group", "put_retention_policy"]
    assert stack.resources["Logs"].ref == "two"


@pytest.mark.parametrize("change", [{"TableName": "other"}, {"KeySchema": [{"AttributeName": "x", "KeyType": "HASH"}]}])
def test_replacing_what_holds_data_is_refused_before_anything_is_changed(deployed: Deployer, change: dict[str, Any]):
    deployed({"Readings": TABLE, "Logs": LOGS})
    with pytest.raises(TemplateError, match=rf"^Readings: {next(iter(change))} changed, which would replace"):
        deployed({"Readings": with_properties(TABLE, **change), "Logs": with_properties(LOGS, RetentionInDays=1)})
    assert deployed.cloud.calls == []


def test_a_resource_of_another_type_under_the_same_id_is_refused_where_data_would_go(deployed: Deployer):
    deployed({"One": TABLE})
    with pytest.raises(TemplateError, match=r"^One: Type changed"):
        deployed({"One": LOGS})


def test_what_left_the_template_goes_unless_it_is_retained(deployed: Deployer):
    deployed({"Readings": TABLE, "Logs": LOGS, "Queue": {**QUEUE, "DependsOn": "Logs"}})
    stack = deployed({"Other": with_properties(LOGS, LogGroupName="other")})
    assert deployed.lines == [
        "made Other (AWS::Logs::LogGroup)",
        "kept Readings (AWS::DynamoDB::Table), which is no longer the stack's",
        "removed Queue (AWS::SQS::Queue)",
        "removed Logs (AWS::Logs::LogGroup)",
    ]
    assert deployed.cloud.operations()[-2:] == ["delete_queue", "delete_log_group"]
    assert stack.resources.keys() == {"Other"}


def test_what_has_already_gone_is_no_obstacle_to_removing_it(deployed: Deployer):
    deployed({"Logs": LOGS, "Queue": QUEUE})
    deployed.cloud.fails["delete_queue"] = "QueueDoesNotExist"
    assert deployed({"Logs": LOGS}).resources.keys() == {"Logs"}


def test_a_failed_deploy_keeps_what_it_made_and_the_next_goes_on(deployed: Deployer):
    deployed.cloud.fails["create_queue"] = "Planted"
    template = {"Logs": LOGS, "Queue": {**QUEUE, "DependsOn": "Logs"}}
    with pytest.raises(TemplateError, match=r"^Queue: AWS::SQS::Queue: create_queue was refused: Planted: planted"):
        deployed(template)
    deployed.cloud.fails.clear()
    deployed(template)
    assert deployed.lines == ["made Queue (AWS::SQS::Queue)"]


def test_what_fails_half_made_is_removed_so_that_the_next_deploy_makes_it_whole(deployed: Deployer):
    deployed.cloud.fails["update_time_to_live"] = "Planted"
    with pytest.raises(TemplateError, match=r"^Readings: .*update_time_to_live"):
        deployed({"Readings": TABLE})
    assert deployed.cloud.operations()[-1] == "delete_table"
    deployed.cloud.fails.clear()
    assert deployed({"Readings": TABLE}).resources.keys() == {"Readings"}


@pytest.mark.parametrize(
    ("resources", "says"),
    [
        ({"Key": {"Type": "AWS::KMS::Key"}}, "Key: AWS::KMS::Key is not carried: keys are not carried"),
        ({"X": {"Type": "AWS::EC2::Instance"}}, "X: AWS::EC2::Instance is not carried: no provisioner"),
        ({"X": {"Properties": {}}}, "X: has no Type"),
        ({"Logs": with_properties(LOGS, KmsKeyId="k")}, "Logs.KmsKeyId: AWS::Logs::LogGroup is carried without"),
        ({"Logs": with_properties(LOGS, Invented=1)}, "Logs.Invented: AWS::Logs::LogGroup is carried without"),
        ({"Logs": {**LOGS, "UpdatePolicy": {}}}, "Logs.UpdatePolicy: this resource attribute is not carried"),
        ({"T": with_properties(TABLE, StreamSpecification={"Bad": 1})}, "T.StreamSpecification.Bad: the local cloud"),
        ({"T": with_properties(TABLE, KeySchema=[{"Name": "x"}])}, "T.KeySchema[0].Name: the local cloud"),
        ({"T": with_properties(TABLE, KeySchema=[{"AttributeName": "x"}])}, "T: dynamodb create_table: Parameter"),
        ({"T": with_properties(TABLE, StreamSpecification={"StreamViewType": "NEW"})},
         "T.StreamSpecification.StreamViewType: 'NEW' is not one of NEW_IMAGE, OLD_IMAGE"),
        ({"Logs": {**LOGS, "DependsOn": "Nobody"}}, "Logs: refers to Nobody"),
        ({"Logs": with_properties(LOGS, LogGroupName={"Ref": "Nobody"})}, "Logs.LogGroupName: Ref to Nobody"),
        ({"L": with_properties(LOGS, LogGroupName={"Fn::GetAtt": ["Q", "Nothing"]}), "Q": QUEUE},
         "L.LogGroupName: Q has no attribute Nothing; it has Arn, QueueName, QueueUrl"),
        ({"A": {**LOGS, "DependsOn": "B"}, "B": {**LOGS, "DependsOn": "C"}, "C": {**LOGS, "DependsOn": "A"}},
         "A: circular reference: A → B → C → A"),
        ({"Resources": {"L": LOGS}, "Rules": {}}, "Rules: this section"),
        ({"Resources": {"L": {**LOGS, "Condition": "Never"}}}, "L: the condition Never is not defined"),
        ({"Resources": {"L": LOGS}, "Outputs": {"O": {"Value": {"Ref": "Nobody"}}}}, "O.Value: Ref to Nobody"),
        ({"Conditions": {"No": {"Fn::Equals": ["a", "b"]}}, "Resources": {"L": LOGS, "M": {**LOGS, "Condition": "No"}},
          "Outputs": {"O": {"Value": {"Ref": "M"}}}}, "O.Value: refers to M, which its condition leaves out"),
    ],
)  # fmt: skip
def test_a_planted_mistake_fails_with_the_logical_id(deployed: Deployer, resources: dict[str, Any], says: str):
    with pytest.raises(TemplateError) as refused:
        deployed(resources)
    assert str(refused.value).startswith(says)


@pytest.mark.parametrize(
    ("resources", "says"),
    [
        ({"Key": {"Type": "AWS::KMS::Key"}, "Logs": LOGS}, "Key"),
        ({"Logs": LOGS, "X": with_properties(LOGS, Invented=1)}, "X"),
        ({"Logs": LOGS, "X": {**LOGS, "DependsOn": "Nobody"}}, "X"),
        ({"Logs": LOGS, "X": {**LOGS, "Properties": []}}, "X"),
        ({"Logs": LOGS, "X": {**LOGS, "DeletionPolicy": "Snapshot"}}, "X"),
        ({"Logs": LOGS, "X": with_properties(TABLE, KeySchema=[{"Name": "x"}])}, "X"),
        ({"Logs": LOGS, "X": with_properties(LOGS, LogGroupName={"Fn::GetAtt": ["Logs", "Nothing"]})}, "X"),
        ({"Logs": LOGS, "X": with_properties(LOGS, LogGroupName={"Fn::Sub": ["${a}", {"a": {"Fn::GetAtt": "L.No"}}]})},
         "X"),
        ({"Logs": LOGS, "X": with_properties(LOGS, LogGroupName={"Ref": "Logs", "Fn::Sub": "x"})}, "X"),
        *[({"Resources": {"Logs": LOGS}, "Outputs": {"X": output}}, "X") for output in (
            {"Value": {"Fn::GetAtt": ["Logs", "Nothing"]}}, {"Value": {"Fn::Sub": "${Nobody.Arn}"}}, {},
            {"Value": "x", "Condition": "Never"}, {"Value": "x", "Export": {"Name": "x"}},
        )],
        *[({"Resources": {"Logs": LOGS}, "Conditions": {"X": condition}}, "X") for condition in (
            {"Fn::Equals": [{"Ref": "Nobody"}, "x"]}, {"Fn::Equals": [{"Ref": "Logs"}, "x"]}, {"Condition": "X"},
            {"Fn::Or": [{"Fn::Equals": ["a", "a"]}, {"Condition": "Never"}]}, {"Fn::Invented": []}, {"Fn::Not": "x"},
        )],
        ({"Resources": {"Logs": LOGS, "X": with_properties(LOGS, LogGroupName={"Fn::If": ["Yes", "x", {"Fn::GetAtt": [
            "Logs", "Nothing"]}]})}, "Conditions": {"Yes": {"Fn::Equals": ["a", "a"]}}}, "X"),
    ],
)  # fmt: skip
def test_a_mistake_that_can_be_seen_beforehand_is_found_before_anything_is_made(
    deployed: Deployer, resources, says: str
):
    with pytest.raises(TemplateError) as refused:
        deployed(resources)
    assert refused.value.logical_id == says
    assert deployed.cloud.calls == []


def test_what_a_condition_leaves_out_may_be_named_where_the_condition_guards_it(deployed: Deployer):
    guarded = {"Fn::If": ["Loud", {"Fn::GetAtt": ["Queue", "QueueName"]}, "plain"]}
    template: dict[str, Any] = {
        "Conditions": {"Loud": {"Fn::Equals": ["a", "b"]}},
        "Resources": {
            "Queue": {**QUEUE, "Condition": "Loud"},
            "Logs": {**with_properties(LOGS, LogGroupName=guarded), "DependsOn": "Queue"},
        },
    }
    assert deployed(template).resources["Logs"].ref == "plain"
    template["Resources"]["Logs"] = with_properties(LOGS, LogGroupName={"Ref": "Queue"})
    with pytest.raises(TemplateError, match=r"^Logs: refers to Queue, which its condition leaves out"):
        deployed(template)


def test_an_entry_of_a_list_that_only_the_made_resource_tells_is_waited_for(deployed: Deployer):
    name = {"Fn::Select": [5, {"Fn::Split": [":", {"Fn::GetAtt": ["Queue", "Arn"]}]}]}
    assert deployed({"Queue": QUEUE, "Logs": with_properties(LOGS, LogGroupName=name)}).resources["Logs"].ref == "q"


def test_the_report_names_each_resource_once(deployed: Deployer):
    deployed({f"Logs{number}": with_properties(LOGS, LogGroupName=f"g{number}") for number in range(30)})
    assert sorted(deployed.lines) == sorted(f"made Logs{number} (AWS::Logs::LogGroup)" for number in range(30))


def test_an_output_that_left_the_template_is_gone(deployed: Deployer):
    template = {"Resources": {"Logs": LOGS}, "Outputs": {"A": {"Value": "1"}, "B": {"Value": "2"}}}
    assert deployed(template).outputs == {"A": "1", "B": "2"}
    assert deployed({"Resources": {"Logs": LOGS}, "Outputs": {"B": {"Value": "3"}}}).outputs == {"B": "3"}


def test_another_stack_is_refused_because_it_would_remove_the_one_that_stands(deployed: Deployer):
    deployed({"Logs": LOGS})
    config = deployed.settings.state_dir / "samconfig.toml"
    config.write_text("version = 0.1\n[dev.deploy.parameters]\nstack_name = 'another'\n")
    with pytest.raises(TemplateError, match="holds the stack template-dev, not another"):
        deployed({"Queue": QUEUE})
    assert deployed.cloud.calls == []
