Feature: E1 What is wanted of a device, and what it reports

  Background:
    Given Ann is signed in
    And Ann owns a thermostat

  Scenario: A wish is a difference until the device has done it
    When Ann wants {"target_c": 20} of the thermostat
    Then the difference is {"target_c": 20}
    When the thermostat connects and reports {"target_c": 20}
    Then there is no difference

  Scenario: A connected device hears of a wish at once
    Given the thermostat is connected and listens to its shadow
    When Ann wants {"target_c": 23} of the thermostat
    Then the thermostat hears that {"target_c": 23} is wanted

  Scenario: A phone that looked at an older version is told so
    When Ann wants {"target_c": 20} of the thermostat from the version she has read
    And Ann wants {"target_c": 25} of the thermostat from the version she had read
    Then Ann is answered 412
    And the difference is {"target_c": 20}
