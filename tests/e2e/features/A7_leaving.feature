Feature: A7 Leaving
  Whoever goes takes along what is stored about them, and leaves nothing behind.

  Scenario: An export has everything
    Given Zoe has just joined
    And Zoe owns a thermostat
    And Zoe has a room "Attic"
    And Zoe keeps the item "a" in "notes" as {"text": "milk"}
    When Zoe exports what is stored about her
    Then the export has her address, the thermostat, the room "Attic" and the item "a"

  Scenario: A deleted account is gone, and its devices are free
    Given Bob is signed in
    And Zoe has just joined
    And Zoe owns a thermostat
    And Bob is viewer of the thermostat
    When Zoe deletes her account
    Then Zoe cannot sign in any more
    And a call with Zoe's old token finds nobody
    And the thermostat does not exist for Bob
    When Bob claims the thermostat by the secret on its label
    Then Bob sees the thermostat as owner
    And Bob finds nothing of Zoe in the audit trail
