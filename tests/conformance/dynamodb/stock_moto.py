"""Stock moto's DynamoDB, in a process of its own, uncorrected: a JSON line in for each call, a JSON line out."""

import json
import sys
from decimal import Decimal

import boto3
from botocore.exceptions import ClientError
from moto import mock_aws


def answer(client, operation, params):
    try:
        reply = getattr(client, operation)(**params)
    except ClientError as error:
        reasons = [each.get("Code") for each in error.response.get("CancellationReasons", [])]
        return {
            "error": error.response["Error"]["Code"],
            "message": error.response["Error"]["Message"],
            "reasons": reasons,
        }
    except Exception as error:  # noqa: BLE001 - stock moto's own crashes are answers here
        return {"crash": f"{type(error).__name__}: {error}"}
    reply.pop("ResponseMetadata")
    return {"reply": reply}


def main():
    with mock_aws():
        client = boto3.client("dynamodb", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
        for line in sys.stdin:
            operation, params = json.loads(line)
            sys.stdout.write(json.dumps(answer(client, operation, params), default=_plain) + "\n")
            sys.stdout.flush()


def _plain(value):
    return (
        str(value) if isinstance(value, Decimal) else value.isoformat() if hasattr(value, "isoformat") else repr(value)
    )


if __name__ == "__main__":
    main()
