"""Amazon Cognito's resource types."""

from typing import Any

from infra.local.template.kinds.kind import Arguments, Kind, Work


def _second_factors(work: Work, _value: Any) -> None:
    """Set what SetUserPoolMfaConfig takes; a pool without ``EnabledMfas`` keeps to ``MfaConfiguration`` alone."""
    enabled = work.properties.get("EnabledMfas", [])
    factors: Arguments = {"MfaConfiguration": work.properties.get("MfaConfiguration", "OFF")}
    if "SOFTWARE_TOKEN_MFA" in enabled:
        factors["SoftwareTokenMfaConfiguration"] = {"Enabled": True}
    if "SMS_MFA" in enabled:
        factors["SmsMfaConfiguration"] = {"SmsConfiguration": work.properties.get("SmsConfiguration", {})}
    work.call("set_user_pool_mfa_config", UserPoolId=work.ref, **factors)


def _roles(arguments: Arguments) -> Arguments:
    """Key role mappings by provider, which CloudFormation may write inside: a key cannot be a function."""
    mappings = {}
    for key, mapping in arguments.get("RoleMappings", {}).items():
        rest = dict(mapping)
        mappings[rest.pop("IdentityProvider", key)] = rest
    return {"Roles": {}, **arguments, "RoleMappings": mappings}


POOL = "UserPool.Id"
PROVIDER = "cognito-idp.{Region}.amazonaws.com/{Ref}"

KINDS = (
    Kind(
        type="AWS::Cognito::UserPool",
        service="cognito-idp",
        takes="AliasAttributes! UsernameAttributes! UsernameConfiguration! Schema! AccountRecoverySetting"
        " AdminCreateUserConfig AutoVerifiedAttributes DeletionProtection DeviceConfiguration EmailConfiguration"
        " EmailVerificationMessage EmailVerificationSubject EnabledMfas LambdaConfig MfaConfiguration Policies"
        " SmsAuthenticationMessage SmsConfiguration SmsVerificationMessage UserAttributeUpdateSettings"
        " UserPoolAddOns UserPoolName UserPoolTags UserPoolTier VerificationMessageTemplate",
        name="UserPoolName",
        create="create_user_pool",
        ref=POOL,
        attributes={
            "Arn": "arn:aws:cognito-idp:{Region}:{Account}:userpool/{Ref}",
            "ProviderName": PROVIDER,
            "ProviderURL": f"https://{PROVIDER}",
            "UserPoolId": POOL,
        },
        key={"UserPoolId": "Ref"},
        update="update_user_pool",
        whole=True,
        delete="delete_user_pool",
        rename={"UserPoolName": "PoolName"},
        parts={"EnabledMfas": _second_factors},
        stateful=True,
    ),
    Kind(
        type="AWS::Cognito::UserPoolClient",
        service="cognito-idp",
        takes="UserPoolId! GenerateSecret! AccessTokenValidity AllowedOAuthFlows AllowedOAuthFlowsUserPoolClient"
        " AllowedOAuthScopes AuthSessionValidity CallbackURLs ClientName DefaultRedirectURI"
        " EnableTokenRevocation EnablePropagateAdditionalUserContextData ExplicitAuthFlows IdTokenValidity"
        " LogoutURLs PreventUserExistenceErrors ReadAttributes RefreshTokenRotation RefreshTokenValidity"
        " SupportedIdentityProviders TokenValidityUnits WriteAttributes",
        name="ClientName",
        create="create_user_pool_client",
        ref="UserPoolClient.ClientId",
        attributes={
            "ClientId": "UserPoolClient.ClientId",
            "ClientSecret": "UserPoolClient.ClientSecret",
            "Name": "UserPoolClient.ClientName",
        },
        key={"UserPoolId": "Properties.UserPoolId", "ClientId": "Ref"},
        update="update_user_pool_client",
        whole=True,
        delete="delete_user_pool_client",
    ),
    Kind(
        type="AWS::Cognito::UserPoolGroup",
        service="cognito-idp",
        takes="GroupName! UserPoolId! Description Precedence RoleArn",
        name="GroupName",
        create="create_group",
        ref="Group.GroupName",
        key={"UserPoolId": "Properties.UserPoolId", "GroupName": "Ref"},
        update="update_group",
        delete="delete_group",
    ),
    Kind(
        type="AWS::Cognito::IdentityPool",
        service="cognito-identity",
        takes="AllowClassicFlow AllowUnauthenticatedIdentities CognitoIdentityProviders DeveloperProviderName"
        " IdentityPoolName IdentityPoolTags OpenIdConnectProviderARNs SamlProviderARNs SupportedLoginProviders",
        name="IdentityPoolName",
        create="create_identity_pool",
        ref="IdentityPoolId",
        attributes={"Id": "IdentityPoolId", "Name": "IdentityPoolName"},
        key={"IdentityPoolId": "Ref"},
        update="update_identity_pool",
        whole=True,
        delete="delete_identity_pool",
        stateful=True,
    ),
    Kind(
        type="AWS::Cognito::IdentityPoolRoleAttachment",
        service="cognito-identity",
        takes="IdentityPoolId! RoleMappings Roles",
        create="set_identity_pool_roles",
        ref="Properties.IdentityPoolId",
        attributes={"Id": "Properties.IdentityPoolId"},
        key={"IdentityPoolId": "Ref"},
        update="set_identity_pool_roles",
        whole=True,
        adapt=_roles,
        before_delete=lambda work: work.call("set_identity_pool_roles", IdentityPoolId=work.ref, Roles={}),
    ),
)
