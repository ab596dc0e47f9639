"""The job of a step, the process and the device that it runs on."""
