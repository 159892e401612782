"""``scripts/cloud client-config``: what a phone app is configured with, in the files that Amplify's libraries read.

``amplify_outputs.json`` is what Amplify Gen 2 writes for a backend of its own (Amplify documentation, "About
amplify_outputs.json"; schema version 1.4). It names no address that a schema has no place for, so where the local
cloud listens stands in ``amplify_local.json``, in the shape of Amplify v6's ``ResourcesConfig``: an app merges the two
on a laptop, and needs the first alone on AWS.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import boto3

from infra.local.config import Settings

SCHEMA_VERSION = "1.4"
API_NAME = "fieldline"
_PASSWORD_RULES = {
    "min_length": "MinimumLength",
    "require_lowercase": "RequireLowercase",
    "require_uppercase": "RequireUppercase",
    "require_numbers": "RequireNumbers",
    "require_symbols": "RequireSymbols",
}


def write_client_config(settings: Settings, outputs: Mapping[str, str], folder: Path) -> list[Path]:
    """Write both files into a folder, which is made if it is not there; return where they are."""
    folder.mkdir(parents=True, exist_ok=True)
    session = boto3.Session(settings.access_key_id, settings.secret_access_key, region_name=settings.region)
    cognito = session.client("cognito-idp", endpoint_url=settings.endpoint_url)
    pool = cognito.describe_user_pool(UserPoolId=outputs["UserPoolId"])["UserPool"]
    factors = cognito.get_user_pool_mfa_config(UserPoolId=outputs["UserPoolId"])
    groups = cognito.list_groups(UserPoolId=outputs["UserPoolId"])["Groups"]
    documents = {
        "amplify_outputs.json": build_outputs(settings, outputs, {**pool, **factors, "Groups": groups}),
        "amplify_local.json": build_overrides(settings),
    }
    for name, document in documents.items():
        (folder / name).write_text(json.dumps(document, indent=2) + "\n")
    return [folder / name for name in documents]


def build_outputs(settings: Settings, outputs: Mapping[str, str], pool: Mapping[str, Any]) -> dict[str, Any]:
    """Return what Amplify is configured with.

    Args:
        settings: of the local cloud.
        outputs: of the template.
        pool: what Cognito says of the user pool: DescribeUserPool, GetUserPoolMfaConfig, and ``Groups`` of ListGroups.
    """
    rules = pool["Policies"]["PasswordPolicy"]
    methods = {"SMS": "SmsMfaConfiguration", "TOTP": "SoftwareTokenMfaConfiguration"}
    auth = {
        "aws_region": settings.region,
        "user_pool_id": outputs["UserPoolId"],
        "user_pool_client_id": outputs["UserPoolClientId"],
        "identity_pool_id": outputs["IdentityPoolId"],
        "username_attributes": pool.get("UsernameAttributes", []),
        "standard_required_attributes": pool.get("UsernameAttributes", []),
        "user_verification_types": pool.get("AutoVerifiedAttributes", []),
        "unauthenticated_identities_enabled": False,
        "mfa_configuration": {"ON": "REQUIRED", "OFF": "NONE"}.get(pool["MfaConfiguration"], "OPTIONAL"),
        "mfa_methods": [method for method, setting in methods.items() if _is_on(pool.get(setting))],
        "password_policy": {name: rules[rule] for name, rule in _PASSWORD_RULES.items()},
        "groups": [{group["GroupName"]: {"precedence": group.get("Precedence", 0)}} for group in pool["Groups"]],
    }
    live = f"127.0.0.1:{settings.ports.https}"
    custom = {
        "stage": settings.stage,
        "api_url": outputs["ApiUrl"],
        "iot_endpoint": live,
        "live_url": f"wss://{live}/mqtt",
        "live_authorizer": outputs["LiveAuthorizerName"],
        "mobile_function": outputs["MobileFunctionName"],
        "API": {API_NAME: {"endpoint": outputs["ApiUrl"], "region": settings.region, "apiName": API_NAME}},
    }
    return {"version": SCHEMA_VERSION, "auth": auth, "custom": custom}


def build_overrides(settings: Settings) -> dict[str, Any]:
    """Return where the local cloud stands in for AWS: endpoints, and the CA of the MQTT and HTTPS port."""
    url = settings.endpoint_url
    return {
        "Auth": {"Cognito": {"userPoolEndpoint": url, "identityPoolEndpoint": url}},
        "endpoint": url,
        "ca": str(settings.state_dir / "ca" / "ca.pem"),
    }


def _is_on(setting: Mapping[str, Any] | None) -> bool:
    """Say whether a second factor can be used: SMS's setting has no ``Enabled``, it is there or not."""
    return setting is not None and bool(setting.get("Enabled", True))
