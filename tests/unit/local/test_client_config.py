"""What a phone app is configured with, as Amplify's libraries read it."""

from pathlib import Path
from typing import Any

import pytest

from infra.local.client_config import build_outputs, build_overrides
from infra.local.config import Ports, Settings

SETTINGS = Settings(state_dir=Path("/state"), ports=Ports(aws=14566, https=18443))
OUTPUTS = {
    "UserPoolId": "us-east-1_a", "UserPoolClientId": "client", "IdentityPoolId": "us-east-1:b",
    "ApiUrl": "http://127.0.0.1:8080", "LiveAuthorizerName": "dev-live", "MobileFunctionName": "fieldline-dev-mobile",
}  # fmt: skip
POOL: dict[str, Any] = {
    "UsernameAttributes": ["email"],
    "AutoVerifiedAttributes": ["email"],
    "MfaConfiguration": "OPTIONAL",
    "SoftwareTokenMfaConfiguration": {"Enabled": True},
    "Policies": {
        "PasswordPolicy": {
            "MinimumLength": 12, "RequireLowercase": True, "RequireUppercase": True, "RequireNumbers": True,
            "RequireSymbols": False,
        }
    },
    "Groups": [{"GroupName": "admin"}],
}  # fmt: skip


def test_the_pool_is_described_as_amplifys_schema_names_it() -> None:
    document = build_outputs(SETTINGS, OUTPUTS, POOL)
    assert document["version"].startswith("1")
    auth = document["auth"]
    assert (auth["user_pool_id"], auth["user_pool_client_id"]) == ("us-east-1_a", "client")
    assert auth["identity_pool_id"] == "us-east-1:b"
    assert auth["password_policy"] == {
        "min_length": 12, "require_lowercase": True, "require_uppercase": True, "require_numbers": True,
        "require_symbols": False,
    }  # fmt: skip
    assert (auth["mfa_configuration"], auth["mfa_methods"]) == ("OPTIONAL", ["TOTP"])
    assert (auth["username_attributes"], auth["groups"]) == (["email"], [{"admin": {"precedence": 0}}])


@pytest.mark.parametrize(("of_the_pool", "shown"), [("ON", "REQUIRED"), ("OFF", "NONE")])
def test_the_second_factor_is_named_as_amplify_does(of_the_pool: str, shown: str) -> None:
    pool = {**POOL, "MfaConfiguration": of_the_pool, "SoftwareTokenMfaConfiguration": {"Enabled": False}}
    auth = build_outputs(SETTINGS, OUTPUTS, {**pool, "SmsMfaConfiguration": {"SmsConfiguration": {}}})["auth"]
    assert (auth["mfa_configuration"], auth["mfa_methods"]) == (shown, ["SMS"])


def test_the_custom_part_says_all_that_the_readmes_examples_use() -> None:
    custom = build_outputs(SETTINGS, OUTPUTS, POOL)["custom"]
    assert (custom["stage"], custom["api_url"]) == ("dev", "http://127.0.0.1:8080")
    assert (custom["iot_endpoint"], custom["live_url"]) == ("127.0.0.1:18443", "wss://127.0.0.1:18443/mqtt")
    assert (custom["live_authorizer"], custom["mobile_function"]) == ("dev-live", "fieldline-dev-mobile")
    assert custom["API"]["fieldline"]["endpoint"] == custom["api_url"]


def test_what_is_true_on_a_laptop_only_stands_in_the_other_file() -> None:
    overrides = build_overrides(SETTINGS)
    url = "http://127.0.0.1:14566"
    assert overrides["Auth"]["Cognito"] == {"userPoolEndpoint": url, "identityPoolEndpoint": url}
    assert overrides["ca"] == "/state/ca/ca.pem"
    assert url not in str(build_outputs(SETTINGS, OUTPUTS, POOL))
