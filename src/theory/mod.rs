//! Pure functions: costs, bounds, laws and closed forms. Nothing here knows a device.

pub mod cost;
