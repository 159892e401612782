"""The local cloud: what the template, the device client and the README's commands use of AWS, on a laptop."""
