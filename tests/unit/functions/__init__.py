"""AWS Lambda, locally."""
