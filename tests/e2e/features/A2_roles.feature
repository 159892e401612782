Feature: A2 Roles on a device
  What somebody may do with a device follows from their role; to strangers a device does not exist.

  Background:
    Given Ann, Bob and Cleo are signed in
    And Ann owns a thermostat

  Scenario: A viewer may look, and nothing else
    Given Bob is viewer of the thermostat
    Then Bob sees the thermostat as viewer
    And Bob may not order "identify"
    And Bob may not rename the thermostat
    And Bob may not share the thermostat

  Scenario: An operator may control, but not give away
    Given Bob is operator of the thermostat
    Then Bob sees the thermostat as operator
    And Bob may order "identify"
    And Bob may not rename the thermostat
    And Bob may not share the thermostat

  Scenario: An owner may do everything
    Then Ann sees the thermostat as owner
    And Ann may order "identify"
    And Ann may rename the thermostat
    And Ann may share the thermostat

  Scenario: A role can be changed, and taken away
    Given Bob is viewer of the thermostat
    When Ann makes Bob operator of the thermostat
    Then Bob may order "identify"
    When Ann ends what Bob is to the thermostat
    Then the thermostat does not exist for Bob

  Scenario: To a stranger a device of somebody else looks like none
    Then the thermostat does not exist for Cleo

  Scenario: An administrator may do with every device what its owner may
    Given Bob is operator of the thermostat
    And Vera is an administrator
    Then Vera sees the thermostat as admin
    And Vera may order "identify"
    And Vera may share the thermostat
