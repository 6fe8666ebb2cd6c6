//! The embedded reference runtime: the Khala contract as a real server, with injectable defects.
