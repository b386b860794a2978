select feature_level as "level!" from versions
