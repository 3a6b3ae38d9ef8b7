"""Audits what this project installs: pins, images, licences, vulnerabilities; writes an SBOM."""
