"""The admin API: captures intent over REST, and shows what the control plane makes of it."""
