"""The Provisioner: groups and pipelines by Pulumi, environments, routes, ramps, drift."""
