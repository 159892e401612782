Feature: H3 Last seen

  Background:
    Given Ann is signed in
    And Ann owns a thermostat

  Scenario: Nobody has seen a device that never connected
    Then the thermostat was never seen

  Scenario: A device is seen when it connects
    When the thermostat connects
    Then the thermostat was seen just now

  @local_only
  Scenario: What stays is when it left
    Given the thermostat is connected
    And the thermostat was seen just now
    When 10 minutes pass
    And the thermostat goes
    Then the status of the thermostat stays "online"
    When 30 minutes pass
    Then the status of the thermostat becomes "offline"
    And the thermostat was seen 30 minutes ago
