"""What machines cost: the table of prices, the price list API, and the history of spot prices."""
