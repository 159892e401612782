Feature: B1 The original mobile-backend contract
  The envelope {operation, tableName, payload}, by direct invocation with credentials of the phone's own, and by HTTP.

  Background:
    Given Ann and Bob are signed in
    And the identities of Ann and Bob are tied to them

  Scenario Outline: Every operation, by <way>
    Given the table "notes" of Ann is empty
    When Ann sends by <way> {"operation": "ping"}
    Then the result is "pong"
    When Ann sends by <way> {"operation": "echo", "payload": {"somekey1": "somevalue1"}}
    Then the result is {"somekey1": "somevalue1"}
    When Ann sends by <way> {"operation": "create", "tableName": "notes", "payload": {"Item": {"id": "1234ABCD", "number": 5}}}
    Then the result is {}
    When Ann sends by <way> {"operation": "read", "tableName": "notes", "payload": {"Key": {"id": "1234ABCD"}}}
    Then the result is {"Item": {"id": "1234ABCD", "number": 5}}
    When Ann sends by <way> {"operation": "update", "tableName": "notes", "payload": {"Key": {"id": "1234ABCD"}, "AttributeUpdates": {"number": {"Value": 10}}}}
    Then the result is {}
    When Ann sends by <way> {"operation": "update", "tableName": "notes", "payload": {"Key": {"id": "1234ABCD"}, "UpdateExpression": "SET #n = #n + :by", "ExpressionAttributeNames": {"#n": "number"}, "ExpressionAttributeValues": {":by": 1}, "ReturnValues": "ALL_NEW"}}
    Then the result is {"Attributes": {"id": "1234ABCD", "number": 11}}
    When Ann sends by <way> {"operation": "list", "tableName": "notes", "payload": {}}
    Then the result is {"Items": [{"id": "1234ABCD", "number": 11}], "Count": 1, "ScannedCount": 1}
    When Ann sends by <way> {"operation": "delete", "tableName": "notes", "payload": {"Key": {"id": "1234ABCD"}}}
    Then the result is {}
    When Ann sends by <way> {"operation": "read", "tableName": "notes", "payload": {"Key": {"id": "1234ABCD"}}}
    Then the result is {}
    When Ann sends by <way> {"operation": "drop", "tableName": "notes"}
    Then it is refused with 'Unrecognized operation "drop"'

    Examples:
      | way        |
      | invocation |
      | HTTP       |

  Scenario Outline: A list has pages, by <way>
    Given the table "notes" of Ann is empty
    And Ann keeps 5 items in "notes"
    Then the list of "notes" by <way> in pages of 2 has the 5 items

    Examples:
      | way        |
      | invocation |
      | HTTP       |

  Scenario: What exists is not made twice if the client says so
    Given the table "notes" of Ann is empty
    When Ann sends by invocation {"operation": "create", "tableName": "notes", "payload": {"Item": {"id": "1"}, "ConditionExpression": "attribute_not_exists(id)"}}
    Then the result is {}
    When Ann sends by invocation {"operation": "create", "tableName": "notes", "payload": {"Item": {"id": "1"}, "ConditionExpression": "attribute_not_exists(id)"}}
    Then it is refused with "The conditional request failed"

  Scenario: Everybody has tables of their own, and none of the account's
    Given Ann keeps the item "secret" in "notes" as {"text": "mine"}
    When Bob sends by invocation {"operation": "read", "tableName": "notes", "payload": {"Key": {"id": "secret"}}}
    Then the result is {}
    When Bob sends by HTTP {"operation": "read", "tableName": "notes", "payload": {"Key": {"id": "secret"}}}
    Then the result is {}
    When Bob sends by invocation {"operation": "list", "tableName": "fieldline-dev-devices", "payload": {}}
    Then it is refused with "There is no such table"

  Scenario: Who calls is what the signature says, whatever the client context claims
    Given Ann keeps the item "secret" in "notes" as {"text": "mine"}
    When Bob invokes with a client context that names Ann {"operation": "read", "tableName": "notes", "payload": {"Key": {"id": "secret"}}}
    Then the result is {}
    And Bob may invoke no other function

  Scenario: An identity that is tied to nobody gets nothing
    Given Nora has just joined
    When Nora sends by invocation {"operation": "list", "tableName": "notes", "payload": {}}
    Then it is refused with "tie your identity"
