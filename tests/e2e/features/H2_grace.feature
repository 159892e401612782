Feature: H2 Grace and flapping
  A device that changes its network is not called offline; one that comes and goes is called unstable.

  Background:
    Given Ann is signed in
    And Ann owns a thermostat

  @local_only
  Scenario: Away for a moment is still online, for longer is offline
    Given the thermostat is connected
    And the status of the thermostat becomes "online"
    When the thermostat goes
    Then the status of the thermostat stays "online"
    When 2 minutes pass
    Then the status of the thermostat becomes "offline"

  Scenario: A device that comes and goes is unstable
    When the thermostat comes and goes 5 times
    And the thermostat connects
    Then the status of the thermostat becomes "unstable"
