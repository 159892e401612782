Feature: A4 Transfer of ownership
  A device changes hands when the new owner accepts; what was measured before stays hidden unless it is handed over.

  Background:
    Given Ann and Bob are signed in
    And Ann owns a thermostat
    And the thermostat has reported 21.5 degrees

  Scenario: The previous owner's data is hidden from the new one
    When Ann offers the thermostat itself to Bob
    Then Ann sees the thermostat as owner
    When Bob accepts by the code
    Then Bob sees the thermostat as owner
    And the thermostat does not exist for Ann
    And Bob finds no reading
    And Bob finds no command
    And Bob finds nothing of Ann in the audit trail

  Scenario: The data goes along if it is handed over
    When Ann offers the thermostat itself to Bob and hands the data over
    And Bob accepts by the code
    Then Bob reads 21.5 degrees
