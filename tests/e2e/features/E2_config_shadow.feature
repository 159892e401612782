Feature: E2 The configuration of a device
  A named shadow of its own, validated by the device's type.

  Background:
    Given Ann is signed in
    And Ann owns a thermostat

  Scenario: Settings reach the device
    Given the thermostat is connected and listens to its configuration
    When Ann sets {"mode": "eco", "interval_s": 30} on the thermostat
    Then the thermostat hears that {"mode": "eco", "interval_s": 30} is wanted

  Scenario Outline: What the type does not know is refused by name
    When Ann sets <settings> on the thermostat
    Then Ann is answered 400
    And the answer names "<name>"

    Examples:
      | settings              | name       |
      | {"mode": "loud"}      | mode       |
      | {"interval_s": 0}     | interval_s |
      | {"colour": "blue"}    | colour     |
      | {"flush_count": 1.5}  | flush_count |
