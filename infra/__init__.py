"""What runs where: the cdktf stacks, and the tools that prove a plan before it is applied."""
