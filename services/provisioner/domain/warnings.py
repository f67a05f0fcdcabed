"""What a person should know before a group is made: quotas that it comes near, and about what it costs.

Quotas are AWS's defaults (500 Auto Scaling Groups a region; 1,152 on-demand vCPU of the standard families is a usual
account's). Prices are on-demand Linux in us-east-1, rounded, and said to be about right only.
"""

ASGS_QUOTA = 500
QUOTA_NEAR = 0.8
VCPU_QUOTA = 1152
VCPUS = {"large": 2, "xlarge": 4, "2xlarge": 8, "4xlarge": 16, "8xlarge": 32, "12xlarge": 48, "16xlarge": 64}
DOLLARS_PER_VCPU_HOUR = {"m6a": 0.0432, "m6i": 0.048, "c6a": 0.0383, "c6i": 0.0425, "r6a": 0.0567, "r6i": 0.063}
HOURS_PER_MONTH = 730


def vcpus_of(node_type: str) -> int | None:
    """Processors of a machine of a type; None when the type is not in the table.

    >>> vcpus_of("m6a.2xlarge")
    8
    """
    return VCPUS.get(node_type.partition(".")[2])


def quota_warnings(asgs: int, node_type: str, nodes_max: int) -> tuple[str, ...]:
    """Quotas that the group comes near; `asgs` counts Auto Scaling Groups with the new one.

    >>> quota_warnings(450, "m6a.large", 2)
    ('450 of 500 Auto Scaling Groups of the region would be in use: ask AWS for a higher quota',)
    """
    warnings = []
    if asgs >= ASGS_QUOTA * QUOTA_NEAR:
        warnings.append(
            f"{asgs} of {ASGS_QUOTA} Auto Scaling Groups of the region would be in use: ask AWS for a higher quota"
        )
    vcpus = vcpus_of(node_type)
    if vcpus is not None and vcpus * nodes_max >= VCPU_QUOTA * QUOTA_NEAR:
        warnings.append(
            f"{nodes_max} machines of {node_type} are {vcpus * nodes_max} vCPU; a usual account's quota is {VCPU_QUOTA}"
        )
    return tuple(warnings)


def cost_warning(node_type: str, nodes_min: int, nodes_max: int) -> str:
    """About what the machines cost; empty when the type is not in the table.

    >>> cost_warning("m6a.large", 1, 4)
    'about $63 to $252 a month for 1 to 4 machines of m6a.large, on demand'
    """
    vcpus, price = vcpus_of(node_type), DOLLARS_PER_VCPU_HOUR.get(node_type.partition(".")[0])
    if vcpus is None or price is None:
        return ""
    month = vcpus * price * HOURS_PER_MONTH
    low, high = f"${month * nodes_min:.0f}", f"${month * nodes_max:.0f}"
    machines = f"{nodes_min} to {nodes_max} machines" if nodes_min != nodes_max else f"{nodes_max} machines"
    span = f"{low} to {high}" if low != high else low
    return f"about {span} a month for {machines} of {node_type}, on demand"
