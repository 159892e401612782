Feature: B5 The same call twice has one effect
  A phone that got no answer sends the call again under the same key.

  Background:
    Given Ann and Bob are signed in

  Scenario: The second call is told what the first one was
    When Ann makes a room "Kitchen" under the key "k1"
    And Ann makes a room "Kitchen" under the key "k1" again
    Then both answers are the same
    And Ann has one room "Kitchen"

  Scenario: A key is good for one call only
    When Ann makes a room "Cellar" under the key "k2"
    And Ann makes a room "Garage" under the key "k2" again
    Then Ann is answered 422
    And Ann has no room "Garage"

  Scenario: Two people may use the same key
    When Ann makes a room "Loft" under the key "k3"
    And Bob makes a room "Loft" under the key "k3" again
    Then Ann has one room "Loft"
    And Bob has one room "Loft"
