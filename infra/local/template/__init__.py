"""The room that plays CloudFormation: a SAM template in, resources of the local cloud out.

``translate`` (SAM to CloudFormation), ``parameters``, ``intrinsics`` and ``graph`` (pure), ``kinds`` (one declaration a
resource type), ``provision`` (a declaration carried out through boto3), ``stack`` (deploy, update, delete).
"""

from infra.local.template.errors import TemplateError
from infra.local.template.stack import Deployment, Stack, deploy, prepare

__all__ = ["Deployment", "Stack", "TemplateError", "deploy", "prepare"]
