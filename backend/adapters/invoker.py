"""AWS Lambda, asked by a function of ours to go on with what it could not end in time."""

from typing import TYPE_CHECKING

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from backend.errors import UnavailableError

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient


class LambdaInvoker:
    """Invokes functions."""

    def __init__(self) -> None:
        self._lambda: LambdaClient = boto3.client("lambda")

    def invoke_later(self, function_arn: str, event: str) -> None:
        """Invoke a function, not waiting for it.

        Raises:
            UnavailableError: it was not taken.
        """
        try:
            self._lambda.invoke(FunctionName=function_arn, InvocationType="Event", Payload=event.encode())
        except (ClientError, BotoCoreError) as error:
            raise UnavailableError("The next invocation was not taken.") from error
