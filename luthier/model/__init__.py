"""From layers on a page to a network: blocks, their shapes, their first weights."""
