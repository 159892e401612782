Feature: E4 Commands for devices that are not there
  What is offline is not called delivered.

  Background:
    Given Ann is signed in
    And Ann owns a thermostat

  Scenario: A command waits, and is delivered once when the device returns
    When Ann orders "identify" with {"seconds": 3}
    Then the command is QUEUED
    When the thermostat connects and does as it is told
    Then the thermostat hears "identify" with {"seconds": 3}
    And the command becomes SUCCEEDED
    And the thermostat has heard 1 command
    When the thermostat goes and comes back
    Then the thermostat has heard 1 command

  Scenario: A command that nobody fetched expires, and is not delivered any more
    When Ann orders "identify" with {} within 1 second
    Then the command becomes EXPIRED
    When the thermostat connects and does as it is told
    And Ann orders "restart" with {}
    Then the command becomes SUCCEEDED
    And the thermostat has heard 1 command
