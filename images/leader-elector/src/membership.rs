//! Who gets a vote, who loses it, who replaces whom: decided by the leader of the group. Pure.
