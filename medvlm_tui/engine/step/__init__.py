"""What a step is given, the process it runs in, the device it runs on."""
