"""AWS on one machine: Auto Scaling that behaves, in front of moto; machines as processes. See `__main__`."""
