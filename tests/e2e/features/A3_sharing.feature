Feature: A3 Sharing by invitation
  An owner offers a role by a code or to an e-mail address; it counts once it is accepted, and not a moment longer
  than it should.

  Background:
    Given Ann, Bob and Cleo are signed in
    And Ann owns a thermostat

  Scenario: An invitation by code is accepted
    When Ann offers the role of viewer by a code
    Then the thermostat does not exist for Bob
    When Bob accepts by the code
    Then Bob sees the thermostat as viewer

  Scenario: A code opens once
    When Ann offers the role of viewer by a code
    And Bob accepts by the code
    And Cleo accepts by the code
    Then Cleo is answered 404
    And the thermostat does not exist for Cleo

  Scenario: An invitation to an address is seen and accepted by whom it is for, and by nobody else
    When Ann offers the role of operator to the address of Bob
    Then Bob finds the invitation among his
    When Cleo accepts the invitation of Bob
    Then Cleo is answered 404
    When Bob accepts the invitation of Bob
    Then Bob sees the thermostat as operator

  Scenario: An invitation is declined
    When Ann offers the role of viewer to the address of Bob
    And Bob declines it
    And Bob accepts the invitation of Bob
    Then Bob is answered 404
    And Ann has no open invitation

  Scenario: An invitation is taken back
    When Ann offers the role of viewer by a code
    And Ann takes the invitation back
    And Bob accepts by the code
    Then Bob is answered 404
    And Ann has no open invitation

  @local_only
  Scenario: An invitation expires
    When Ann offers the role of viewer by a code that is good for an hour
    And 2 hours pass
    And Bob accepts by the code
    Then Bob is answered 404
    And the thermostat does not exist for Bob
