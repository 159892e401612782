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
