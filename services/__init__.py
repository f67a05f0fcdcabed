"""The four services of the control plane and the admin API; each has the same rooms."""
