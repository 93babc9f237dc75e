"""What a reviewer needs to trust a plan: inventories, locked addresses, the destroy guard, the review sheet."""
