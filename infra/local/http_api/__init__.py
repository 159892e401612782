"""Amazon API Gateway's HTTP APIs: described by OpenAPI, served on a port of their own, answered by functions."""

from infra.local.http_api.server import HttpApi

__all__ = ["HttpApi"]
