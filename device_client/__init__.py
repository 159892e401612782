"""The reference device client: what runs on hardware, and a simulator of the hardware it runs on."""
