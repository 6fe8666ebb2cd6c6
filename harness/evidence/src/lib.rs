//! One run: records to shards to verdicts to RunReport to renderings. Pure.
