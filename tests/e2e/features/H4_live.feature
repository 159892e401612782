Feature: H4 Live on the phone
  MQTT over WebSocket for who is signed in, limited to what is theirs or shared with them.

  Background:
    Given Ann and Bob are signed in
    And Ann owns a thermostat

  Scenario Outline: A phone hears of its device, by <key>
    Given the identities of Ann and Bob are tied to them
    And Ann's phone listens by <key>
    When the thermostat connects
    Then Ann's phone hears that the thermostat is connected
    When the thermostat reports 28.5 degrees urgently
    Then Ann's phone hears 28.5 degrees

    Examples:
      | key         |
      | token       |
      | credentials |

  Scenario: What is shared is heard, until sharing ends
    Given Bob is viewer of the thermostat
    And Ann's phone listens by token
    And Bob's phone listens by token
    When the thermostat connects
    And the thermostat reports 21.0 degrees urgently
    Then Bob's phone hears 21.0 degrees
    When Ann ends what Bob is to the thermostat
    And the thermostat reports 22.0 degrees urgently
    Then Ann's phone hears 22.0 degrees
    And Bob's phone has not heard 22.0 degrees

  Scenario Outline: Nobody listens to somebody else, by <key>
    Given the identities of Ann and Bob are tied to them
    And Bob's phone is connected by <key>
    When Bob's phone subscribes to the messages of Ann
    Then Bob's phone is refused

    Examples:
      | key         |
      | token       |
      | credentials |

  Scenario Outline: A phone may only listen, by <key>
    Given the identities of Ann and Bob are tied to them
    And Bob's phone is connected by <key>
    When Bob's phone publishes a command to the thermostat
    Then Bob's phone is refused

    Examples:
      | key         |
      | token       |
      | credentials |

  Scenario Outline: <what> opens no connection
    Then a phone of Ann's with <what> is not let in

    Examples:
      | what             |
      | a forged token   |
      | an unsigned token |
      | an ID token      |
      | no token         |
      | Bob's token      |

  Scenario: Credentials open no connection in somebody else's name, nor before the identity is tied
    Given the identities of Ann and Bob are tied to them
    And Nora has just joined
    Then a phone of Ann's with Bob's credentials is not let in
    And Nora's phone is not let in by credentials

  @local_only
  Scenario: With a token its connection ends, and it opens no other
    Given Ann's phone is connected by token
    When 2 hours pass
    Then Ann's phone is cut off
    And a phone of Ann's with her old token is not let in

  Scenario: Nothing is published for who is not connected
    Given Bob is viewer of the thermostat
    And an operator listens to all that is published for Bob
    And Ann's phone listens by token
    When the thermostat connects
    And the thermostat reports 24.0 degrees urgently
    Then Ann's phone hears 24.0 degrees
    And nothing was published for Bob
