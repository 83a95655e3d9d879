"""PID data: modalities whose redundancy, unique information and synergy are set by the user's design."""
