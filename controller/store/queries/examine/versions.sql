select feature_level as "level!", schema as "schema", readable_from as "readable_from" from versions
