Feature: E3 Commands and how far they have come

  Background:
    Given Ann is signed in
    And Ann owns a thermostat

  Scenario: A command goes its way
    Given the thermostat is connected and does as it is told
    When Ann orders "identify" with {"seconds": 2}
    Then the thermostat hears "identify" with {"seconds": 2}
    And the command becomes SUCCEEDED

  Scenario Outline: A device says that it <outcome>
    Given the thermostat is connected and answers <outcome>
    When Ann orders "restart" with {}
    Then the command becomes <outcome>

    Examples:
      | outcome  |
      | FAILED   |
      | REJECTED |

  Scenario: Late and repeated answers never move a command backwards
    Given the thermostat is connected and answers SUCCEEDED
    When Ann orders "identify" with {}
    Then the command becomes SUCCEEDED
    When the thermostat answers ACKED, FAILED and SUCCEEDED once more
    And Ann orders "restart" with {}
    Then the command becomes SUCCEEDED
    And the first command is still SUCCEEDED

  Scenario Outline: What the type does not know is refused by name
    When Ann orders "<command>" with <parameters>
    Then Ann is answered 400
    And the answer names "<name>"

    Examples:
      | command    | parameters               | name                     |
      | dance      | {}                       | command                  |
      | set_target | {}                       | parameters.temperature_c |
      | set_target | {"temperature_c": 99}    | parameters.temperature_c |
      | identify   | {"seconds": 2, "loud": 1} | parameters.loud          |
