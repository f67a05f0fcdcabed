"""REST: routes, authentication, errors and limits."""
