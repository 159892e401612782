"""Amazon Cognito, locally: user pools and identity pools of our own.

Own rather than moto's corrected: of moto's pools the sign-in, codes, lifetimes, keys, refresh, revocation and triggers
would each have to be replaced, and what remained would be its dictionaries.
"""
