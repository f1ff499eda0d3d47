-- The portal's own store, beside the notifier's ledger: neither reads the other's tables.
CREATE DATABASE portal;
