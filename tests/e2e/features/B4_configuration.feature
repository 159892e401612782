Feature: B4 Configuration without a deploy

  Scenario: Apps read what they go by
    Given Ann is signed in
    Then the configuration that Ann reads has a version and a minimum app version

  @local_only
  Scenario: A new version is taken up within a minute, by functions that run already
    Given Ann is signed in
    When an operator stores the next version of the configuration with {"minimum_app_version": "7.1"}
    And 61 seconds pass
    Then the configuration that Ann reads says {"minimum_app_version": "7.1"}

  Scenario: An impossible version is refused, and the last one stands
    Given Ann is signed in
    When an operator stores the next version of the configuration with {"presence_grace_s": -1}
    Then the operator is refused, and "presence_grace_s" is named
