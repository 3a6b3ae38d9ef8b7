"""What the stages share (settings, errors) and the operator's commands."""
