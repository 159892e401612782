Feature: C5 Claiming a device by the secret on its label

  Background:
    Given Ann and Bob are signed in

  Scenario: The label's QR code says all that is needed
    Given a thermostat that nobody owns
    When Ann scans the QR code on its label and claims it
    Then Ann sees the thermostat as owner

  Scenario: Claiming once more is the same, and a second person comes too late
    Given Ann owns a thermostat
    When Ann claims the thermostat by the secret on its label
    Then Ann is answered 200
    When Bob claims the thermostat by the secret on its label
    Then Bob is answered 409

  Scenario: A wrong secret looks like a device that does not exist
    Given a thermostat that nobody owns
    When Ann claims the thermostat by a wrong secret
    Then Ann is answered 403
    When Ann claims a device that does not exist
    Then Ann is answered 403 in the same words

  Scenario: Guessing ends, even if the guess is right at last
    Given a thermostat that nobody owns
    When Ann claims the thermostat by a wrong secret 10 times
    And Ann claims the thermostat by the secret on its label
    Then Ann is answered 403
    And the thermostat does not exist for Ann

  Scenario: A stranger who guesses does not keep out who has the label
    Given a thermostat that nobody owns
    When Bob claims the thermostat by a wrong secret 10 times
    And Ann claims the thermostat by the secret on its label
    Then Ann sees the thermostat as owner

  @local_only
  Scenario: An hour later the label is good again
    Given a thermostat that nobody owns
    When Ann claims the thermostat by a wrong secret 10 times
    And 61 minutes pass
    And Ann claims the thermostat by the secret on its label
    Then Ann sees the thermostat as owner

  @local_only
  Scenario: A secret expires
    Given a thermostat that nobody owns, with a secret that is good for an hour
    When 2 hours pass
    And Ann claims the thermostat by the secret on its label
    Then Ann is answered 403

  Scenario: A device that is let go can be claimed by the next
    Given Ann owns a thermostat
    When Ann lets the thermostat go
    Then the thermostat does not exist for Ann
    When Bob claims the thermostat by the secret on its label
    Then Bob sees the thermostat as owner
