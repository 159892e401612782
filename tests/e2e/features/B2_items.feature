Feature: B2 Items in sync
  Small documents of a person's own, with versions: two phones that were offline find out what moved, and never
  overwrite one another unknowingly.

  Background:
    Given Ann and Bob are signed in
    And the table "notes" of Ann is empty

  Scenario: A conflict shows both sides
    Given Ann keeps the item "list" in "notes" as {"text": "milk"}
    When Ann writes {"text": "milk, bread"} to "list" in "notes" on version 1
    Then Ann is answered 200
    When Ann writes {"text": "milk, eggs"} to "list" in "notes" on version 1
    Then Ann is answered 409
    And the conflict shows {"text": "milk, eggs"} as hers and {"text": "milk, bread"} as stored in version 2

  Scenario: An item that must not exist yet
    When Ann writes {"n": 1} to "new" in "notes" on version 0
    Then Ann is answered 200
    When Ann writes {"n": 2} to "new" in "notes" on version 0
    Then Ann is answered 409

  Scenario: After days offline a phone asks what changed, deletions included
    Given Ann keeps the item "a" in "notes" as {"n": 1}
    And Ann keeps the item "b" in "notes" as {"n": 1}
    And Ann's phone is in sync with "notes"
    When Ann keeps the item "a" in "notes" as {"n": 2}
    And Ann keeps the item "c" in "notes" as {"n": 3}
    And Ann deletes the item "b" from "notes"
    Then the changes in "notes" since then are "a, c, b (deleted)"
    And there are no changes in "notes" since then

  Scenario: An item of somebody else does not exist
    Given Ann keeps the item "mine" in "notes" as {"n": 1}
    Then the item "mine" in "notes" does not exist for Bob
