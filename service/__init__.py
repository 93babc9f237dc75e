"""What scores a lead."""
