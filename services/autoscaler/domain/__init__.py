"""Pure decisions of the Autoscaler: how many nodes a group needs, how they are split over its fleets, and why."""
