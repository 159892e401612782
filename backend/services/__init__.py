"""Use cases. Every one that names a device asks `access` first; none knows boto3, PynamoDB or marshmallow."""
