"""What sales contacted and what that earned, and the weekly report of it for sales and whoever pays."""
