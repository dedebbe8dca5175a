ALTER TABLE connect_request ADD COLUMN visibility TEXT DEFAULT 'full' NOT NULL;
