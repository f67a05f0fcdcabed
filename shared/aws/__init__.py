"""AWS through boto3: clients with our own timeouts, and the inventory of our Auto Scaling Groups."""
