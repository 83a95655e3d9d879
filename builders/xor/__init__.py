"""Binary XOR: the smallest data in which no two modalities give the answer (Symile, section 5.1)."""
