"""Who may do what: policies, signatures, principals, and the resources that a request is about."""
