"""Everything of Darkroom but its pages and its SQL; docs/architecture.md draws the rooms."""
