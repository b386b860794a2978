update versions set feature_level = $1, raised_at = now()
