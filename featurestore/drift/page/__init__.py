"""The audit's page: one HTML file without external resources."""

from __future__ import annotations

from featurestore.drift.page.page import AuditPage, render_page

__all__ = ["AuditPage", "render_page"]
