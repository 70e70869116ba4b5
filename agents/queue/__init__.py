"""The only importer of django_q: its processes wake our drivers and carry ordinary tasks."""
