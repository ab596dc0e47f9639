"""The tables and figures of covered lesions."""
