"""The paper's 16 subjects: their networks, their data, or what stands in for it, and how they are trained here."""
