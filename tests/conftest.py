"""What holds for every test."""

import signal

# In a shell's background SIGINT is ignored, and what the tests start would inherit that: no Ctrl-C could reach it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
