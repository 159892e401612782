"""PynamoDB tables; no rules here. Names of tables are bound at composition, from what the template says."""
