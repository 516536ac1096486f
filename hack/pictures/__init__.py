"""Grafana's dashboards outside of Grafana: what they ask of Prometheus, sample data for it, pictures of the panels."""
