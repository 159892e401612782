"""Every resource type that the local cloud makes; each is one declaration, and nothing else needs to know of it."""

from collections.abc import Mapping

from infra.local.template.kinds import api, cognito, compute, dynamodb, iam, iot, messaging, operations, s3
from infra.local.template.kinds.kind import Kind

KINDS: Mapping[str, Kind] = {
    kind.type: kind
    for room in (api, cognito, compute, dynamodb, iam, iot, messaging, operations, s3)
    for kind in room.KINDS
}

REFUSED: Mapping[str, str] = {
    "AWS::ApiGatewayV2::ApiMapping": "custom domains have no meaning on a laptop; put it under a condition",
    "AWS::ApiGatewayV2::DomainName": "custom domains have no meaning on a laptop; put it under a condition",
    "AWS::ApiGatewayV2::Integration": "write the HTTP API as AWS::Serverless::HttpApi, whose routes arrive in its Body",
    "AWS::ApiGatewayV2::Route": "write the HTTP API as AWS::Serverless::HttpApi, whose routes arrive in its Body",
    "AWS::CloudFormation::Stack": "nested stacks are not carried; one template describes the cloud",
    "AWS::KMS::Alias": "keys are not carried; what AWS encrypts by default stays so",
    "AWS::KMS::Key": "keys are not carried; what AWS encrypts by default stays so",
}
"""Types refused with a reason of their own; every other type that is not in ``KINDS`` is refused as well."""
