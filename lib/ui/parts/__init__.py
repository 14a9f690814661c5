"""Forms, dialogs and lists that are too large for their page's file."""
