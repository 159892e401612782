Feature: A6 Profile and notification preferences

  Scenario: A profile is there from the first moment
    Given Nora has just joined
    Then the profile of Nora says her address

  Scenario: What is changed stays changed, and the rest as it was
    Given Nora has just joined
    When Nora changes her profile to {"name": "Nora", "notifications": {"push": false}}
    Then the profile of Nora says {"name": "Nora", "locale": "en"}
    And the notification preferences of Nora are {"push": false, "email": false}

  Scenario: Two phones that change the profile at once do not overwrite one another
    Given Nora has just joined
    When Nora changes her profile to {"name": "Nora"} from the version she has read
    And Nora changes her profile to {"name": "Eleonora"} from the version she had read
    Then Nora is answered 412
    And the profile of Nora says {"name": "Nora"}

  Scenario: What makes no sense is refused by name
    Given Nora has just joined
    When Nora changes her profile to {"locale": "not a language"}
    Then Nora is answered 400
    And the answer names "locale"
