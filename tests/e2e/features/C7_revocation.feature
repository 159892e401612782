Feature: C7 Revocation
  A device that is not trusted any more is cut off at once, and stays out.

  Background:
    Given Ann and Bob are signed in
    And Ann owns a thermostat
    And the thermostat is connected

  Scenario: Revoking ends the live connection, and there is no other
    When Ann revokes the thermostat
    Then the thermostat is cut off
    And the thermostat cannot connect

  Scenario: A factory reset cuts the connection and leaves nothing, but the device may come back
    When Ann resets the thermostat to how it left the factory
    Then the thermostat is cut off
    And the thermostat does not exist for Ann
    And the thermostat can connect again

  Scenario: Only who owns it may
    Given Bob is operator of the thermostat
    When Bob revokes the thermostat
    Then Bob is answered 403
    And the thermostat is still connected
