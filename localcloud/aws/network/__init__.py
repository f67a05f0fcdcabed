"""Whether packets of a VPC would arrive: security groups, network ACLs and routes, evaluated."""
