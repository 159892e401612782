"""AWS Lambda, locally.

Functions, their workers under AWS's own runtime client, the asynchronous queue, event sources, schedules.
"""

from infra.local.functions.model import InvokeResult, LambdaError, allow_all
from infra.local.functions.service import Functions

__all__ = ["Functions", "InvokeResult", "LambdaError", "allow_all"]
