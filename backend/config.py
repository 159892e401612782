"""Settings of one function environment. The only reader of the environment: at composition, never at import."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """What the template tells every function."""

    stage: str
    tables: Mapping[str, str]
    """Physical table names by logical name: ``readings`` to what ``READINGS_TABLE`` says."""
    readings_retention: timedelta
    quarantine_retention: timedelta = timedelta(days=14)
    user_pool: str = ""
    identity_pool: str = ""
    iot_arn_prefix: str = ""
    """``arn:aws:iot:{region}:{account}``."""
    pools_url: str = ""
    """What the issuer of every token of this region's user pools begins with."""
    keys_url: str = ""
    """Where user pools publish their keys: the same, but for a local cloud."""
    user_pool_client: str = ""
    provisioning_proof_required: bool = False

    def table(self, name: str) -> str:
        """Return the physical name of a table.

        Raises:
            KeyError: the template does not give this function ``{NAME}_TABLE``.
        """
        return self.tables[name]


def load(environment: Mapping[str, str] | None = None) -> Config:
    """Return the settings that stand in ``environment``; without one, in the process's own."""
    environment = os.environ if environment is None else environment  # noqa: TID251 - the config module
    suffix = "_TABLE"
    pools_url = f"https://cognito-idp.{environment.get('AWS_REGION', 'us-east-1')}.amazonaws.com"
    return Config(
        stage=environment["STAGE"],
        tables={
            name.removesuffix(suffix).lower(): value for name, value in environment.items() if name.endswith(suffix)
        },
        user_pool=environment.get("USER_POOL_ID", ""),
        identity_pool=environment.get("IDENTITY_POOL_ID", ""),
        iot_arn_prefix=environment.get("IOT_ARN_PREFIX", ""),
        user_pool_client=environment.get("USER_POOL_CLIENT_ID", ""),
        provisioning_proof_required=environment.get("PROVISIONING_PROOF") == "required",
        pools_url=pools_url,
        keys_url=environment.get("AWS_ENDPOINT_URL", pools_url),
        readings_retention=timedelta(days=int(environment.get("READINGS_RETENTION_DAYS", "90"))),
    )
