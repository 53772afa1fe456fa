//! Pulled inputs: asked when a scrape comes, once for all who wait, with the scraper's deadline.
