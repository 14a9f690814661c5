"""The three HTTP functions, their authentication and their routes."""
