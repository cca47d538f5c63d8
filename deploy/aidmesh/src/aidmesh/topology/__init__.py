"""What a region's NATS server looks like, and how it is brought there."""
