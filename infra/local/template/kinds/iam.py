"""AWS IAM's resource types."""

import contextlib
from typing import Any

from botocore.exceptions import ClientError

from infra.local.template.kinds.kind import Kind, Work


def _names(policies: Any) -> dict[str, Any]:
    return {policy["PolicyName"]: policy["PolicyDocument"] for policy in policies or []}


def _inline_policies(work: Work, policies: Any) -> None:
    wanted, was = _names(policies), _names(work.was.get("Policies"))
    for name, document in wanted.items():
        work.call("put_role_policy", RoleName=work.ref, PolicyName=name, PolicyDocument=document)
    for name in was.keys() - wanted.keys():
        work.call("delete_role_policy", RoleName=work.ref, PolicyName=name)


def _managed_policies(work: Work, arns: Any) -> None:
    was = set(work.was.get("ManagedPolicyArns", []))
    for arn in arns or []:
        if arn not in was:
            work.call("attach_role_policy", RoleName=work.ref, PolicyArn=arn)
    for arn in was - set(arns or []):
        work.call("detach_role_policy", RoleName=work.ref, PolicyArn=arn)


def _boundary(work: Work, arn: Any) -> None:
    if arn is None:
        work.call("delete_role_permissions_boundary", RoleName=work.ref)
    else:
        work.call("put_role_permissions_boundary", RoleName=work.ref, PermissionsBoundary=arn)


def _empty_role(work: Work) -> None:
    _inline_policies(work, [])
    _managed_policies(work, [])


def _new_version(work: Work, document: Any) -> None:
    """Put a new version in force and keep no other: IAM holds at most five."""
    work.call("create_policy_version", PolicyArn=work.ref, PolicyDocument=document, SetAsDefault=True)
    _drop_versions(work)


def _drop_versions(work: Work) -> None:
    for version in work.call("list_policy_versions", PolicyArn=work.ref)["Versions"]:
        if not version["IsDefaultVersion"]:
            work.call("delete_policy_version", PolicyArn=work.ref, VersionId=version["VersionId"])


def _attached_roles(work: Work, roles: Any) -> None:
    was = set(work.was.get("Roles", []))
    for role in set(roles or []) - was:
        work.call("attach_role_policy", RoleName=role, PolicyArn=work.ref)
    for role in was - set(roles or []):
        work.call("detach_role_policy", RoleName=role, PolicyArn=work.ref)


def _empty_policy(work: Work) -> None:
    _attached_roles(work, [])
    _drop_versions(work)


def _policy_in_roles(work: Work, roles: Any) -> None:
    name, was = work.properties["PolicyName"], set(work.was.get("Roles", []))
    for role in roles or []:
        work.call("put_role_policy", RoleName=role, PolicyName=name, PolicyDocument=work.properties["PolicyDocument"])
    for role in was - set(roles or []):
        work.call("delete_role_policy", RoleName=role, PolicyName=name)


def _out_of_roles(work: Work) -> None:
    for role in work.was.get("Roles", []):
        with contextlib.suppress(ClientError):  # the role may have gone first, and the policy with it
            work.call("delete_role_policy", RoleName=role, PolicyName=work.was["PolicyName"])


KINDS = (
    Kind(
        type="AWS::IAM::Role",
        service="iam",
        takes="RoleName! Path! AssumeRolePolicyDocument Description ManagedPolicyArns MaxSessionDuration"
        " PermissionsBoundary Policies Tags",
        name="RoleName",
        create="create_role",
        ref="Role.RoleName",
        attributes={"Arn": "Role.Arn", "RoleId": "Role.RoleId"},
        key={"RoleName": "Ref"},
        update="update_role",
        delete="delete_role",
        parts={"Policies": _inline_policies, "ManagedPolicyArns": _managed_policies, "PermissionsBoundary": _boundary},
        changes={
            "AssumeRolePolicyDocument": lambda work, document: work.call(
                "update_assume_role_policy", RoleName=work.ref, PolicyDocument=document
            )
        },
        before_delete=_empty_role,
    ),
    Kind(
        type="AWS::IAM::ManagedPolicy",
        service="iam",
        takes="ManagedPolicyName! Path! Description! PolicyDocument Roles",
        name="ManagedPolicyName",
        create="create_policy",
        ref="Policy.Arn",
        attributes={"PolicyArn": "Policy.Arn", "PolicyId": "Policy.PolicyId"},
        key={"PolicyArn": "Ref"},
        delete="delete_policy",
        rename={"ManagedPolicyName": "PolicyName"},
        parts={"Roles": _attached_roles},
        changes={"PolicyDocument": _new_version},
        before_delete=_empty_policy,
    ),
    Kind(
        type="AWS::IAM::Policy",
        service="iam",
        takes="PolicyName! PolicyDocument Roles",
        create="",
        ref="Properties.PolicyName",
        parts={"Roles": _policy_in_roles},
        changes={"PolicyDocument": lambda work, _document: _policy_in_roles(work, work.properties.get("Roles"))},
        before_delete=_out_of_roles,
    ),
)
