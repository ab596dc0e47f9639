"""The engine as a service: in this process, or in a process of its own behind a socket."""
