"""Whatever was written by hand, as one thing to call: recognised, its arrays found, its faults told, probes put in."""
