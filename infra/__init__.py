"""The cloud: one template for AWS, and the local cloud that carries the same template on a laptop."""
