Feature: E5 Commands to a group
  The same is asked of every device in a room, and each result is told for itself.

  Background:
    Given Ann and Bob are signed in
    And Ann has a room "Hall"
    And the room has an online thermostat and an offline one

  Scenario: Each device has its own result
    When Ann orders "identify" of the room
    Then there is a result for each of the 2 devices
    And the command of the online one becomes SUCCEEDED
    And the command of the offline one is QUEUED

  Scenario: A viewer of the room may not
    Given Bob is viewer of the room
    When Bob orders "identify" of the room
    Then Bob is answered 403

  Scenario: What a device's type does not know is refused, device by device
    When Ann orders "dance" of the room
    Then each of the 2 devices has its own refusal
