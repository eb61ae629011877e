"""The model side of the app: choosing, downloading, loading with options, what it takes, and ways out when memory ran out."""
