"""The doctor: what this machine has and lacks, and models of one's own."""
