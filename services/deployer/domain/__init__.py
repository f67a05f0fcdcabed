"""Pure decisions of the Deployer."""
