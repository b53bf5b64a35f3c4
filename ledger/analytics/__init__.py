"""What was used, by whom, and what it earned and cost: roll-ups, and the questions that are asked of them."""
