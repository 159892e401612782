"""A fleet of simulated devices in one process, each with a certificate and a connection of its own."""
