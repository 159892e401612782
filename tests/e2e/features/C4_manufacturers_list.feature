Feature: C4 The manufacturer's list
  A list of devices, dropped as CSV in S3, goes in row by row: a bad row is named, and keeps no good one out.

  Background:
    Given Ann is signed in

  Scenario: Good rows go in and bad ones are named
    When the manufacturer drops a list of 3 devices, the second of an unknown type
    Then the report counts 2 imported, 0 unchanged and 1 bad
    And the report names line 3 and the field "type"
    When Ann claims the first device of the list by the secret on its label
    Then Ann is answered 200
    When Ann claims the second device of the list by the secret on its label
    Then Ann is answered 403

  Scenario: The list may be dropped again, mended
    Given the manufacturer drops a list of 3 devices, the second of an unknown type
    And the report counts 2 imported, 0 unchanged and 1 bad
    And Ann claims the first device of the list by the secret on its label
    When the manufacturer drops the list again, mended
    Then the report counts 1 imported, 2 unchanged and 0 bad
    When Ann claims the second device of the list by the secret on its label
    Then Ann is answered 200
    And Ann still owns the first device of the list

  Scenario: What is no list is refused as a whole
    When the manufacturer drops a file with the columns "name,colour"
    Then the file is refused
