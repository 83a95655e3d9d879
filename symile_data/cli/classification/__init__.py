"""What `train` and `probe` share where labels are predicted: options and tables."""
