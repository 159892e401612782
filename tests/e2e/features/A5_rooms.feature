Feature: A5 Rooms
  Devices stand in rooms, and a room is shared as a whole: what is put in is shared, what is taken out is not.

  Background:
    Given Ann, Bob and Cleo are signed in
    And Ann owns a thermostat
    And Ann has a room "Hall"

  Scenario: Who shares the room sees what stands in it
    Given Bob is operator of the room
    Then the thermostat does not exist for Bob
    When Ann puts the thermostat into the room
    Then Bob sees the thermostat as operator
    And Bob finds the thermostat in the room
    And Bob may order "identify"
    When Ann takes the thermostat out of the room
    Then the thermostat does not exist for Bob

  Scenario: Leaving a room ends all that it gave
    Given Ann puts the thermostat into the room
    And Bob is viewer of the room
    When Ann ends what Bob is to the room
    Then the thermostat does not exist for Bob
    And the room does not exist for Bob

  Scenario: A room that ends leaves its devices with their owner
    Given Ann puts the thermostat into the room
    And Bob is viewer of the room
    When Ann ends the room
    Then Ann sees the thermostat as owner
    And the thermostat does not exist for Bob

  Scenario: A room of somebody else does not exist
    Then the room does not exist for Cleo
