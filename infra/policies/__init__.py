"""What a plan may not contain: checkov's checks, ours where it is blind, and the skips that were agreed on."""
