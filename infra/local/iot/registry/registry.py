"""The registry behind one door: operations by AWS's names, and what the gateway asks of it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from uuid import uuid4

from botocore import xform_name

from infra.local.clock import Clock
from infra.local.config import Settings
from infra.local.iot.certificates import CertificateAuthority, certificate_id
from infra.local.iot.errors import NotEmulatedError
from infra.local.iot.message import Principal, Thing
from infra.local.iot.registry.account import Account
from infra.local.iot.registry.authorizers import Authorizers
from infra.local.iot.registry.certificates import Certificates
from infra.local.iot.registry.groups import Groups
from infra.local.iot.registry.policies import Policies
from infra.local.iot.registry.state import Answer, Ask, Authorizer, State
from infra.local.iot.registry.things import Things

_READING = ("describe_", "list_", "get_")


class Registry:
    """Implements ``ports.Principals``; changes are told to whoever keeps decisions."""

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        authority: CertificateAuthority,
        ids: Callable[[], str] = lambda: str(uuid4()),
    ) -> None:
        self.state = State(region=settings.region, clock=clock, ids=ids, authority=authority)
        self.certificates = Certificates(self.state)
        self.policies = Policies(self.state)
        self._rooms: list[object] = [
            Things(self.state),
            Groups(self.state),
            self.certificates,
            self.policies,
            Authorizers(self.state),
            Account(self.state, settings.ports),
        ]
        self._callbacks: list[Callable[[], None]] = []
        self._before: list[Callable[[], None]] = []

    def extend(self, room: object, *, before: Callable[[], None] = lambda: None) -> None:
        """Serve the operations of a neighbouring room (provisioning) as well, by its methods' names.

        ``before`` is called ahead of every operation: what has expired by then is not to be seen.
        """
        self._rooms.append(room)
        self._before.append(before)

    def call(self, operation: str, ask: Ask) -> Answer:
        """Carry out one operation, by AWS's name.

        Raises:
            IotError: what AWS answers instead of a result.
        """
        method_name = xform_name(operation)
        for room in self._rooms:
            method: Callable[[Ask], Answer] | None = getattr(room, method_name, None)
            if method:
                break
        else:
            raise NotEmulatedError(operation)
        for callback in self._before:
            callback()
        answer = method(ask)
        if not method_name.startswith(_READING):
            if method_name.startswith("delete_"):
                self.state.forget_tags()
            elif method_name.startswith("create_") and (tags := ask.get("tags")):
                self._tag(answer, tags)
            self.changed()
        return answer

    def changed(self) -> None:
        """Tell everybody that decisions taken before are stale."""
        self.state.changed()
        for callback in self._callbacks:
            callback()

    def on_change(self, callback: Callable[[], None]) -> None:
        """Call back after any change."""
        self._callbacks.append(callback)

    def certificate(self, der: bytes) -> Principal | None:
        """Return who presents this certificate; None unless it is registered here and ACTIVE."""
        record = self.state.certificates.get(certificate_id(der))
        if record is None or record.status != "ACTIVE":
            return None
        if record.claim_expires_at and record.claim_expires_at <= self.state.clock.now():
            return None
        return Principal(kind="certificate", id=record.id, certificate_der=der)

    def documents(self, principal: Principal, client_id: str | None = None) -> Sequence[tuple[str, Mapping[str, Any]]]:
        """Return (policy name, parsed document) of every policy that applies; nothing for a certificate not ACTIVE."""
        name = self._principal_name(principal)
        if name is None:
            return ()
        record = self.state.certificates.get(principal.id)
        if record and record.claim_policy:
            return [("provisioning claim", record.claim_policy)]
        things = [
            thing
            for thing in self.state.things_of(name)
            if client_id is None or thing.principals[name] or thing.name == client_id
        ]
        policies = self.policies.effective(name, things)
        return [(policy.name, policy.versions[policy.default].parsed) for policy in policies]

    def thing(self, principal: Principal, client_id: str) -> Thing | None:
        """Return the principal's exclusive thing, else the thing named ``client_id`` if it is attached to it."""
        name = self._principal_name(principal)
        things = self.state.things_of(name) if name else []
        for record in things:
            exclusive = record.principals[name or ""]
            if exclusive or record.name == client_id:
                attributes = dict(record.attributes)
                return Thing(name=record.name, type_name=record.type_name, attributes=attributes, exclusive=exclusive)
        return None

    def authorizer(self, name: str | None) -> Authorizer | None:
        """Return an ACTIVE custom authorizer by name, or the default one; None if there is none."""
        record = self.state.authorizers.get(name or self.state.default_authorizer or "")
        return record if record and record.status == "ACTIVE" else None

    def _principal_name(self, principal: Principal) -> str | None:
        if principal.kind == "certificate":
            record = self.state.certificates.get(principal.id)
            return record.arn if record and record.status == "ACTIVE" else None
        return principal.cognito_identity_id

    def _tag(self, answer: Answer, tags: Sequence[Mapping[str, str]]) -> None:
        """Remember the tags a resource was created with."""
        arn = next((value for key, value in answer.items() if key.endswith("Arn")), None)
        if arn:
            self.state.tags[arn] = {tag["Key"]: tag.get("Value", "") for tag in tags}
