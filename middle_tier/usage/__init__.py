"""What tenants have used: counted at each gate, kept, told to the cloud, added up there."""
