"""What a network is and costs, before anything is spent."""
