"""The balancing client of transform groups: watches routes, spreads calls, survives servers and the control plane."""
