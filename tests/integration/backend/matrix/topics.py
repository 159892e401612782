"""The rows and cells of topics: which principal may connect as, say, ask for and hear what, of whose.

Principals are a device and the fleet's claim, by certificate, and a phone by both its paths: the token as password (the
Lambda authorizer's policy) and credentials of the identity pool (the role and the identity's own policy; both must
allow). A new pattern in a policy of the template fails until its row is written here.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import product
from typing import Any

from backend.domain.access import live_policy
from infra.local import iam
from infra.local.iot.message import Thing
from infra.local.iot.policy.context import Context
from infra.local.iot.policy.engine import evaluate, parse
from tests.integration.backend.deployed import ARN, Deployed, statements

NAMES = {
    "own": {"thing": "thing-own", "user": "user-own"},
    "other": {"thing": "thing-other", "user": "user-other"},
    "absent": {"thing": "absent", "user": "absent"},
}
DEVICE, CLAIM, PHONE = "device", "claim", "phone"
PRINCIPALS = (DEVICE, CLAIM, "phone by token", "phone by credentials")
VARIABLES = {"thing": "${iot:Connection.Thing.ThingName}"}
Pattern = tuple[str, str]
"""An action and a resource: ``("iot:Publish", "topic/cmd/dev/{thing}/*/res")``."""
ROWS: Mapping[Pattern, str] = {
    ("iot:Connect", "client/{thing}"): DEVICE,
    ("iot:Publish", "topic/$aws/rules/dev_telemetry/dt/dev/{thing}/telemetry"): DEVICE,
    ("iot:Publish", "topic/$aws/rules/dev_urgent/dt/dev/{thing}/urgent"): DEVICE,
    ("iot:Publish", "topic/cmd/dev/{thing}/*/res"): DEVICE,
    ("iot:Publish", "topic/$aws/things/{thing}/shadow/*"): DEVICE,
    ("iot:Publish", "topic/$aws/things/{thing}/jobs/*"): DEVICE,
    ("iot:Subscribe", "topicfilter/cmd/dev/{thing}/+/req"): DEVICE,
    ("iot:Subscribe", "topicfilter/$aws/things/{thing}/shadow/*"): DEVICE,
    ("iot:Subscribe", "topicfilter/$aws/things/{thing}/jobs/*"): DEVICE,
    ("iot:Receive", "topic/cmd/dev/{thing}/*/req"): DEVICE,
    ("iot:Receive", "topic/$aws/things/{thing}/*"): DEVICE,
    ("iot:Connect", "client/claim-dev-*"): CLAIM,
    ("iot:Publish", "topic/$aws/certificates/create/json"): CLAIM,
    ("iot:Publish", "topic/$aws/certificates/create-from-csr/json"): CLAIM,
    ("iot:Publish", "topic/$aws/provisioning-templates/dev-fleet/provision/json"): CLAIM,
    ("iot:Subscribe", "topicfilter/$aws/certificates/create/json/*"): CLAIM,
    ("iot:Subscribe", "topicfilter/$aws/certificates/create-from-csr/json/*"): CLAIM,
    ("iot:Subscribe", "topicfilter/$aws/provisioning-templates/dev-fleet/provision/json/*"): CLAIM,
    ("iot:Receive", "topic/$aws/certificates/create/json/*"): CLAIM,
    ("iot:Receive", "topic/$aws/certificates/create-from-csr/json/*"): CLAIM,
    ("iot:Receive", "topic/$aws/provisioning-templates/dev-fleet/provision/json/*"): CLAIM,
    ("iot:Connect", "client/app-{user}-*"): PHONE,
    ("iot:Subscribe", "topicfilter/live/dev/{user}/*"): PHONE,
    ("iot:Receive", "topic/live/dev/{user}/*"): PHONE,
}
KINDS = {"iot:Connect": "client", "iot:Publish": "topic", "iot:Subscribe": "topicfilter", "iot:Receive": "topic"}
PROBES = (
    "#", "+/dev/#", "$aws/#", "$aws/things/+/shadow/#", "$aws/events/#", "cmd/dev/#", "cmd/dev/+/+/req", "dt/#",
    "dt/dev/{thing}/telemetry", "dt/dev/{thing}/urgent", "live/#", "live/dev/#", "live/dev/+/presence",
    "live/dev/{user}", "live/prod/{user}/x", "cmd/prod/{thing}/x/req", "$aws/rules/dev_presence/x",
    "$aws/rules/dev_answers/cmd/dev/{thing}/x/res", "$aws/events/presence/connected/{thing}",
)  # fmt: skip
"""What somebody who looks for more than their own would try, besides what is somebody's."""


@dataclass(frozen=True)
class Cell:
    """One principal wants one thing."""

    principal: str
    action: str
    resource: str

    def allowed(self) -> bool:
        """Say whether this is the principal's own, by the rows."""
        kind = self.principal.split()[0]
        own = NAMES["own"]
        return any(
            action == self.action and whose == kind and fnmatchcase(self.resource, pattern.format(**own))
            for (action, pattern), whose in ROWS.items()
        )


@dataclass
class Policies:
    """What each principal's policies are."""

    device: Any
    claim: Any
    token: Any
    identity: Any
    role: Any

    @classmethod
    def of(cls, made: Deployed) -> "Policies":
        certificates = made.iot_policies()
        live = live_policy(NAMES["own"]["user"], stage="dev", arn_prefix=ARN.removesuffix(":"))
        return cls(certificates["dev-device"], certificates["dev-claim"], live, live, made.phone_role())

    def patterns(self) -> set[Pattern]:
        """Return every pattern that some policy allows, the names in it as the rows have them."""
        found = set()
        for document in (self.device, self.claim, self.token, self.identity):
            for action, resource in statements(document):
                text = resource.replace(VARIABLES["thing"], "{thing}").replace(NAMES["own"]["user"], "{user}")
                found.add((action, text))
        return found

    def allow(self, cell: Cell) -> bool:
        """Say whether AWS IoT would let the principal do it."""
        ask = {"action": cell.action, "resource": ARN + cell.resource}
        name = NAMES["own"]["thing"]
        if cell.principal == DEVICE:
            # The connection's client id is what a CONNECT asks for; later it is the name that was let in.
            client = cell.resource.removeprefix("client/") if cell.action == "iot:Connect" else name
            context = Context(client_id=client, thing=Thing(name=name), attached=True)
            return evaluate(parse(self.device), **ask, context=context).allowed
        document = {CLAIM: self.claim, "phone by token": self.token}.get(cell.principal, self.identity)
        allowed = evaluate(parse(document), **ask, context=Context()).allowed
        if cell.principal == "phone by credentials":
            return allowed and iam.evaluate(iam.parse(self.role), None, ask["action"], ask["resource"], {}).allowed
        return allowed


def cells() -> Iterator[Cell]:
    """Yield every cell: each principal, each action, on every pattern of one's own, another's and nobody's."""
    texts = {pattern.partition("/")[2] for _, pattern in ROWS} | set(PROBES)
    for text, names, (action, kind), principal in product(texts, NAMES.values(), KINDS.items(), PRINCIPALS):
        stars = ("x", "x/y", "#") if kind == "topicfilter" else ("x", "x/y")
        for star in stars if "*" in text else ("",):
            yield Cell(principal, action, f"{kind}/{text.format(**names).replace('*', star)}")


def judge(policies: Policies) -> tuple[int, list[str]]:
    """Return how many cells there are, and where the policies say something else than the rows."""
    asked = set(cells())
    wrong = [
        f"{cell.principal} {'may' if policies.allow(cell) else 'may not'} {cell.action} {cell.resource}"
        for cell in sorted(asked, key=str)
        if policies.allow(cell) != cell.allowed()
    ]
    return len(asked), wrong


def without_row(policies: Policies) -> set[Pattern]:
    """Return the patterns nobody has said about whose they are; and rows of patterns that are gone."""
    return policies.patterns() ^ set(ROWS)
