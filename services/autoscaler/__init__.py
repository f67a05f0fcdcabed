"""The Autoscaler: demand over measured capacity, floors and shares, and the one writer of desired capacity."""
