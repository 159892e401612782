"""What a policy document can be refused for."""


class PolicyError(Exception):
    """The document is no IoT policy: write it anew; the message says what is wrong, where known in AWS's words."""

    code = "MalformedPolicyException"

    def __init__(self, detail: str) -> None:
        super().__init__(f"Policy document is Malformed: {detail}")
