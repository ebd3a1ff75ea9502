"""Which live rows are taken, and which the control arms take instead: order, budgets, arms."""
