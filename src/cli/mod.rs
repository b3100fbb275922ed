//! What a person types and sees. It supervises nothing.
