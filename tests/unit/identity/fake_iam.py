"""IAM's store, played: roles with their policies in a dictionary, read as the account's owner reads them."""

from typing import Any

from botocore.exceptions import ClientError

ACCOUNT = "123456789012"


def statement(effect="Allow", **elements):
    """Return a statement, its elements named in Python's manner."""
    return {"Effect": effect, **elements}


def document(*statements):
    """Return a policy document."""
    return {"Version": "2012-10-17", "Statement": list(statements)}


class FakeIam:
    """The port ``IamCall``."""

    def __init__(self):
        self.roles: dict[str, dict[str, Any]] = {}
        self.managed: dict[str, Any] = {}
        self.calls: list[str] = []

    def add(self, name, *statements, trust=None, boundary=None, attached=()):
        """Make or replace a role with one inline policy; return its ARN."""
        trusted = trust or statement(Principal={"Service": "lambda.amazonaws.com"}, Action="sts:AssumeRole")
        self.roles[name] = {
            "policies": {"inline": document(*statements)} if statements else {},
            "trust": document(trusted),
            "boundary": boundary,
            "attached": list(attached),
        }
        return f"arn:aws:iam::{ACCOUNT}:role/{name}"

    async def __call__(self, service, operation, **params):
        assert service == "iam"
        self.calls.append(operation)
        return getattr(self, operation)(**params)

    def _role(self, name):
        if name not in self.roles:
            raise ClientError({"Error": {"Code": "NoSuchEntity", "Message": name}}, "GetRole")
        return self.roles[name]

    def GetRole(self, RoleName):  # noqa: N802, N803
        role = self._role(RoleName)
        limit = {"PermissionsBoundary": {"PermissionsBoundaryArn": role["boundary"]}} if role["boundary"] else {}
        return {
            "Role": {
                "Arn": f"arn:aws:iam::{ACCOUNT}:role/{RoleName}",
                "RoleId": "AROA" + RoleName.upper(),
                "AssumeRolePolicyDocument": role["trust"],
                "MaxSessionDuration": 3600,
                **limit,
            }
        }

    def ListRolePolicies(self, RoleName):  # noqa: N802, N803
        return {"PolicyNames": list(self._role(RoleName)["policies"])}

    def GetRolePolicy(self, RoleName, PolicyName):  # noqa: N802, N803
        return {"PolicyDocument": self._role(RoleName)["policies"][PolicyName]}

    def ListAttachedRolePolicies(self, RoleName):  # noqa: N802, N803
        return {"AttachedPolicies": [{"PolicyArn": arn} for arn in self._role(RoleName)["attached"]]}

    def GetPolicy(self, PolicyArn):  # noqa: N802, N803
        assert PolicyArn in self.managed
        return {"Policy": {"DefaultVersionId": "v2"}}

    def GetPolicyVersion(self, PolicyArn, VersionId):  # noqa: N802, N803
        assert VersionId == "v2"
        return {"PolicyVersion": {"Document": self.managed[PolicyArn]}}
