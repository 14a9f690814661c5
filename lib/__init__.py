"""Darkroom: an image-generation job queue on Postgres."""
