"""The topics of one device: the contract between firmware, IoT policy and rules (infra/template.yaml)."""

from dataclasses import dataclass

CREATE_KEYS = "$aws/certificates/create/json"
CREATE_FROM_CSR = "$aws/certificates/create-from-csr/json"


def provisioning(template: str) -> str:
    """Return where a device with a claim asks to be made a thing."""
    return f"$aws/provisioning-templates/{template}/provision/json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Topics:
    """Every topic that a thing of a stage uses. Names carry the stage: topics are account-wide on AWS."""

    stage: str
    thing: str

    @property
    def telemetry(self) -> str:
        """Return where buckets go: Basic Ingest, straight into the rule, without a messaging charge."""
        return f"$aws/rules/{self.stage}_telemetry/dt/{self.stage}/{self.thing}/telemetry"

    @property
    def urgent(self) -> str:
        """Return where a reading goes that cannot wait for its bucket."""
        return f"$aws/rules/{self.stage}_urgent/dt/{self.stage}/{self.thing}/urgent"

    @property
    def command_requests(self) -> str:
        """Return the filter under which commands come."""
        return f"cmd/{self.stage}/{self.thing}/+/req"

    def command_answer(self, command: str) -> str:
        """Return where answers to a command go."""
        return f"cmd/{self.stage}/{self.thing}/{command}/res"

    def shadow(self, name: str | None = None) -> "ShadowTopics":
        """Return the topics of a named shadow of this thing; without a name those of its classic one."""
        return ShadowTopics(prefix=f"$aws/things/{self.thing}/shadow" + (f"/name/{name}" if name else ""))


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowTopics:
    """The topics of one shadow. AWS IoT developer guide, "Device Shadow MQTT topics"."""

    prefix: str

    @property
    def get(self) -> str:
        """Return where the document is asked for."""
        return f"{self.prefix}/get"

    @property
    def update(self) -> str:
        """Return where changes go."""
        return f"{self.prefix}/update"

    @property
    def fetched(self) -> str:
        """Return where the document comes."""
        return f"{self.prefix}/get/accepted"

    @property
    def changed(self) -> str:
        """Return where the whole document comes after each change, whoever made it."""
        return f"{self.prefix}/update/documents"

    @property
    def deleted(self) -> str:
        """Return where it is said that there is no such shadow any more."""
        return f"{self.prefix}/delete/accepted"

    @property
    def heard(self) -> tuple[str, ...]:
        """Return all that a device listens to."""
        refusals = (f"{self.prefix}/get/rejected", f"{self.prefix}/update/rejected")
        return self.fetched, self.changed, self.deleted, *refusals


def matches(topic_filter: str, topic: str) -> bool:
    """Say whether a topic falls under a filter, as AWS IoT reads it: ``a/#`` does not cover ``a``."""
    wanted, found = topic_filter.split("/"), topic.split("/")
    for position, level in enumerate(wanted):
        if level == "#":
            return len(found) > position
        if position >= len(found) or level not in ("+", found[position]):
            return False
    return len(wanted) == len(found)
