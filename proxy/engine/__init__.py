"""The async shell: carries out what the machine decides, and feeds back what happens."""
