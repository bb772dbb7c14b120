"""What people are told: alerts, digests, pages, pictures, the Evidently report, and their answers."""
