"""Resource types of CloudWatch, CloudWatch Logs, EventBridge and EventBridge Scheduler."""

from typing import Any

from infra.local.template.kinds.kind import Arguments, Kind, Work


def _retention(work: Work, days: Any) -> None:
    if days is None:
        work.call("delete_retention_policy", logGroupName=work.ref)
    else:
        work.call("put_retention_policy", logGroupName=work.ref, retentionInDays=days)


def _targets(work: Work, targets: Any) -> None:
    gone = {target["Id"] for target in work.was.get("Targets", [])} - {target["Id"] for target in targets or []}
    if gone:
        work.call("remove_targets", Rule=work.ref, Ids=sorted(gone))
    if targets:
        work.call("put_targets", Rule=work.ref, Targets=targets)


def _schedule(arguments: Arguments) -> Arguments:
    return {"GroupName": "default", **arguments}


KINDS = (
    Kind(
        type="AWS::Logs::LogGroup",
        service="logs",
        takes="LogGroupName! LogGroupClass RetentionInDays Tags",
        name="LogGroupName",
        create="create_log_group",
        ref="Properties.LogGroupName",
        attributes={"Arn": "arn:aws:logs:{Region}:{Account}:log-group:{Ref}:*"},
        key={"logGroupName": "Ref"},
        delete="delete_log_group",
        parts={"RetentionInDays": _retention},
    ),
    Kind(
        type="AWS::Events::Rule",
        service="events",
        takes="Name! Description EventPattern RoleArn ScheduleExpression State Tags Targets",
        name="Name",
        create="put_rule",
        ref="Properties.Name",
        attributes={"Arn": "RuleArn"},
        key={"Name": "Ref"},
        update="put_rule",
        whole=True,
        delete="delete_rule",
        parts={"Targets": _targets},
        before_delete=lambda work: _targets(work, []),
    ),
    Kind(
        type="AWS::Scheduler::ScheduleGroup",
        service="scheduler",
        takes="Name! Tags",
        name="Name",
        create="create_schedule_group",
        ref="Properties.Name",
        attributes={"Arn": "ScheduleGroupArn"},
        key={"Name": "Ref"},
        delete="delete_schedule_group",
    ),
    Kind(
        type="AWS::Scheduler::Schedule",
        service="scheduler",
        takes="Name! GroupName! Description EndDate FlexibleTimeWindow ScheduleExpression ScheduleExpressionTimezone"
        " StartDate State Target",
        name="Name",
        create="create_schedule",
        ref="Properties.Name",
        attributes={"Arn": "ScheduleArn"},
        key={"Name": "Ref", "GroupName": "Properties.GroupName || 'default'"},
        update="update_schedule",
        whole=True,
        delete="delete_schedule",
        adapt=_schedule,
    ),
    Kind(
        type="AWS::CloudWatch::Alarm",
        service="cloudwatch",
        takes="AlarmName! ActionsEnabled AlarmActions AlarmDescription ComparisonOperator DatapointsToAlarm"
        " Dimensions EvaluateLowSampleCountPercentile EvaluationPeriods ExtendedStatistic"
        " InsufficientDataActions MetricName Metrics Namespace OKActions Period Statistic Tags Threshold"
        " ThresholdMetricId TreatMissingData Unit",
        name="AlarmName",
        create="put_metric_alarm",
        ref="Properties.AlarmName",
        attributes={"Arn": "arn:aws:cloudwatch:{Region}:{Account}:alarm:{Ref}"},
        key={"AlarmNames": "[Ref]"},
        update="put_metric_alarm",
        whole=True,
        delete="delete_alarms",
    ),
    Kind(
        type="AWS::CloudWatch::Dashboard",
        service="cloudwatch",
        takes="DashboardName! DashboardBody",
        name="DashboardName",
        create="put_dashboard",
        ref="Properties.DashboardName",
        key={"DashboardNames": "[Ref]"},
        update="put_dashboard",
        whole=True,
        delete="delete_dashboards",
    ),
)
