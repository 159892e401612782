Feature: I1 Search
  Devices are found by attribute, firmware and connectivity; among one's own, and by administrators in the whole fleet.

  Background:
    Given Bob is signed in
    And Nora has just joined
    And Nora owns a thermostat
    And Nora owns a thermostat
    And Nora says where the thermostat stands

  Scenario: By attribute
    When Nora searches by where it stands
    Then that thermostat is found, and no other
    When Nora searches for where nothing stands
    Then nothing is found

  Scenario: By connectivity
    When the thermostat connects
    And Nora searches for what is online
    Then that thermostat is found, and no other

  Scenario: By firmware
    When the thermostat connects and reports {"firmware": "2.1.0-feature"}
    And Nora searches for the firmware "2.1.0-feature"
    Then that thermostat is found, and no other

  Scenario: Nobody finds what is somebody else's
    When Bob searches by where it stands
    Then nothing is found

  Scenario: An administrator searches the whole fleet, and nobody else does
    Given Vera is an administrator
    When Vera searches the fleet by where it stands
    Then that thermostat is found, and no other
    When Bob searches the fleet by where it stands
    Then Bob is answered 403
