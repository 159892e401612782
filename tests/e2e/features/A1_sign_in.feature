Feature: A1 Signing up and in
  People sign up with an e-mail address, sign in without their password leaving the phone, and stay signed in.

  @local_only
  Scenario: An account is opened by the code in the mail
    Given Nora signs up
    When Nora confirms her address with a code that was not sent
    Then Nora is told "CodeMismatchException"
    When Nora confirms her address with the code in the mail
    And Nora signs in
    Then Nora can read her profile

  Scenario: A wrong password opens nothing
    Given Ann is signed in
    When somebody signs in as Ann with a wrong password
    Then they are told "NotAuthorizedException"
    When somebody signs in as a stranger who never signed up
    Then they are told "NotAuthorizedException"

  Scenario: A session goes on by its refresh token
    Given Ann is signed in
    When Ann's phone refreshes her session
    Then Ann can read her profile

  @local_only
  Scenario: A forgotten password is reset by the code in the mail
    Given Otto has just joined
    When Otto resets his password by the code in the mail
    And Otto signs in
    Then Otto can read his profile
    And the old password of Otto is refused

  Scenario: A second factor is asked for once it is set up
    Given Petra has just joined
    When Petra sets up an authenticator app
    And Petra signs in with her password and the code of the app
    Then Petra can read her profile
    And the password of Petra alone is not enough

  Scenario: Without a token, or with one that nobody issued, there is no answer
    Given Ann is signed in
    Then a call without a token gets 401
    And a call with a forged token gets 401
    And a call with Ann's ID token gets 401

  @local_only
  Scenario: A token ends
    Given Ann is signed in
    When 2 hours pass
    Then a call with Ann's old token gets 401
