//! Scenario text to a checked Plan: schedules, metric catalogue, gate grammar. Pure.
