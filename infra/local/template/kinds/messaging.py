"""Amazon SQS's and SNS's resource types."""

from collections.abc import Callable
from typing import Any

from infra.local.template.kinds.kind import Arguments, Kind, Part, Work


def _in_attributes(*outside: str) -> Callable[[Arguments], Arguments]:
    """Return an adapter that moves all arguments but ``outside`` into the map that SQS and SNS call Attributes."""

    def adapt(arguments: Arguments) -> Arguments:
        attributes = {name: value for name, value in arguments.items() if name not in outside}
        return {**{name: arguments[name] for name in outside if name in arguments}, "Attributes": attributes}

    return adapt


def _queue_policy(work: Work, queues: Any) -> None:
    for url in queues or []:
        work.call("set_queue_attributes", QueueUrl=url, Attributes={"Policy": work.properties["PolicyDocument"]})
    for url in set(work.was.get("Queues", [])) - set(queues or []):
        work.call("set_queue_attributes", QueueUrl=url, Attributes={"Policy": ""})


def _topic_attribute(name: str) -> Part:
    def carry(work: Work, value: Any) -> None:
        given = "" if value is None else value
        work.call("set_topic_attributes", TopicArn=work.ref, AttributeName=name, AttributeValue=given)

    return carry


def _topic_subscriptions(work: Work, subscriptions: Any) -> None:
    was = work.was.get("Subscription", [])
    standing = work.call("list_subscriptions_by_topic", TopicArn=work.ref)["Subscriptions"] if was else []
    for entry in standing:
        if {"Protocol": entry["Protocol"], "Endpoint": entry["Endpoint"]} in was:
            work.call("unsubscribe", SubscriptionArn=entry["SubscriptionArn"])
    for entry in subscriptions or []:
        work.call("subscribe", TopicArn=work.ref, **entry)


def _subscription_attribute(name: str) -> Part:
    def carry(work: Work, value: Any) -> None:
        given = "" if value is None else value
        work.call("set_subscription_attributes", SubscriptionArn=work.ref, AttributeName=name, AttributeValue=given)

    return carry


def _topic_policy(work: Work, topics: Any) -> None:
    for arn in topics or []:
        document = work.properties["PolicyDocument"]
        work.call("set_topic_attributes", TopicArn=arn, AttributeName="Policy", AttributeValue=document)


QUEUE_ATTRIBUTES = (
    "ContentBasedDeduplication DeduplicationScope DelaySeconds FifoThroughputLimit MaximumMessageSize"
    " MessageRetentionPeriod ReceiveMessageWaitTimeSeconds RedriveAllowPolicy RedrivePolicy SqsManagedSseEnabled"
    " VisibilityTimeout"
)
TOPIC_ATTRIBUTES = ("ContentBasedDeduplication", "DisplayName", "KmsMasterKeyId", "SignatureVersion", "TracingConfig")
SUBSCRIPTION_ATTRIBUTES = ("DeliveryPolicy", "FilterPolicy", "FilterPolicyScope", "RawMessageDelivery", "RedrivePolicy")

KINDS = (
    Kind(
        type="AWS::SQS::Queue",
        service="sqs",
        takes=f"QueueName! FifoQueue! {QUEUE_ATTRIBUTES} Tags",
        name="QueueName",
        create="create_queue",
        ref="QueueUrl",
        attributes={
            "Arn": "arn:aws:sqs:{Region}:{Account}:{Properties[QueueName]}",
            "QueueName": "Properties.QueueName",
            "QueueUrl": "QueueUrl",
        },
        key={"QueueUrl": "Ref"},
        update="set_queue_attributes",
        delete="delete_queue",
        adapt=_in_attributes("QueueName", "Tags"),
        stateful=True,
    ),
    Kind(
        type="AWS::SQS::QueuePolicy",
        service="sqs",
        takes="Queues PolicyDocument",
        create="",
        ref="Properties.Queues[0]",
        parts={"Queues": _queue_policy},
        changes={"PolicyDocument": lambda work, _document: _queue_policy(work, work.properties["Queues"])},
        before_delete=lambda work: _queue_policy(work, []),
    ),
    Kind(
        type="AWS::SNS::Topic",
        service="sns",
        takes=f"TopicName! FifoTopic! {' '.join(TOPIC_ATTRIBUTES)} Subscription Tags",
        name="TopicName",
        create="create_topic",
        ref="TopicArn",
        attributes={"TopicArn": "TopicArn", "TopicName": "Properties.TopicName"},
        key={"TopicArn": "Ref"},
        delete="delete_topic",
        rename={"TopicName": "Name"},
        adapt=_in_attributes("Name", "Tags"),
        parts={"Subscription": _topic_subscriptions},
        changes={name: _topic_attribute(name) for name in TOPIC_ATTRIBUTES},
    ),
    Kind(
        type="AWS::SNS::Subscription",
        service="sns",
        takes=f"TopicArn! Protocol! Endpoint! {' '.join(SUBSCRIPTION_ATTRIBUTES)}",
        create="subscribe",
        ref="SubscriptionArn",
        attributes={"Arn": "SubscriptionArn"},
        key={"SubscriptionArn": "Ref"},
        delete="unsubscribe",
        adapt=_in_attributes("TopicArn", "Protocol", "Endpoint"),
        changes={name: _subscription_attribute(name) for name in SUBSCRIPTION_ATTRIBUTES},
    ),
    Kind(
        type="AWS::SNS::TopicPolicy",
        service="sns",
        takes="Topics PolicyDocument",
        create="",
        ref="Properties.Topics[0]",
        parts={"Topics": _topic_policy},
        changes={"PolicyDocument": lambda work, _document: _topic_policy(work, work.properties["Topics"])},
        before_delete=lambda _work: None,  # the topic, or another policy, replaces it
    ),
)
