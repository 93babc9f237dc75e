"""What people run: plan, deploy, destroy, bootstrap and drift, and the steps that these are made of."""
