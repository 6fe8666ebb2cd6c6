//! A report in each of its forms, one file each. All are made from the report alone.

pub mod html;
pub mod json;
pub mod junit;
pub mod markdown;
pub mod terminal;
