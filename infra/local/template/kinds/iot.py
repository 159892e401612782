"""AWS IoT Core's resource types."""

from typing import Any

from infra.local.template.kinds.kind import Kind, Work


def _new_policy_version(work: Work, document: Any) -> None:
    """Put a new version in force and keep no other: a policy holds at most five."""
    work.call("create_policy_version", PolicyName=work.ref, PolicyDocument=document, SetAsDefault=True)
    _drop_policy_versions(work)


def _drop_policy_versions(work: Work) -> None:
    for version in work.call("list_policy_versions", PolicyName=work.ref)["policyVersions"]:
        if not version["isDefaultVersion"]:
            work.call("delete_policy_version", PolicyName=work.ref, PolicyVersionId=version["versionId"])


def _empty_policy(work: Work) -> None:
    for target in work.call("list_targets_for_policy", PolicyName=work.ref)["targets"]:
        work.call("detach_policy", PolicyName=work.ref, Target=target)
    _drop_policy_versions(work)


def _deprecate(work: Work, value: Any) -> None:
    if value or work.was.get("DeprecateThingType"):
        work.call("deprecate_thing_type", ThingTypeName=work.ref, UndoDeprecate=not value)


def _new_template_version(work: Work, body: Any) -> None:
    work.call("create_provisioning_template_version", TemplateName=work.ref, TemplateBody=body, SetAsDefault=True)
    for version in work.call("list_provisioning_template_versions", TemplateName=work.ref)["versions"]:
        if not version["isDefaultVersion"]:
            work.call("delete_provisioning_template_version", TemplateName=work.ref, VersionId=version["versionId"])


KINDS = (
    Kind(
        type="AWS::IoT::Policy",
        service="iot",
        takes="PolicyName! PolicyDocument Tags",
        name="PolicyName",
        create="create_policy",
        ref="policyName",
        attributes={"Arn": "policyArn", "Id": "policyName"},
        key={"policyName": "Ref"},
        delete="delete_policy",
        changes={"PolicyDocument": _new_policy_version},
        before_delete=_empty_policy,
    ),
    Kind(
        type="AWS::IoT::ThingType",
        service="iot",
        takes="ThingTypeName! ThingTypeProperties DeprecateThingType Tags",
        name="ThingTypeName",
        create="create_thing_type",
        ref="thingTypeName",
        attributes={"Arn": "thingTypeArn", "Id": "thingTypeId"},
        key={"thingTypeName": "Ref"},
        update="update_thing_type",
        delete="delete_thing_type",
        parts={"DeprecateThingType": _deprecate},
        before_delete=lambda work: work.call("deprecate_thing_type", ThingTypeName=work.ref),
        stateful=True,
    ),
    Kind(
        type="AWS::IoT::ThingGroup",
        service="iot",
        takes="ThingGroupName! ParentGroupName! ThingGroupProperties Tags",
        name="ThingGroupName",
        create="create_thing_group",
        ref="thingGroupName",
        attributes={"Arn": "thingGroupArn", "Id": "thingGroupId"},
        key={"thingGroupName": "Ref"},
        update="update_thing_group",
        delete="delete_thing_group",
        stateful=True,
    ),
    Kind(
        type="AWS::IoT::TopicRule",
        service="iot",
        takes="RuleName! TopicRulePayload Tags",
        name="RuleName",
        create="create_topic_rule",
        ref="Properties.RuleName",
        attributes={"Arn": "arn:aws:iot:{Region}:{Account}:rule/{Ref}"},
        key={"ruleName": "Ref"},
        update="replace_topic_rule",
        whole=True,
        delete="delete_topic_rule",
    ),
    Kind(
        type="AWS::IoT::ProvisioningTemplate",
        service="iot",
        takes="TemplateName! TemplateType! Description Enabled PreProvisioningHook ProvisioningRoleArn TemplateBody"
        " Tags",
        name="TemplateName",
        create="create_provisioning_template",
        ref="templateName",
        attributes={"TemplateArn": "templateArn"},
        key={"templateName": "Ref"},
        update="update_provisioning_template",
        delete="delete_provisioning_template",
        rename={"TemplateType": "type"},
        changes={"TemplateBody": _new_template_version},
    ),
    Kind(
        type="AWS::IoT::Authorizer",
        service="iot",
        takes="AuthorizerName! SigningDisabled! AuthorizerFunctionArn EnableCachingForHttp Status TokenKeyName"
        " TokenSigningPublicKeys Tags",
        name="AuthorizerName",
        create="create_authorizer",
        ref="authorizerName",
        attributes={"Arn": "authorizerArn"},
        key={"authorizerName": "Ref"},
        update="update_authorizer",
        delete="delete_authorizer",
        before_delete=lambda work: work.call("update_authorizer", AuthorizerName=work.ref, Status="INACTIVE"),
    ),
)
