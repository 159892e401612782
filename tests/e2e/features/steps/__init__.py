"""What the feature files' sentences do: by public clients, and where the cloud is by one configuration."""
