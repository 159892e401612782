"""What the rooms of AWS IoT ask of one another. The composition (`main.py`) plugs them together."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from infra.local.iot.message import Message, Principal, Thing


class Broker(Protocol):
    """The message broker, as device services and rules use it."""

    def publish(self, message: Message) -> None:
        """Deliver to subscribers and rules as AWS's own services do: no publish policy is asked, `$aws` is allowed."""

    def send(self, client_id: str, message: Message) -> bool:
        """Deliver straight to one connection, subscribed or not (job answers); False if it is gone."""

    def answer(self, client_id: str, message: Message) -> bool:
        """Deliver to one connection, if it subscribed and may receive (provisioning answers); False if it gets none."""

    def disconnect(self, client_id: str, *, clean_session: bool, prevent_will: bool) -> bool:
        """Cut a connection (DeleteConnection); False if there is none."""


class Principals(Protocol):
    """The registry, as the gateway and its authorization use it."""

    def certificate(self, der: bytes) -> Principal | None:
        """Return who presents this certificate; None unless it is registered here and ACTIVE."""

    def documents(self, principal: Principal, client_id: str | None = None) -> Sequence[tuple[str, Mapping[str, Any]]]:
        """Return (policy name, parsed document) of every IoT policy that applies to the principal.

        Attached to the principal itself, or to a static group (or its ancestors) that holds a thing attached to it:
        the client's thing, where there is a client. (page "AWS IoT Core policies": client id and thing name match).
        """

    def thing(self, principal: Principal, client_id: str) -> Thing | None:
        """Return what thing variables resolve to: the principal's exclusive thing, or its thing named ``client_id``."""

    def on_change(self, callback: Callable[[], None]) -> None:
        """Call back after any change of a policy, attachment, certificate, group or thing: decisions are stale."""


class Reserved(Protocol):
    """A device service behind reserved topics: shadows, jobs, provisioning, Basic Ingest."""

    def accepts(self, topic: str) -> bool:
        """Say whether a client may publish to this `$aws/…` topic at all; where nobody accepts, AWS cuts the client."""

    def receive(self, message: Message) -> None:
        """Serve a message on such a topic; answers go out through the broker. Never raises on a bad payload."""


class Tap(Protocol):
    """Somebody who sees every message that reaches the broker: the rules engine."""

    def receive(self, message: Message) -> None:
        """Look at one message; return at once, whatever it leads to runs later. Never raises."""
