"""Operations on jobs and accounts that both processes use, on top of the store."""
