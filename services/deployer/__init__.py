"""The Deployer: revisions, strategies that compose plans, and the judge."""
