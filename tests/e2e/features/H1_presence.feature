Feature: H1 Presence

  Background:
    Given Ann is signed in
    And Ann owns a thermostat

  Scenario: A device that has never connected is not called offline
    Then the status of the thermostat is "never"

  Scenario: A connected device is online
    Given the thermostat is connected
    Then the status of the thermostat becomes "online"

  @local_only
  Scenario: A second connection takes over, and its device stays online
    Given the thermostat is connected
    When the thermostat connects a second time, while the first connection stands
    Then the first connection is cut off
    When 5 minutes pass
    Then the status of the thermostat becomes "online"
