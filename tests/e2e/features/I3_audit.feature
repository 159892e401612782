Feature: I3 Audit trail
  Every change of a device: who, what, before, after, from where.

  Background:
    Given Ann and Bob are signed in
    And Ann owns a thermostat

  Scenario: What was done is written down
    When Ann renames the thermostat to "Hall"
    And Ann renames the thermostat to "Kitchen"
    Then the newest entry says that Ann "changed" it, the name before "Hall" and after "Kitchen", and from where

  Scenario: Sharing is written down, with whom
    Given Bob is viewer of the thermostat
    When Ann makes Bob operator of the thermostat
    And Ann ends what Bob is to the thermostat
    Then the trail has the role of Bob from "viewer" to "operator", and its end

  Scenario: An administrator's hand is seen
    Given Vera is an administrator
    When Vera renames the thermostat to "Inspected"
    Then the newest entry is by Vera

  Scenario: Only who owns a device reads its trail
    Given Bob is operator of the thermostat
    When Bob reads the audit trail
    Then Bob is answered 403
