"""All of Darkroom except its pages and SQL; docs/architecture.md describes the packages."""
