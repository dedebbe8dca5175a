ALTER TABLE member ADD COLUMN preferences JSONB DEFAULT '{}'::jsonb NOT NULL;
