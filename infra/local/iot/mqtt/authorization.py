"""Who may do what on a connection: the policies of its principal, decided once an action and topic, then remembered.

What is remembered goes when a policy, attachment, certificate, group or thing changes, so that the next action is
judged by the new state; the connection itself stays (AWS promises no cut for it).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from infra.local.iot.message import Principal
from infra.local.iot.mqtt.denials import DenialLog
from infra.local.iot.policy import Context, Decision, PolicyError, Statement, evaluate, parse
from infra.local.iot.ports import Principals

_REMEMBERED = 2_000
CertificateFacts = Callable[[bytes], Mapping[str, Sequence[str]]]
RoleDecision = Callable[[Principal, str, str, Context], Decision]
"""What the IAM policies of a SigV4 caller say to (action, resource ARN)."""


def refuse_role(_: Principal, action: str, resource: str, __: Context) -> Decision:
    """Refuse: where no IAM is plugged in, nobody is allowed by it."""
    return Decision(allowed=False, by=f"no IAM policies known for {action} on {resource}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Authorizer:
    """Makes the grants of connections."""

    principals: Principals
    denials: DenialLog
    arn_prefix: str
    """``arn:aws:iot:us-east-1:123456789012:``."""
    certificate_facts: CertificateFacts = lambda _: {}
    role_decision: RoleDecision = refuse_role
    _parsed: dict[tuple[str, int], tuple[Mapping[str, Any], tuple[Statement, ...]]] = field(default_factory=dict)
    """By policy name and the document's identity, which a change of the policy changes; held, so that it stays."""

    def grants(self, principal: Principal, client_id: str | None, source_ip: str) -> "Grants":
        """Return what this principal may do as this client."""
        return Grants(self, principal, client_id, source_ip)

    def statements(self, principal: Principal, client_id: str | None) -> tuple[Statement, ...]:
        """Return the IoT policies' statements that apply to the principal, pooled; its own documents come first."""
        found: list[Statement] = []
        for position, document in enumerate(principal.policy_documents if principal.kind == "custom" else ()):
            found.extend(parse(document, f"authorizer policy {position}"))
        for name, parsed in self.principals.documents(principal, client_id):
            found.extend(self._statements_of(name, parsed))
        return tuple(found)

    def _statements_of(self, name: str, document: Mapping[str, Any]) -> tuple[Statement, ...]:
        known = self._parsed.get((name, id(document)))
        if known is None:
            try:
                known = (document, parse(document, name))
            except PolicyError as error:
                self.denials.write({"policy": name, "ignored": str(error)})
                known = (document, ())
            if len(self._parsed) >= _REMEMBERED:
                self._parsed.clear()
            self._parsed[name, id(document)] = known
        return known[1]


class Grants:
    """The decisions of one connection."""

    __slots__ = (
        "_authorizer",
        "_context",
        "_publish",
        "_receive",
        "_source_ip",
        "_statements",
        "client_id",
        "principal",
    )

    def __init__(self, authorizer: Authorizer, principal: Principal, client_id: str | None, source_ip: str) -> None:
        self._authorizer = authorizer
        self._source_ip = source_ip
        self.principal = principal
        self.client_id = client_id
        self._publish: dict[str, bool] = {}
        self._receive: dict[str, bool] = {}
        self._statements: tuple[Statement, ...] | None = None
        self._context = Context()

    def forget(self) -> None:
        """Drop every decision: the next action is judged anew."""
        self._statements = None
        self._publish.clear()
        self._receive.clear()

    def renew(self, principal: Principal) -> None:
        """Judge from now on by another answer of the custom authorizer."""
        self.principal = principal
        self.forget()

    def may_connect(self, *, persistent: bool, will_topic: str | None) -> bool:
        """Judge iot:Connect, with what the CONNECT asks for as its condition keys."""
        attributes = ["PersistentConnect"] * persistent + ["LastWill"] * (will_topic is not None)
        more = {"connect_attributes": attributes, "last_will_topic": will_topic}
        return self.allows("iot:Connect", f"client/{self.client_id}", **more)

    def may_publish(self, topic: str) -> bool:
        """Judge iot:Publish; a refusal is written down each time."""
        known = self._publish.get(topic)
        if known is None or not known:
            known = self._remember(self._publish, topic, "iot:Publish")
        return known

    def may_retain(self, topic: str) -> bool:
        """Judge iot:RetainPublish, asked in addition to iot:Publish."""
        return self.allows("iot:RetainPublish", f"topic/{topic}")

    def may_subscribe(self, topic_filter: str, inner: str) -> bool:
        """Judge iot:Subscribe, once a filter in a SUBSCRIBE; ``inner`` is the filter without a group's `$share/…/`.

        No page says by which of both a shared one is judged; the sample policies of AWS's device SDKs name both.
        """
        return self._either("iot:Subscribe", f"topicfilter/{topic_filter}", f"topicfilter/{inner}")

    def may_receive(self, topic: str) -> bool:
        """Judge iot:Receive, asked at each delivery; a refusal is written down each time."""
        known = self._receive.get(topic)
        if known is None or not known:
            known = self._remember(self._receive, topic, "iot:Receive")
        return known

    def may_receive_shared(self, topic: str, group: str) -> bool:
        """Judge iot:Receive for a member of a group, by either name as above."""
        name = f"$share/{group}/{topic}"
        return self._receive.get(name) or self._keep(
            self._receive, name, allowed=self._either("iot:Receive", f"topic/{topic}", f"topic/{name}")
        )

    def _either(self, action: str, *resources: str) -> bool:
        """Say whether one of the names is allowed and none denied; write down a refusal."""
        arns = [self._authorizer.arn_prefix + resource for resource in dict.fromkeys(resources)]
        decisions = [(arn, self._decide(action, arn, {})) for arn in arns]
        denied = [decided for decided in decisions if decided[1].denied]
        if not denied and any(decision.allowed for _, decision in decisions):
            return True
        self._explain(action, *(denied or decisions)[0])
        return False

    def allows(self, action: str, resource: str, **more: Any) -> bool:
        """Return the decision; write down a refusal."""
        arn = self._authorizer.arn_prefix + resource
        decision = self._decide(action, arn, more)
        if not decision.allowed:
            self._explain(action, arn, decision)
        return decision.allowed

    def _remember(self, known: dict[str, bool], topic: str, action: str) -> bool:
        return self._keep(known, topic, allowed=self.allows(action, f"topic/{topic}"))

    @staticmethod
    def _keep(known: dict[str, bool], topic: str, *, allowed: bool) -> bool:
        if len(known) >= _REMEMBERED:
            known.clear()
        known[topic] = allowed
        return allowed

    def _decide(self, action: str, arn: str, more: Mapping[str, Any]) -> Decision:
        if self._statements is None:
            self._statements = self._load()
        context = replace(self._context, **more) if more else self._context
        principal = self.principal
        if principal.kind in {"iam", "cognito"}:
            decision = self._authorizer.role_decision(principal, action, arn, context)
            # Authenticated identities need both, the role and an IoT policy attached to the identity ("Authorization
            # with Amazon Cognito identities"); the unauthenticated and every other role only the role's.
            if principal.kind == "iam" or not decision.allowed:
                return decision
        return evaluate(self._statements, action=action, resource=arn, context=context)

    def _load(self) -> tuple[Statement, ...]:
        principal, authorizer = self.principal, self._authorizer
        der = principal.certificate_der
        self._context = Context(
            client_id=self.client_id,
            source_ip=self._source_ip,
            thing=authorizer.principals.thing(principal, self.client_id) if self.client_id else None,
            certificate_id=principal.id if principal.kind == "certificate" else None,
            certificate=authorizer.certificate_facts(der) if der else {},
            cognito_sub=principal.cognito_identity_id,
        )
        return authorizer.statements(principal, self.client_id)

    def _explain(self, action: str, arn: str, decision: Decision) -> None:
        considered = [
            {"statement": one.statement, "effect": one.effect, "mismatch": one.mismatch} for one in decision.considered
        ]
        missing = (
            f"nothing: {decision.by} denies it" if decision.denied else f"a statement that allows {action} on {arn}"
        )
        if self.principal.kind == "certificate" and self._context.thing is None and self.client_id:
            missing += "; no thing of this certificate has the client's name: no thing variables, no groups' policies"
        self._authorizer.denials.write(
            {
                "client_id": self.client_id,
                "principal": self.principal.id,
                "principal_kind": self.principal.kind,
                "action": action,
                "resource": arn,
                "by": decision.by,
                "considered": considered,
                "missing": missing,
            }
        )
