"""IoT policies with their versions, and what they are attached to.

AWS IoT developer guide, "AWS IoT Core policies", "Managing AWS IoT policies" (API reference).
"""

import json
from collections.abc import Iterable, Iterator

from infra.local.iot.errors import ExistsError, InvalidError, NotEmulatedError, RefusedError
from infra.local.iot.policy import PolicyError, parse
from infra.local.iot.registry.state import Answer, Ask, Policy, PolicyVersion, State, ThingRecord, found, page

MAX_VERSIONS = 5
MAX_ATTACHED = 10


class Policies:
    """Operations on policies."""

    def __init__(self, state: State) -> None:
        self._state = state

    def create_policy(self, ask: Ask) -> Answer:
        """Create a policy; its document becomes version 1, the default."""
        name = ask["policyName"]
        version = self._version(ask)
        if name in self._state.policies:
            raise ExistsError(f"Policy cannot be created - name already exists (name={name})")
        self._state.policies[name] = Policy(name=name, versions={1: version}, created_at=version.created_at)
        return {**self._name(name), "policyDocument": version.document, "policyVersionId": "1"}

    def get_policy(self, ask: Ask) -> Answer:
        """Return a policy with its default document."""
        policy = self._policy(ask)
        version = policy.versions[policy.default]
        return {
            **self._name(policy.name),
            "policyDocument": version.document,
            "defaultVersionId": str(policy.default),
            "creationDate": policy.created_at.timestamp(),
            "lastModifiedDate": version.created_at.timestamp(),
        }

    def list_policies(self, ask: Ask) -> Answer:
        """List policies."""
        policies, marker = page(self._state.policies.values(), ask)
        return {"policies": [self._name(policy.name) for policy in policies], "nextMarker": marker}

    def delete_policy(self, ask: Ask) -> Answer:
        """Delete a policy with one version and no targets."""
        policy = self._policy(ask)
        if policy.targets:
            message = (
                f"The policy cannot be deleted as the policy is attached to one or more principals ({policy.name})"
            )
            raise RefusedError("DeleteConflictException", 409, message)
        if len(policy.versions) > 1:
            message = f"Cannot delete the policy because it has one or more policy versions attached ({policy.name})"
            raise RefusedError("DeleteConflictException", 409, message)
        del self._state.policies[policy.name]
        return {}

    def create_policy_version(self, ask: Ask) -> Answer:
        """Add a version, of at most five; ``setAsDefault`` makes it the one that counts."""
        policy = self._policy(ask)
        version = self._version(ask)
        if len(policy.versions) >= MAX_VERSIONS:
            message = f"The policy {policy.name} already has the maximum number of versions ({MAX_VERSIONS})"
            raise RefusedError("VersionsLimitExceededException", 409, message)
        policy.latest += 1
        policy.versions[policy.latest] = version
        if ask.get("setAsDefault"):
            policy.default = policy.latest
        return {
            "policyArn": self._state.arn("policy", policy.name),
            "policyDocument": version.document,
            "policyVersionId": str(policy.latest),
            "isDefaultVersion": policy.default == policy.latest,
        }

    def get_policy_version(self, ask: Ask) -> Answer:
        """Return one version of a policy."""
        policy, number = self._numbered(ask)
        version = policy.versions[number]
        return {
            **self._name(policy.name),
            "policyDocument": version.document,
            "policyVersionId": str(number),
            "isDefaultVersion": number == policy.default,
            "creationDate": version.created_at.timestamp(),
            "lastModifiedDate": version.created_at.timestamp(),
        }

    def list_policy_versions(self, ask: Ask) -> Answer:
        """List a policy's versions, newest first."""
        policy = self._policy(ask)
        versions = [
            {
                "versionId": str(number),
                "isDefaultVersion": number == policy.default,
                "createDate": version.created_at.timestamp(),
            }
            for number, version in policy.versions.items()
        ]
        return {"policyVersions": versions[::-1]}

    def set_default_policy_version(self, ask: Ask) -> Answer:
        """Make a version the one that counts."""
        policy, number = self._numbered(ask)
        policy.default = number
        return {}

    def delete_policy_version(self, ask: Ask) -> Answer:
        """Delete a version that is not the default."""
        policy, number = self._numbered(ask)
        if number == policy.default:
            raise RefusedError("DeleteConflictException", 409, "Cannot delete the default version of a policy")
        del policy.versions[number]
        return {}

    def attach_policy(self, ask: Ask) -> Answer:
        """Attach a policy to a certificate, a thing group or an identity; at most ten to each."""
        policy, target = self._policy(ask), self._target(ask["target"])
        if target not in policy.targets and len(list(self._attached(target))) >= MAX_ATTACHED:
            message = f"The maximum number of policies ({MAX_ATTACHED}) is already attached to {target}"
            raise RefusedError("LimitExceededException", 410, message)
        policy.targets[target] = None
        return {}

    def detach_policy(self, ask: Ask) -> Answer:
        """Detach a policy."""
        self._policy(ask).targets.pop(ask["target"], None)
        return {}

    def attach_principal_policy(self, ask: Ask) -> Answer:
        """Attach a policy, by the older name of the operation."""
        return self.attach_policy({"policyName": ask["policyName"], "target": ask["principal"]})

    def detach_principal_policy(self, ask: Ask) -> Answer:
        """Detach a policy, by the older name of the operation."""
        return self.detach_policy({"policyName": ask["policyName"], "target": ask["principal"]})

    def list_attached_policies(self, ask: Ask) -> Answer:
        """List what is attached to a target; with ``recursive`` also what its groups' ancestors carry."""
        target = self._target(ask["target"])
        targets = [target]
        if ask.get("recursive") and target.startswith(self._group_arn("")):
            line = self._state.lineage(target.rpartition("/")[2])
            targets = [self._group_arn(group.name) for group in line]
        policies, marker = page(dict.fromkeys(name for one in targets for name in self._attached(one)), ask)
        return {"policies": [self._name(name) for name in policies], "nextMarker": marker}

    def list_principal_policies(self, ask: Ask) -> Answer:
        """List what is attached to a principal, by the older name of the operation."""
        return self.list_attached_policies({**ask, "target": ask["principal"], "recursive": False})

    def list_targets_for_policy(self, ask: Ask) -> Answer:
        """List what a policy is attached to."""
        targets, marker = page(self._policy(ask).targets, ask)
        return {"targets": targets, "nextMarker": marker}

    def list_policy_principals(self, ask: Ask) -> Answer:
        """List what a policy is attached to, by the older name of the operation."""
        targets, marker = page(self._policy(ask).targets, ask)
        return {"principals": targets, "nextMarker": marker}

    def get_effective_policies(self, ask: Ask) -> Answer:
        """Return the policies that apply to a principal and its things' groups, or those of one thing."""
        if ask.get("cognitoIdentityPoolId"):
            raise NotEmulatedError("GetEffectivePolicies of a Cognito identity pool")
        if not ask.keys() & {"principal", "thingName"}:
            raise InvalidError("A principal or a thing's name is required.")
        principal = self._state.principal(ask["principal"]) if "principal" in ask else None
        things = [found(self._state.things, ask["thingName"], "Thing")] if "thingName" in ask else None
        return {
            "effectivePolicies": [
                {**self._name(policy.name), "policyDocument": policy.versions[policy.default].document}
                for policy in self.effective(principal, things)
            ]
        }

    def effective(self, principal: str | None, things: Iterable[ThingRecord] | None = None) -> Iterator[Policy]:
        """Yield every policy of a principal: its own, and those of the groups (and ancestors) of its things."""
        targets = {principal} if principal else set()
        if things is None:
            things = self._state.things_of(principal) if principal else ()
        for name in {name for thing in things for name in thing.groups}:
            targets |= {self._group_arn(group.name) for group in self._state.lineage(name)}
        for policy in self._state.policies.values():
            if not targets.isdisjoint(policy.targets):
                yield policy

    def _attached(self, target: str) -> Iterator[str]:
        return (policy.name for policy in self._state.policies.values() if target in policy.targets)

    def _target(self, target: str) -> str:
        if target.startswith(self._group_arn("")):
            found(self._state.groups, target.rpartition("/")[2], "Thing group")
            return target
        return self._state.principal(target)

    def _version(self, ask: Ask) -> PolicyVersion:
        document = ask["policyDocument"]
        try:
            parse(document)
        except PolicyError as error:
            raise RefusedError(error.code, 400, str(error)) from error
        return PolicyVersion(document=document, parsed=json.loads(document), created_at=self._state.clock.now())

    def _numbered(self, ask: Ask) -> tuple[Policy, int]:
        policy = self._policy(ask)
        number = ask["policyVersionId"]
        found({str(known): known for known in policy.versions}, number, f"Version of policy {policy.name}")
        return policy, int(number)

    def _policy(self, ask: Ask) -> Policy:
        return found(self._state.policies, ask["policyName"], "Policy")

    def _name(self, name: str) -> Answer:
        return {"policyName": name, "policyArn": self._state.arn("policy", name)}

    def _group_arn(self, name: str) -> str:
        return self._state.arn("thinggroup", name)
