"""Amazon API Gateway's resource types: HTTP APIs, described by an OpenAPI body."""

from infra.local.template.kinds.kind import Kind

KINDS = (
    Kind(
        type="AWS::ApiGatewayV2::Api",
        service="apigatewayv2",
        takes="Body BasePath FailOnWarnings",
        create="import_api",
        ref="ApiId",
        attributes={
            "ApiId": "ApiId",
            "ApiEndpoint": "ApiEndpoint",
            "ExecuteApiArn": "arn:aws:execute-api:{Region}:{Account}:{Ref}",
        },
        key={"ApiId": "Ref"},
        update="reimport_api",
        whole=True,
        delete="delete_api",
    ),
    Kind(
        type="AWS::ApiGatewayV2::Stage",
        service="apigatewayv2",
        takes="ApiId! StageName! AccessLogSettings AutoDeploy DefaultRouteSettings Description RouteSettings"
        " StageVariables Tags",
        create="create_stage",
        ref="StageName",
        key={"ApiId": "Properties.ApiId", "StageName": "Ref"},
        update="update_stage",
        delete="delete_stage",
    ),
)
